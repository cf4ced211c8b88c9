"""Channels: who reads and writes what, by hand on small networks; every architecture can be followed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional
from torchvision import models

from reinit_bench.core.conf_dir import conf_dir
from reinit_bench.core.settings import instantiate
from reinit_bench.models.blocknet import BlockNet, Dropout
from reinit_bench.models.channel_tracing import NotFollowed, channels_of
from reinit_bench.models.channels import Channels
from reinit_bench.models.layers import GlobalAveragePool, Norm, conv
from reinit_bench.models.parameters import kernel_names

MODELS = sorted((conf_dir() / "model").glob("*.yaml"))


def edges(channels: Channels) -> dict[str, tuple[int, int, int]]:
    """By kernel: the spaces that it reads and writes, and its repeats."""
    number = channels.spaces.index
    return {kernel.name: (number(kernel.reads), number(kernel.writes), kernel.repeats) for kernel in channels.kernels}


def sizes(channels: Channels) -> list[int]:
    return [space.channels for space in channels.spaces]


def spaces_where(channels: Channels, mark: str) -> list[int]:
    return [number for number, space in enumerate(channels.spaces) if getattr(space, mark)]


class Plain(nn.Module):
    """Everything by functions: convolution, ReLU, pooling, flattening, dense."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.hidden = nn.Linear(16, 5)
        self.head = nn.Linear(5, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.conv(x)), 3)
        x = functional.dropout(x.flatten(1), 0.5, self.training)
        return self.head(torch.tanh(self.hidden(x)))


def test_functions_are_followed_like_layers() -> None:
    net = Plain()
    channels = channels_of(net, "test")
    assert sizes(channels) == [3, 4, 5, 2]
    assert edges(channels) == {"conv.weight": (0, 1, 1), "hidden.weight": (1, 2, 4), "head.weight": (2, 3, 1)}
    assert [(v.name, channels.spaces.index(v.space), v.repeats) for v in channels.vectors] == [
        ("conv.bias", 1, 1),
        ("hidden.bias", 2, 1),
    ]
    assert (spaces_where(channels, "is_input"), spaces_where(channels, "is_output")) == ([0], [3])
    assert spaces_where(channels, "is_joined") == []
    assert net.training


