"""Times the layers in C and torch's on the shapes of scnn and vgg16 at 32x32; run as a program by `choice.measure`.

Prints a JSON object: for each kind of layer, the processor seconds of ours and of torch's, forward and backward.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from reinit_bench.core.machine import keep_freed_memory
from reinit_bench.kernels import convolution_cpu, norm_cpu
from reinit_bench.kernels.norm import plain_norm

CONVOLUTIONS = ((16, 32, 32, 32), (16, 64, 64, 16), (8, 128, 128, 16), (8, 256, 256, 8))
"""Images, input channels, output channels, pixels a side."""
NORMS = ((16, 32, 32), (16, 64, 32), (16, 128, 16))
"""Images, channels, pixels a side."""
SECONDS = 0.1
"""For how long each layer is timed, ours and torch's in turns."""

Layer = Callable[[], Tensor]


def convolutions(images: int, inputs: int, outputs: int, side: int) -> tuple[Layer, Layer, Sequence[Tensor]]:
    """Our layer, torch's, and what both differentiate by."""
    x, bias = _values(images, inputs, side, side), _values(outputs)
    weight = _values(outputs, inputs, 3, 3)
    return (
        lambda: convolution_cpu.convolution(x, weight, bias),
        lambda: functional.conv2d(x, weight, bias, padding=1),
        (x, weight, bias),
    )


def norms(images: int, channels: int, side: int) -> tuple[Layer, Layer, Sequence[Tensor]]:
    """The same for norms with a ReLU."""
    x, weight, bias = _values(images, channels, side, side), _values(channels), _values(channels)
    return (
        lambda: norm_cpu.group_norm(x, weight, bias, 1e-3, True),
        lambda: plain_norm(x, weight, bias, 1e-3, relu=True),
        (x, weight, bias),
    )


def seconds_of(layers: Sequence[tuple[Layer, Layer, Sequence[Tensor]]]) -> tuple[float, float]:
    """Processor seconds of ours and of torch's: the sums over the layers of the least of many repeats."""
    ours = torchs = 0.0
    for our, torch_layer, leaves in layers:
        turns: list[tuple[float, float]] = []
        while len(turns) < 4 or sum(map(sum, turns)) < SECONDS:
            turns.append((_once(our, leaves), _once(torch_layer, leaves)))
        ours += min(turn[0] for turn in turns)
        torchs += min(turn[1] for turn in turns)
    return ours, torchs


def _once(layer: Layer, leaves: Sequence[Tensor]) -> float:
    started = time.process_time()
    y = layer()
    torch.autograd.grad(y, leaves, torch.ones_like(y))
    return time.process_time() - started


def _values(*shape: int) -> Tensor:
    values = torch.randn(shape)
    return (values.to(memory_format=torch.channels_last) if len(shape) == 4 else values).requires_grad_()


def main() -> None:
    """Print the times."""
    torch.set_num_threads(1)
    keep_freed_memory()  # as a run does: otherwise most of a norm's time is spent on new memory
    made = {"convolution": [convolutions(*shape) for shape in CONVOLUTIONS], "norm": [norms(*s) for s in NORMS]}
    print(json.dumps({kind: seconds_of(layers) for kind, layers in made.items()}))


if __name__ == "__main__":
    main()
