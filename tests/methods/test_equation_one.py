"""`apply_mask`, which is equation (1), and `full_mask`, the mask of everything."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from bits import bit_equal, changed_names, copy_state
from fake_training import FakeRun
from torch import nn

from reinit_bench.methods.base import Context, Mask, Reinitializer, apply_mask
from reinit_bench.models.blocknet import BlockNet


def three_values() -> BlockNet:
    net = BlockNet([nn.Linear(3, 1)], nn.Identity())
    with torch.no_grad():
        dict(net.named_parameters())["blocks.0.weight"].copy_(torch.tensor([[1.0, -0.0, 3.0]]))
    return net


def test_chosen_elements_become_eta_and_the_others_keep_every_bit() -> None:
    net = three_values()
    before = copy_state(net)
    # (1 - s) * w + s * eta with s * eta = 0 * inf would be NaN, and would turn -0 into 0.
    eta = torch.tensor([[7.0, float("inf"), float("nan")]])
    apply_mask(net, {"blocks.0.weight": torch.tensor([[True, False, False]])}, {"blocks.0.weight": eta})
    assert bit_equal(net.state_dict()["blocks.0.weight"], torch.tensor([[7.0, -0.0, 3.0]]))
    assert changed_names(before, net) == {"blocks.0.weight"}


def test_apply_mask_writes_in_place_and_records_no_gradient() -> None:
    net = three_values()
    kernel = dict(net.named_parameters())["blocks.0.weight"]
    place = kernel.data_ptr()
    apply_mask(
        net, {"blocks.0.weight": torch.ones(1, 3, dtype=torch.bool)}, {"blocks.0.weight": torch.full((1, 3), 5.0)}
    )
    assert (kernel.data_ptr(), kernel.requires_grad, kernel.grad_fn, kernel.tolist()) == (
        place,
        True,
        None,
        [[5.0] * 3],
    )


def test_a_method_prepares_then_selects_then_redraws() -> None:
    """`select` sees what `prepare` did, and what it selects is redrawn afterwards."""
    name = "top.head.weight"

    @dataclass(frozen=True, kw_only=True)
    class RaisesOneThenRedrawsTheLarge(Reinitializer):
        def prepare(self, net: BlockNet, context: Context) -> None:
            with torch.no_grad():
                dict(net.named_parameters())[name][0, 0] = 1000.0

        def select(self, net: BlockNet, context: Context) -> Mask:
            return {name: dict(net.named_parameters())[name] > 999.0}

    run = FakeRun()
    _, mask = run.begin(RaisesOneThenRedrawsTheLarge(), 2)
    assert mask[name].nonzero().tolist() == [[0, 0]]
    assert run.parameters[name][0, 0] == run.eta(name, 2)[0, 0]
