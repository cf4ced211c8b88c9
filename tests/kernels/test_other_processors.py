"""The layers in C, compiled for a processor whose vectors are half as long as AVX2's, as ARM's are: the same values."""

from __future__ import annotations

import ctypes
import os
import platform
import runpy
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import reinit_bench
from reinit_bench.kernels import convolution_cpu, norm_cpu

ROOT = Path(reinit_bench.__file__).parent.parent
CC = shlex.split(os.environ.get("CC", "cc"))


@pytest.fixture(autouse=True)
def compiled_without_flags(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    if platform.system() != "Linux" or shutil.which(CC[0]) is None:
        pytest.skip("there is no compiler here")
    build = runpy.run_path(str(ROOT / "hatch_build.py"))
    library = tmp_path_factory.mktemp("library") / "libcompiled.so"
    subprocess.run([*CC, "-O3", "-shared", "-fPIC", "-o", library, *build["LAYERS"], "-lm"], cwd=ROOT, check=True)
    functions = ctypes.CDLL(str(library))
    monkeypatch.setattr("reinit_bench.kernels.library.library", lambda: functions)


def test_values_and_gradients() -> None:
    def drawn(*shape: int) -> Tensor:
        values = torch.randn(shape)
        return values.to(memory_format=torch.channels_last) if len(shape) == 4 else values

    x, weight, bias, scale, shift = drawn(3, 48, 7, 6), drawn(32, 48, 3, 3) / 20, drawn(32), drawn(32), drawn(32)
    leaves = [value.requires_grad_() for value in (x, weight, bias, scale, shift)]
    exact = [value.detach().double().requires_grad_() for value in leaves]
    ours = norm_cpu.group_norm(convolution_cpu.convolution(*leaves[:3]), *leaves[3:], 1e-3, True)
    expected = functional.group_norm(functional.conv2d(*exact[:3], padding=1), 1, *exact[3:], 1e-3).relu()
    found = [ours, *torch.autograd.grad(ours.square().sum(), leaves)]
    wanted = [expected, *torch.autograd.grad(expected.square().sum(), exact)]
    for value, reference in zip(found, wanted, strict=True):
        assert (value.double() - reference).abs().max() / reference.abs().max() < 3e-6
