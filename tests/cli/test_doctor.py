"""doctor: which layers the CPU computes with, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from reinit_bench.cli.commands import doctor


@pytest.mark.parametrize(
    ("obstacle", "text"),
    [
        (None, "convolution and norm on the CPU are ours, unless compiled_layers=false"),
        ("ours need a processor with avx2", "layers on the CPU are torch's: ours need a processor with avx2"),
    ],
)
def test_compiled_layers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, obstacle: str | None, text: str) -> None:
    monkeypatch.setattr(doctor, "obstacle", lambda: obstacle)
    monkeypatch.setattr(doctor, "output_of", lambda *words: "")
    (found,) = [finding for finding in doctor.findings(tmp_path) if finding.subject == "compiled"]
    assert (found.fine, found.text) == (obstacle is None, text)
