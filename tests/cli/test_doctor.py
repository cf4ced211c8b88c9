"""doctor: which layers the CPU computes with, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from reinit_bench.cli import doctor
from reinit_bench.kernels.choice import Choice

SECONDS = {"convolution": (0.035, 0.051), "norm": (0.002, 0.0021)}


@pytest.mark.parametrize(
    ("choice", "fine", "text"),
    [
        (
            Choice(SECONDS, path=Path("/cache/ab.json")),
            True,
            "convolution: ours (ours 35.0 ms, torch's 51.0 ms, 1.46x); norm: torch's (ours 2.0 ms, torch's 2.1 ms, "
            "1.05x); ours are used from 1.1x on; kept in /cache/ab.json",
        ),
        (
            Choice(SECONDS),
            True,
            "convolution: ours (ours 35.0 ms, torch's 51.0 ms, 1.46x); norm: torch's (ours 2.0 ms, torch's 2.1 ms, "
            "1.05x); ours are used from 1.1x on; measured by every process: the cache folder is not writable",
        ),
        (
            Choice(obstacle="ours need a processor with avx2"),
            False,
            "layers on the CPU are torch's: ours need a processor with avx2",
        ),
    ],
)
def test_compiled_layers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, choice: Choice, fine: bool, text: str
) -> None:
    monkeypatch.setattr(doctor, "choice_here", lambda: choice)
    monkeypatch.setattr(doctor, "said", lambda *words: "")
    (found,) = [finding for finding in doctor.findings(tmp_path) if finding.subject == "compiled"]
    assert (found.fine, found.text) == (fine, text)
