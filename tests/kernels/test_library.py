"""Where the compiled functions are used: on processors for which they were measured to be faster than torch's."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest
import torch
from compiled_layers import obstacle

from reinit_bench.kernels import library as library_module


@pytest.fixture
def capability(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: request.param)


def load() -> ctypes.CDLL | None:
    """The library, without the cache that keeps it for the rest of the process."""
    return library_module.library.__wrapped__()


@pytest.mark.parametrize("capability", ["AVX2"], indirect=True)
@pytest.mark.usefixtures("capability")
def test_avx2_uses_the_compiled_functions() -> None:
    reason = obstacle()
    if reason is not None:
        pytest.skip(reason)
    found = load()
    assert found is not None
    assert all(found[name] for name in ("winograd", "winograd_gradient", "normalize", "normalize_gradient"))


@pytest.mark.parametrize("capability", ["AVX512", "DEFAULT"], indirect=True)
@pytest.mark.usefixtures("capability")
def test_other_processors_use_torchs_functions() -> None:
    assert load() is None


@pytest.mark.parametrize("capability", ["AVX2"], indirect=True)
@pytest.mark.usefixtures("capability")
def test_without_a_compiled_library_torchs_functions_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(library_module, "COMPILED", tmp_path / "libcompiled.so")
    assert load() is None
