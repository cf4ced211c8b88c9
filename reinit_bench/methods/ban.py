"""BAN, a control: each round trains a fresh network on the last one's answers (Furlanello et al. 2018)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from reinit_bench.core.hooks import Hooks
from reinit_bench.core.settings import setting
from reinit_bench.methods.base import Context
from reinit_bench.methods.cold import Cold
from reinit_bench.models.blocknet import BlockNet


@dataclass(frozen=True, kw_only=True)
class Ban(Cold):
    """Fixed budget: the rounds share the steps of a run, and each begins with a wholly fresh network.

    From round 2 on the loss is the cross-entropy to (1 - weight) * label + weight * softmax(teacher's logits), so to
    both at temperature 1. The teacher is the last round's network in evaluation mode; it sees the same batch.
    Furlanello et al. did best on images with the teacher alone (`weight=1`), on text with both.
    """

    weight: float = setting(0.5, least=0, most=1)
    """The teacher's share of the targets."""

    def hooks(self, net: BlockNet, context: Context) -> Hooks | None:
        return None if context.round.index == 1 else _Teacher(net, self.weight, context.micro_batch)


class _Teacher(Hooks):
    def __init__(self, net: BlockNet, weight: float, micro_batch: int | None) -> None:
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        self.weight, self.micro_batch = weight, micro_batch

    def targets(self, inputs: Tensor, labels: Tensor) -> Tensor:
        parts = inputs.split(self.micro_batch or len(inputs))
        taught = torch.cat([self.net(part).float() for part in parts]).softmax(1)
        return torch.lerp(functional.one_hot(labels, taught.shape[1]).to(taught.dtype), taught, self.weight)

    def state_dict(self) -> dict[str, Any]:
        return dict(self.net.state_dict())

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.net.load_state_dict(state)
