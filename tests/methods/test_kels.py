"""KELS: which elements are redrawn, and that the kept channels are a network of their own."""

from __future__ import annotations

import pytest
import torch
from fake_training import Concatenating, FakeRun
from torch import Tensor, nn

from reinit_bench.core.settings import ConfigError
from reinit_bench.methods.kels import Kels
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.channel_tracing import channels_of
from reinit_bench.models.initializers import HeNormal, initialize
from reinit_bench.models.layers import Architecture, Norm
from reinit_bench.models.mobilenet import MobileNet
from reinit_bench.models.resnet50 import ResNet50
from reinit_bench.models.scnn import Scnn


def test_a_depthwise_kernel_is_split_by_channel() -> None:
    net = MobileNet(width=1 / 8).build((3, 8, 8), 3, 0.0)
    mask = Kels().select(net, FakeRun().context(2))
    depthwise = mask["blocks.0.separable.depthwise.weight"]
    assert depthwise.shape == (4, 1, 3, 3)
    assert depthwise.flatten(1).all(1).tolist() == depthwise.flatten(1).any(1).tolist() == [False, False, True, True]


@pytest.mark.parametrize(
    ("keep", "channels", "kept"), [(0.5, 5, 3), (0.55, 100, 55), (0.28, 25, 7), (0.07, 100, 7), (0.01, 3, 1)]
)
def test_the_number_of_kept_channels_is_rounded_up_exactly(keep: float, channels: int, kept: int) -> None:
    # In floating point, 0.55 * 100, 0.28 * 25 and 0.07 * 100 are above 55, 7 and 7.
    net = BlockNet([nn.Linear(2, channels)], nn.Linear(channels, 2))
    mask = Kels(keep=keep).select(net, FakeRun().context(2))
    assert int((~mask["top.weight"]).sum()) == int((~mask["blocks.0.weight"]).sum()) == 2 * kept


def test_scope_all_resets_biases_and_norms_of_dropped_channels() -> None:
    run = FakeRun()
    run.train()
    before, mask = run.begin(Kels(scope="all"), 2)
    assert mask.keys() == run.parameters.keys()
    for name, kept, value in [
        ("blocks.3.conv.bias", 2, 0.0),
        ("blocks.3.norm.weight", 2, 1.0),
        ("blocks.3.norm.bias", 2, 0.0),
        ("top.hidden.norm.weight", 16, 1.0),
        ("top.head.bias", 3, 0.0),
    ]:
        now = run.parameters[name]
        assert torch.equal(now[:kept], before[name][:kept]), name
        assert torch.equal(now[kept:], torch.full_like(now[kept:], value)), name


class OnlyRelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x)


def without_norms(net: nn.Module) -> None:
    """The paper's norm mixes all channels of an example; the networks of KELS have norms that do not."""
    for module in net.modules():
        for name, child in module.named_children():
            if isinstance(child, Norm):
                setattr(module, name, OnlyRelu() if child.relu else nn.Identity())


@pytest.mark.parametrize("tenths", [3, 5])
@pytest.mark.parametrize(
    "architecture",
    [ResNet50(width=1 / 16), ResNet50(width=1 / 16, version=2), MobileNet(width=1 / 16), Scnn(width=5 / 32)],
    ids=["resnet50", "resnet50 v2", "mobilenet", "scnn"],
)
def test_kept_channels_are_a_network_of_their_own(architecture: Architecture, tenths: int) -> None:
    """Without the weights from dropped to kept channels, whatever else the mask names may have any value."""
    net = architecture.build((3, 16, 16), 3, 0.0)
    initialize(net, HeNormal(), 0)
    without_norms(net)
    # Positive throughout, so that no ReLU hides a dependence; in doubles, since the layers' factors add up.
    net.double()
    mask = Kels(keep=tenths / 10).select(net, FakeRun().context(2))
    channels = channels_of(net, "test")
    kept = {
        space: space.channels if space.is_input or space.is_output else -(-space.channels * tenths // 10)
        for space in channels.spaces
    }
    inputs, outputs = torch.rand(4, 3, 16, 16, dtype=torch.float64), []
    for _ in range(2):
        with torch.no_grad():
            for name, value in net.named_parameters():
                value.abs_()
                if name in mask:
                    value.copy_(torch.where(mask[name], torch.rand_like(value), value))
            for kernel in channels.kernels:
                if not kernel.is_depthwise:
                    between = net.get_parameter(kernel.name)[
                        : kept[kernel.writes], kept[kernel.reads] * kernel.repeats :
                    ]
                    between.zero_()
        outputs.append(net(inputs))
    assert torch.equal(outputs[0], outputs[1])
    assert outputs[0].min() > 0
    with torch.no_grad():
        for name, chosen in mask.items():
            net.get_parameter(name).add_(chosen)
    assert not torch.equal(net(inputs), outputs[0]), "the mask names no weight that matters"


def test_a_network_that_cannot_be_followed_is_refused_in_the_first_round() -> None:
    net = BlockNet([Concatenating()], nn.Identity())
    with pytest.raises(ConfigError, match=r"^method kels does not apply: .* through cat in layer blocks\.0$"):
        Kels().select(net, FakeRun().context(1))
