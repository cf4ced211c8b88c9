"""The stacked optimizers end with the bits of torch's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from reinit_bench.core.config import Trainer
from reinit_bench.kernels.update_rules import Adam, RmsProp, Sgd, State, UpdateRule
from reinit_bench.training.optimizer import make_optimizer

RULES: list[tuple[UpdateRule, dict[str, Any]]] = [
    (Sgd(lr=0.1, momentum=0.0, decay=0.05), {"optimizer": "sgd", "momentum": 0.0}),
    (Sgd(lr=0.1, momentum=0.9, decay=0.05), {"optimizer": "sgd", "momentum": 0.9}),
    (Adam(lr=0.1, decay=0.05, decoupled=False), {"optimizer": "adam"}),
    (Adam(lr=0.1, decay=0.05, decoupled=True), {"optimizer": "adamw"}),
    (RmsProp(lr=0.1, decay=0.05), {"optimizer": "rmsprop"}),
]


@pytest.mark.parametrize(("rule", "settings"), RULES, ids=lambda value: str(value))
def test_a_stack_of_parameters_is_updated_as_torch_updates_each(rule: UpdateRule, settings: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(0)
    nets = [nn.Linear(13, 5) for _ in range(3)]  # sizes that fill no vector register evenly
    trainer = Trainer(lr=0.1, weight_decay=0.05, weight_decay_form="sgd", **settings)
    optimizers = [make_optimizer(net, trainer) for net in nets]
    values = {name: torch.stack([net.get_parameter(name).detach() for net in nets]) for name in ("weight", "bias")}
    states: dict[str, State] = {"weight": {}, "bias": {}}
    for step in range(1, 21):
        for name, stacked in values.items():
            gradient = torch.randn(stacked.shape, generator=generator)
            for net, own in zip(nets, gradient, strict=True):
                net.get_parameter(name).grad = own.clone()
            rule.update(stacked, gradient, states[name], step, rule.decay if name == "weight" else 0.0)
        for optimizer in optimizers:
            optimizer.step()
    for name, stacked in values.items():
        assert torch.equal(stacked, torch.stack([net.get_parameter(name).detach() for net in nets])), name