class Residual(nn.Module):
    """A stem, a residual block with a projection, another with the identity; pooled; a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(inplace=True))
        self.conv1, self.conv2, self.project = conv(2, 3, 3), conv(3, 6, 3), conv(2, 6, 1)
        self.conv3, self.conv4 = conv(6, 5, 1), conv(5, 6, 1)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.relu(self.conv2(self.relu(self.conv1(x))) + self.project(x))
        shortcut = x
        x = self.conv4(self.relu(self.conv3(x)))
        x += shortcut
        return self.head(self.relu(x).mean((2, 3)))


def test_what_is_added_shares_its_channels() -> None:
    channels = channels_of(Residual(), "test")
    assert sizes(channels) == [1, 2, 3, 6, 5, 4]
    assert edges(channels) == {
        "stem.0.weight": (0, 1, 1),
        "conv1.weight": (1, 2, 1),
        "conv2.weight": (2, 3, 1),
        "project.weight": (1, 3, 1),
        "conv3.weight": (3, 4, 1),
        "conv4.weight": (4, 3, 1),
        "head.weight": (3, 5, 1),
    }
    assert spaces_where(channels, "is_joined") == [3]
    assert [(v.name, channels.spaces.index(v.space)) for v in channels.vectors] == [
        ("stem.0.bias", 1),
        ("stem.1.weight", 1),
        ("stem.1.bias", 1),
        ("head.bias", 5),
    ]


def test_a_depthwise_convolution_keeps_its_channels() -> None:
    net = nn.Sequential(
        conv(1, 4, 1), Norm(4, 1e-3, relu=True), conv(4, 4, 3, groups=4), nn.ReLU6(), conv(4, 3, 1), GlobalAveragePool()
    )
    channels = channels_of(net, "test")
    assert sizes(channels) == [1, 4, 3]
    assert edges(channels) == {"0.weight": (0, 1, 1), "2.weight": (1, 1, 1), "4.weight": (1, 2, 1)}
    assert [kernel.is_depthwise for kernel in channels.kernels] == [False, True, False]
    assert channels.spaces[2].is_output


def test_a_norm_after_flattening_has_several_elements_a_channel() -> None:
    net = nn.Sequential(conv(1, 2, 3), nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, 3))
    channels = channels_of(net, "test")
    assert [(v.name, channels.spaces.index(v.space), v.repeats) for v in channels.vectors] == [
        ("2.weight", 1, 4),
        ("2.bias", 1, 4),
        ("3.bias", 2, 1),
    ]
    assert channels.vectors[0].of(torch.tensor([False, True])).tolist() == [False] * 4 + [True] * 4


@pytest.mark.parametrize("dropout_rate", [0.0, 0.5])
def test_active_channels_are_seen_after_norm_and_activation_and_before_pooling(dropout_rate: float) -> None:
    net = nn.Sequential(
        conv(1, 2, 3, bias=True),  # 0
        Norm(2, 1e-3),
        nn.LeakyReLU(inplace=True),  # 2
        Dropout(dropout_rate),
        nn.MaxPool2d(2),
        conv(2, 3, 1),  # 5
        nn.Flatten(),
        nn.ReLU(),  # 7
        nn.Linear(12, 2),  # 8
    ).eval()
    x, seen = torch.randn(4, 1, 4, 4), {}
    channels_of(net, "test").run(net, x, lambda kernel, active: seen.update({kernel.name: active.clone()}))
    assert {name: tuple(active.shape) for name, active in seen.items()} == {
        "0.weight": (4, 2, 16),
        "5.weight": (4, 3, 4),
        "8.weight": (4, 2, 1),
    }
    assert torch.equal(seen["0.weight"], net[:3](x).reshape(4, 2, 16))
    assert torch.equal(seen["5.weight"], net[:8](x).reshape(4, 3, 4))
    assert torch.equal(seen["8.weight"], net(x).unsqueeze(2))


@pytest.mark.parametrize("width", [1.0, 0.3, 1 / 64])
@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_every_architecture_is_followed(meta: Callable[..., BlockNet], path: Any, width: float) -> None:
    section = yaml.safe_load(path.read_text())
    size = section["_min_image_size_"]
    architecture = instantiate({**section, "width": width}, "model")
    net = meta(architecture, (7,) if size is None else (3, max(size, 16), max(size, 16)), 5, 0.25)
    if any(isinstance(layer, nn.MultiheadAttention) for layer in net.modules()):
        with pytest.raises(NotFollowed, match=r"^method test does not apply: .*[^\n]$"):
            channels_of(net, "test")
    else:
        assert_consistent(net, 3 if size else 7, 5)


def assert_consistent(net: nn.Module, inputs: int, outputs: int) -> Channels:
    """Every kernel and every bias and norm is there once, with the shape of what it reads and writes."""
    channels = channels_of(net, "test")
    parameters = dict(net.named_parameters())
    assert sorted(kernel.name for kernel in channels.kernels) == sorted(kernel_names(net))
    assert {k.name for k in channels.kernels} | {v.name for v in channels.vectors} == parameters.keys()
    for kernel in channels.kernels:
        reads, writes = kernel.reads.channels, kernel.writes.channels
        expected = (writes, 1 if kernel.is_depthwise else reads * kernel.repeats)
        assert parameters[kernel.name].shape[:2] == expected, kernel.name
    for vector in channels.vectors:
        assert parameters[vector.name].shape == (vector.space.channels * vector.repeats,)
    marked = [[channels.spaces[n] for n in spaces_where(channels, mark)] for mark in ("is_input", "is_output")]
    assert [[space.channels for space in spaces] for spaces in marked] == [[inputs], [outputs]]
    return channels


def test_a_torchvision_network_with_hooks_on_its_blocks() -> None:
    # A leaf among the blocks, too.
    blocks = ["conv1", "layer1.0", "layer1.1", "layer2", "layer3", "layer4"]
    net = BlockNet.wrap(models.resnet18(num_classes=5), blocks, sample=torch.zeros(2, 3, 32, 32))
    channels = assert_consistent(net, 3, 5)
    assert len(spaces_where(channels, "is_joined")) == 4
    for slot in net.lambdas:
        slot.fill(torch.tensor(0.5), torch.tensor(2.0))
    net.eval()
    x, seen = torch.randn(2, 3, 32, 32), {}
    channels.run(net, x, lambda kernel, active: seen.update({kernel.name: active}))
    assert torch.equal(seen["model.fc.weight"][:, :, 0], net(x))


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.scale = nn.Linear(4, 4), nn.Parameter(torch.ones(4))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * self.scale


class Function(nn.Module):
    """A network of some layers and a function of them and the input."""

    def __init__(self, function: Callable[..., Any], **layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleDict(layers)

    def forward(self, x: Tensor) -> Any:
        return self.function(x, **self.layers)


def branching(x: Tensor, a: nn.Module) -> Tensor:
    return a(x) if x.sum() > 0 else x


@pytest.mark.parametrize(
    ("net", "reason"),
    [
        (Function(lambda x, a, b: torch.cat([a(x), b(x)], 1), a=conv(1, 2, 1), b=conv(1, 2, 1)), "cat"),
        (Function(lambda x, a: a(x).view(-1, 2), a=nn.Linear(4, 4)), "view"),
        (Function(lambda x, a: a(x).mean(1), a=conv(1, 2, 1)), "a mean over other dimensions than the pixels'"),
        (
            Function(lambda x, a: a(a(x)), a=nn.Linear(4, 4)),
            "weights that are computed, or used more than once in layer",
        ),
        (Function(lambda x, a: (a(x), x), a=nn.Linear(4, 4)), "an output that is not one tensor"),
        (Function(lambda x, a, b: a(x), a=nn.Linear(4, 4), b=nn.Linear(4, 4)), "the layer of layers.b.weight"),
        (Function(lambda x, a: a(x) + x, a=nn.Linear(4, 2)), "add of different numbers of channels"),
        (Function(lambda x, a, b: a(x) * b(x).mean((2, 3)), a=conv(1, 2, 1), b=conv(1, 2, 1)), "mul of images and vec"),
        (nn.Sequential(conv(4, 8, 3, groups=2)), "a convolution in groups in layer 0"),
        (nn.Sequential(conv(1, 2, 1), nn.Linear(3, 3)), "a dense layer of images that are not flattened in layer 1"),
        (nn.Sequential(nn.Linear(3, 4), conv(4, 2, 1)), "a convolution of vectors in layer 1"),
        (nn.Sequential(conv(1, 2, 1), nn.LayerNorm([2, 4, 4])), "LayerNorm of images in layer 1"),
        (nn.Sequential(nn.Linear(4, 4), nn.Unflatten(1, (2, 2))), "Unflatten in layer 1"),
        (nn.Sequential(nn.Linear(4, 4), nn.GLU()), "GLU in layer 1"),
        (nn.Sequential(nn.ConvTranspose2d(1, 2, 3)), "ConvTranspose2d in layer 0"),
        (nn.Sequential(nn.Linear(4, 4), Scaled()), "mul with a tensor that has no channels in layer 1"),
        (Function(lambda x, a: a(x, x, x)[0], a=nn.MultiheadAttention(4, 2)), "MultiheadAttention in layer layers.a"),
        (Function(branching, a=nn.Linear(4, 4)), "its forward pass, which cannot be traced (symbolically traced"),
        (nn.Sequential(nn.ReLU()), "the network's input, which no layer reads"),
        (nn.utils.parametrizations.weight_norm(nn.Linear(4, 2)), "linear"),
    ],
)
def test_what_cannot_be_followed_is_named_in_one_line(net: nn.Module, reason: str) -> None:
    with pytest.raises(NotFollowed) as caught:
        channels_of(net, "kels")
    message = str(caught.value)
    assert message.startswith("method kels does not apply: the network's channels cannot be followed through ")
    assert "\n" not in message
    assert f"through {reason}" in message
    assert net.training
