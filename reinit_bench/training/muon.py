"""Muon for the kernels, AdamW for all else, as one optimizer (Jordan et al. 2024)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn


class MuonAndAdamW(torch.optim.AdamW):
    """`torch.optim.Muon` knows matrices only: a convolution's kernel is one of shape (outputs, rest).

    Both have one learning rate and weight decay, since Muon's steps are scaled to the size of AdamW's
    (`match_rms_adamw`). Momentum is 0.95, with five Newton-Schulz steps in bfloat16, as torch has them.
    """

    def __init__(self, kernels: Sequence[Tensor], others: Sequence[Tensor], lr: float, weight_decay: float) -> None:
        groups = [
            {"params": list(kernels), "weight_decay": weight_decay, "muon": True},
            {"params": list(others), "weight_decay": 0.0, "muon": False},
        ]
        super().__init__([group for group in groups if group["params"]], lr=lr, foreach=True)
        self._matrices = {kernel: nn.Parameter(as_matrix(kernel.detach())) for kernel in kernels}
        self._muon: Any = None
        if kernels:
            self._muon = torch.optim.Muon(self._matrices.values(), adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is None
        groups = self.param_groups
        for group in groups:
            if group["muon"]:
                self._muon.param_groups[0].update(lr=group["lr"], weight_decay=group["weight_decay"])
                self._step_matrices()
        try:
            self.param_groups = [group for group in groups if not group["muon"]]
            super().step()
        finally:
            self.param_groups = groups

    def _step_matrices(self) -> None:
        """Let Muon step on the kernels' memory; what it accumulates is kept in the kernel's shape."""
        for kernel, matrix in self._matrices.items():
            if kernel.grad is None:
                matrix.grad = None
                continue
            state = self.state[kernel]
            state.setdefault("step", torch.zeros(()))  # AdamW asks for it when a state is loaded
            if "momentum_buffer" not in state or state["momentum_buffer"].stride() != kernel.stride():
                old = state.get("momentum_buffer", 0.0)
                state["momentum_buffer"] = torch.zeros_like(kernel).add_(old)
            self._muon.state[matrix]["momentum_buffer"] = as_matrix(state["momentum_buffer"])
            matrix.grad = as_matrix(torch.empty_like(kernel).copy_(kernel.grad))
        self._muon.step()


def as_matrix(kernel: Tensor) -> Tensor:
    """The kernel as (outputs, rest), in the same memory; in which order the rest is, changes only the rounding."""
    if kernel.is_contiguous():
        return kernel.flatten(1)
    return kernel.movedim(1, -1).flatten(1)  # channels last
