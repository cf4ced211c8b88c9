"""The device that trains, and the settings of its arithmetic."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager

import torch

from reinit_bench.core.machine import keep_freed_memory
from reinit_bench.core.settings import ConfigError
from reinit_bench.kernels import library
from reinit_bench.kernels.available import KINDS


def choose_device(name: str) -> torch.device:
    """The device that `auto`, `cpu` or `cuda` means here.

    Raises:
        ConfigError: cuda was requested and there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device=cuda, but torch finds no CUDA device here; use device=auto or device=cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def set_up_arithmetic(device: torch.device, compiled_layers: bool = True) -> None:
    """Make results repeatable on this machine, so that a resumed run ends bit-equal to an uncut one.

    fp32 means fp32: no TF32. On a GPU, cuDNN and cuBLAS are restricted to deterministic algorithms. On the CPU, the
    layers in C are used, unless not wanted.
    """
    library.use(KINDS if compiled_layers and device.type == "cpu" else ())
    torch.set_float32_matmul_precision("highest")
    if device.type != "cuda":
        keep_freed_memory()
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    # The fused kernels of attention add up gradients in no fixed order.
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    torch.backends.cuda.enable_cudnn_sdp(False)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Otherwise every new tensor is first filled with NaN, a pass over memory that only helps debugging.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """The context of a forward pass: bfloat16 autocast for bf16, nothing for fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
