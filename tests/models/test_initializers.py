from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import yaml

from reinit_bench.core.conf_dir import conf_dir
from reinit_bench.core.settings import instantiate
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.initializers import HeNormal, Initializer, XavierUniform, initial_values
from reinit_bench.models.mobilenet import MobileNet
from reinit_bench.models.scnn import Scnn

YAMLS = sorted((conf_dir() / "initializer").glob("*.yaml"))
BIG = torch.empty(512, 256, 3, 3, device="meta")
FAN_IN, FAN_OUT = 256 * 9, 512 * 9
TRUNCATED_STD = 0.87962566103423978  # of a standard normal cut at two standard deviations


def draw(initializer: Initializer, kernel: torch.Tensor = BIG, seed: int = 0) -> torch.Tensor:
    return initializer.draw(kernel, torch.Generator().manual_seed(seed))


def small_net() -> BlockNet:
    return Scnn(width=0.25).build((3, 8, 8), 5, 0.0)


@pytest.mark.parametrize("truncated", [True, False])
def test_he_normal_has_variance_two_over_fan_in(truncated: bool) -> None:
    values = draw(HeNormal(truncated=truncated))
    assert (values.shape, values.dtype) == (BIG.shape, torch.float32)
    assert values.var().item() == pytest.approx(2 / FAN_IN, rel=0.01)
    assert values.mean().item() == pytest.approx(0.0, abs=1e-4)


def test_he_normal_is_cut_at_two_standard_deviations_of_the_wider_normal() -> None:
    wider = math.sqrt(2 / FAN_IN) / TRUNCATED_STD
    values = draw(HeNormal()).abs()
    assert 1.999 * wider < values.max().item() <= 2 * wider * (1 + 1e-6)
    # A normal's share within one standard deviation, out of its share within two.
    assert (values < wider).float().mean().item() == pytest.approx(0.682689 / 0.954500, abs=0.002)
    assert draw(HeNormal(truncated=False)).abs().max().item() > 4 * math.sqrt(2 / FAN_IN)


def test_xavier_uniform_fills_its_bounds_evenly() -> None:
    bound = math.sqrt(6 / (FAN_IN + FAN_OUT))
    values = draw(XavierUniform())
    assert 0.9999 * bound < values.abs().max().item() <= bound
    assert values.var().item() == pytest.approx(bound**2 / 3, rel=0.01)
    assert (values.abs() < bound / 2).float().mean().item() == pytest.approx(0.5, abs=0.002)
    assert values.mean().item() == pytest.approx(0.0, abs=1e-4)


def test_parameter_seed_and_purpose_each_have_a_stream_of_their_own() -> None:
    net, name = small_net(), "top.head.weight"
    purposes = [(0, "initial"), (1, "initial"), (0, "round", 1), (0, "round", 2), (0,)]
    drawn = [initial_values(net, HeNormal(), [name], *purpose)[name] for purpose in purposes]
    again = initial_values(net, HeNormal(), [name], 0, "round", 2)[name]
    assert [torch.equal(again, other) for other in drawn] == [False, False, False, True, False]
    everything = initial_values(net, HeNormal(), [name for name, _ in net.named_parameters()], 0, "round", 2)
    assert torch.equal(everything[name], again)
    half = initial_values(net.bfloat16(), HeNormal(), [name], 0, "round", 2)[name]
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, again.bfloat16())


@pytest.mark.parametrize("path", YAMLS, ids=lambda path: path.stem)
def test_every_yaml_names_an_initializer_and_its_defaults(path: Path) -> None:
    section = yaml.safe_load(path.read_text())
    initializer = instantiate(section, "initializer")
    assert section["name"] == path.stem
    assert isinstance(section["_label_"], str)
    assert initializer == type(initializer)()
    values = draw(initializer, torch.empty(6, 5, 3, 3))
    assert values.shape == (6, 5, 3, 3)
    assert torch.equal(values, draw(initializer, torch.empty(6, 5, 3, 3)))
    assert not torch.equal(values, draw(initializer, torch.empty(6, 5, 3, 3), seed=1))


@pytest.mark.parametrize("truncated", [True, False])
def test_a_depthwise_kernels_fan_in_is_its_window_or_that_times_the_channels(truncated: bool) -> None:
    net = MobileNet().build((1, 8, 8), 5, 0.0)
    names = [name for name, _ in net.named_parameters()]
    counted = {
        choice: initial_values(net, HeNormal(truncated=truncated, depthwise_fan_in=choice), names, 0)
        for choice in ("window", "channels")
    }
    name = "blocks.6.separable2.depthwise.weight"
    assert counted["window"][name].shape == (1024, 1, 3, 3)
    assert counted["window"][name].std().item() == pytest.approx(math.sqrt(2 / 9), rel=0.03)
    assert counted["channels"][name].std().item() == pytest.approx(math.sqrt(2 / (9 * 1024)), rel=0.03)
    for name in names:
        expected = counted["window"][name]
        if name.endswith("depthwise.weight"):
            expected = expected / math.sqrt(len(expected))
        torch.testing.assert_close(counted["channels"][name], expected, rtol=1e-6, atol=0.0)
    # The stem's kernel for gray images has a depthwise kernel's shape, and is none.
    stem = "blocks.0.stem.conv.weight"
    assert counted["window"][stem].shape == (32, 1, 3, 3)
    assert torch.equal(counted["channels"][stem], counted["window"][stem])
