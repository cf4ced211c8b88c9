"""A run without training: between rounds, noise changes the parameters as training would."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from bits import copy_state
from torch import Tensor, nn

from reinit_bench.core.randomness import stream
from reinit_bench.core.rounds import Round
from reinit_bench.methods.base import Context, Mask, Reinitializer, begin_round
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.initializers import HeNormal, initialize
from reinit_bench.models.layers import conv
from reinit_bench.models.mlp import Mlp
from reinit_bench.models.mobilenet import MobileNet
from reinit_bench.models.parameters import frobenius, norm_names
from reinit_bench.models.resnet18 import ResNet18
from reinit_bench.models.scnn import Scnn
from reinit_bench.models.vit_tiny import VitTiny

SHAPES = {"scnn": (1, 8, 8), "mlp": (7,), "mobilenet": (1, 8, 8), "resnet18": (1, 8, 8), "vit_tiny": (1, 8, 8)}
ARCHITECTURES = {
    "scnn": Scnn(width=1 / 16),
    "mlp": Mlp(hidden=(12, 9)),
    "mobilenet": MobileNet(width=1 / 32),
    "resnet18": ResNet18(width=1 / 16, stem="small"),
    "vit_tiny": VitTiny(width=1 / 16),
}
"""scnn: K = 4 blocks of 2 and 4 filters; mlp: K = 3 layers of 12, 9 and 3 units; mobilenet: several kernels a block;
resnet18 and vit_tiny: networks that are wrapped, K = 8 and 12."""


def build(model: str, dropout_rate: float = 0.0) -> BlockNet:
    """A tiny network with three classes."""
    return ARCHITECTURES[model].build(SHAPES[model], 3, dropout_rate)


class FakeRun:
    """A network between rounds, and what a method is told about it."""

    def __init__(self, model: str = "scnn", seed: int = 0, dropout_rate: float = 0.0) -> None:
        self.seed = seed
        self.net = build(model, dropout_rate)
        initialize(self.net, HeNormal(), seed, "initialize")
        self.initial = {name: value.detach().clone() for name, value in self.parameters.items()}
        self.norms = {name: frobenius(value) for name, value in self.parameters.items()}
        self.inputs = torch.randn(70, *SHAPES[model], generator=stream(seed, "inputs"))
        self.labels = torch.randint(3, (70,), generator=stream(seed, "labels"))
        self.micro_batch: int | None = None
        self.asked_for: list[int] = []
        """How many examples each call asked of the sample."""

    @property
    def parameters(self) -> dict[str, Tensor]:
        return dict(self.net.named_parameters())

    def examples(self, count: int) -> tuple[Tensor, Tensor]:
        self.asked_for.append(count)
        return self.inputs[:count], self.labels[:count]

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        return zip(self.inputs.split(size), self.labels.split(size), strict=True)

    def context(self, index: int, block: int = 0) -> Context:
        """What a method is told at the start of round `index`."""
        return Context(
            round=Round(index=index, block=block, repeat=1, max_steps=1),
            seed=self.seed,
            initializer=HeNormal(),
            initial=lambda: self.initial,
            initial_norms=self.norms,
            examples=self.examples,
            batches=self.batches,
            micro_batch=self.micro_batch,
        )

    def train(self) -> None:
        """Change every element of every parameter, and the kernels' norms by half."""
        with torch.no_grad():
            for name, value in self.parameters.items():
                value.mul_(1.5).add_(0.1 * torch.randn(value.shape, generator=stream(1, "fake training", name)))

    def begin(self, method: Reinitializer, index: int, block: int = 0) -> tuple[dict[str, Tensor], Mask]:
        """Begin round `index`; returns the state dict as it was before, and the mask of equation (1)."""
        before, context = copy_state(self.net), self.context(index, block)
        other = copy.deepcopy(self.net)
        with torch.no_grad():
            method.prepare(other, context)
        mask = method.select(other, context)
        self.asked_for.clear()
        begin_round(method, self.net, context)
        return before, mask

    def eta(self, name: str, index: int) -> Tensor:
        """Equation (1)'s eta for one parameter in round `index`, from its stream, by hand."""
        value = self.parameters[name]
        if value.dim() < 2:
            return torch.full(value.shape, 1.0 if name in norm_names(self.net) and name.endswith("weight") else 0.0)
        return HeNormal().draw(value, stream(self.seed, "reinitialize", index, name))


class Concatenating(nn.Module):
    """A block whose channels cannot be followed."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(1, 2, 1), conv(1, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.a(x), self.b(x)], 1)
