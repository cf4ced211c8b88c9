"""LLF: what is redrawn, by name."""

from __future__ import annotations

import pytest
from bits import bit_equal
from fake_training import FakeRun

from reinit_bench.core.settings import ConfigError
from reinit_bench.methods.llf import Llf
from reinit_bench.models.parameters import norm_names

ABOVE_2 = {
    *(f"blocks.{k}.{name}" for k in (2, 3) for name in ("conv.weight", "conv.bias", "norm.weight", "norm.bias")),
    *(f"top.hidden.{name}" for name in ("dense.weight", "dense.bias", "norm.weight", "norm.bias")),
    "top.head.weight",
    "top.head.bias",
}
NORMS = {name for name in ABOVE_2 if ".norm." in name}


def test_the_upper_half_of_the_blocks_and_the_top_are_redrawn_without_norms() -> None:
    run = FakeRun()
    run.train()
    before, mask = run.begin(Llf(), 2)
    assert set(mask) == ABOVE_2 - NORMS
    for name, now in run.parameters.items():
        assert bit_equal(now.detach(), run.eta(name, 2) if name in mask else before[name]), name


def test_norms_on_request_and_biases_unless_asked() -> None:
    run = FakeRun()
    assert set(Llf(reset_norms=True).select(run.net, run.context(2))) == ABOVE_2
    kernels = {name for name in ABOVE_2 - NORMS if name.endswith("weight")}
    assert set(Llf(reset_biases=False).select(run.net, run.context(2))) == kernels
    assert set(norm_names(run.net)) >= NORMS


@pytest.mark.parametrize(("model", "lowest"), [("scnn", 3), ("mlp", 2), ("mobilenet", 4)])
def test_the_upper_half_of_an_odd_number_of_blocks_has_the_middle_one(model: str, lowest: int) -> None:
    run = FakeRun(model)
    blocks = {int(name.split(".")[1]) + 1 for name in Llf().select(run.net, run.context(2)) if name[:6] == "blocks"}
    assert min(blocks) == lowest
    assert max(blocks) == run.net.num_blocks


def test_the_lowest_block_can_be_any() -> None:
    run = FakeRun()
    assert min(name for name in Llf(first_block=4).select(run.net, run.context(2))).startswith("blocks.3.")
    everything = Llf(first_block=1, reset_norms=True).select(run.net, run.context(2))
    assert set(everything) == set(run.parameters)
    with pytest.raises(ConfigError, match=r"^method\.first_block=5, but the model has 4 blocks$"):
        Llf(first_block=5).rounds(4, 1, 10)
