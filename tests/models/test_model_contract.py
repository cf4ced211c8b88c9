"""The contract of every model; a new yaml in conf/model is tested without being named here."""

from __future__ import annotations

import copy
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
import yaml
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from reinit_bench.core.conf_dir import conf_dir
from reinit_bench.core.settings import ConfigError, instantiate
from reinit_bench.models.blocknet import BlockNet, Dropout, WrappedNet
from reinit_bench.models.initializers import HeNormal, initialize
from reinit_bench.models.layers import Architecture

YAMLS = sorted((conf_dir() / "model").glob("*.yaml"))
IMAGE_YAMLS = [path for path in YAMLS if yaml.safe_load(path.read_text())["_min_image_size_"] is not None]
for_images = pytest.mark.parametrize("path", IMAGE_YAMLS, ids=lambda path: path.stem, indirect=True)
CLASSES, EXAMPLES = 5, 4


@pytest.fixture(params=YAMLS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def section(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


def input_shape(section: dict[str, Any]) -> tuple[int, ...]:
    if section["_min_image_size_"] is None:
        return (6,)
    # torch 2.15 on the CPU: a 3x3 convolution of stride 2 of one pixel in bfloat16 may have gradients of NaN.
    size = max(section["_min_image_size_"], 32 if "stem" in section else 16)
    return (3, size, size)


def narrow(section: dict[str, Any]) -> Architecture:
    """The model at an eighth of its width, where it has one."""
    return instantiate({**section, "width": 0.125} if "width" in section else section, "model")


def inputs(section: dict[str, Any]) -> Tensor:
    return torch.randn(EXAMPLES, *input_shape(section), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def net(section: dict[str, Any]) -> BlockNet:
    net = narrow(section).build(input_shape(section), CLASSES, 0.25)
    initialize(net, HeNormal(), 0)
    return net


def seed_dropouts(net: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for layer in net.modules():
        if isinstance(layer, Dropout):
            layer.generator = generator


def without_lambdas(net: BlockNet) -> nn.Module:
    return copy.deepcopy(net).unwrap() if isinstance(net, WrappedNet) else nn.Sequential(*net.blocks, net.top)


def fill_lambdas(net: BlockNet) -> None:
    for k in range(1, net.num_blocks + 1):
        net.lambda_of(k).fill(torch.tensor(0.125 * k), torch.tensor(1.0 + 0.25 * k))


def test_yaml_says_the_name_the_label_and_every_default(path: Path, section: dict[str, Any]) -> None:
    architecture = instantiate(section, "model")
    assert isinstance(architecture, Architecture)
    assert section["name"] == path.stem
    assert isinstance(section["_label_"], str)
    assert {spec.name for spec in fields(architecture)} == {
        key for key in section if key != "name" and not key.startswith("_")
    }
    assert architecture == type(architecture)()


def test_norm_epsilon_reaches_every_norm(section: dict[str, Any], meta) -> None:
    if "norm_epsilon" in section:
        section["norm_epsilon"] = 0.25
    net = meta(narrow(section), input_shape(section))
    norms = [module for module in net.modules() if isinstance(module, nn.GroupNorm)]
    assert {norm.eps for norm in norms} == ({0.25} if "norm_epsilon" in section else set())


@for_images
def test_smallest_image_works_and_a_smaller_one_is_refused(section: dict[str, Any], meta) -> None:
    smallest = section["_min_image_size_"]
    net = meta(narrow(section), (3, smallest, smallest), CLASSES)
    assert net(torch.empty(2, 3, smallest, smallest, device="meta")).shape == (2, CLASSES)
    with pytest.raises(ConfigError, match=rf"image_size of at least {smallest}\b.*; got {smallest - 1}$"):
        narrow(section).build((3, smallest - 1, smallest - 1), CLASSES, 0.0)


def test_a_training_step_reaches_every_parameter(section: dict[str, Any], net: BlockNet) -> None:
    assert net.num_blocks >= 1
    seed_dropouts(net, 0)
    logits = net(inputs(section))
    assert logits.shape == (EXAMPLES, CLASSES)
    F.cross_entropy(logits, torch.arange(EXAMPLES) % CLASSES).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_every_parameter_belongs_to_one_block_or_to_the_top(section: dict[str, Any], net: BlockNet) -> None:
    assert section["_blocks_"] in (net.num_blocks, None)
    names = tuple(name for name, _ in net.named_parameters())
    parts = [net.names_in_blocks(k, k) for k in range(1, net.num_blocks + 1)] + [net.names_in_top()]
    assert sum(parts, ()) == names
    assert len(set(names)) == len(names)
    assert all(parts[:-1])
    for k in range(1, net.num_blocks + 1):
        assert net.names_in_blocks(1, k) + net.names_above(k) == names
    head = net.names_in_head()
    assert [len(net.get_parameter(name)) for name in head] == [CLASSES] * 2
    assert head == names[-2:]


@torch.no_grad()
def test_lambdas_change_nothing_before_they_are_filled(section: dict[str, Any], net: BlockNet) -> None:
    net.eval()
    keys, x = list(net.state_dict()), inputs(section)
    plain = without_lambdas(net)(x)
    assert torch.equal(net(x), plain)
    fill_lambdas(net)
    assert list(net.state_dict()) == keys
    assert not torch.equal(net(x), plain)
    for slot in net.lambdas:
        slot.clear()
    assert torch.equal(net(x), plain)


@torch.no_grad()
def test_dropout_is_drawn_from_the_generator_and_off_in_evaluation(section: dict[str, Any], net: BlockNet) -> None:
    assert {layer.rate for layer in net.modules() if isinstance(layer, Dropout)} == {0.25}
    x, outputs = inputs(section), []
    for seed in (1, 1, 2):
        seed_dropouts(net, seed)
        outputs.append(net(x))
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])
    net.eval()
    assert torch.equal(net(x), net(x))


def test_bfloat16_trains(section: dict[str, Any], net: BlockNet) -> None:
    x = inputs(section)
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(x)
        loss = F.cross_entropy(logits.float(), torch.arange(EXAMPLES) % CLASSES)
    loss.backward()
    assert logits.dtype == torch.bfloat16
    assert loss.isfinite()
    assert all(parameter.grad.dtype == torch.float32 for parameter in net.parameters())
    assert all(parameter.grad.isfinite().all() for parameter in net.parameters())


@pytest.mark.slow
def test_the_yaml_states_the_multiply_adds_of_one_forward_pass(section: dict[str, Any]) -> None:
    if section["_giga_macs_"] is None:
        assert section["name"] == "torchvision", "only where it depends on a setting"
        return
    shape = (6,) if section["_min_image_size_"] is None else (3, 224, 224)
    with torch.device("meta"):
        net = instantiate(section, "model").build(shape, 100, 0.0).eval()
    with FlopCounterMode(display=False) as counter:
        net(torch.empty(1, *shape, device="meta"))
    layers = ("convolution", "mm", "addmm")  # without what multiplies tokens with tokens
    operations = sum(n for operation, n in counter.get_flop_counts()["Global"].items() if str(operation)[5:] in layers)
    assert operations / 2e9 == pytest.approx(section["_giga_macs_"], rel=0.02, abs=1e-4)
