"""The training step on a GPU: images per second, share of peak and of bandwidth, against plain PyTorch, in one run.

    python benchmarks/gpu_step.py [--models resnet50,mobilenet,vgg16] [--image-size 224] [--batch 256] [--steps 20]

Each variant takes the same steps (forward, backward, SGD with momentum) on batches that are on the GPU, in bf16:

- plain: torch's own modules with GroupNorm(1), NCHW, eager, autocast: what a researcher would write; no data loading.
- BatchNorm: the same with BatchNorm, channels last: how fast the network is without the norm tax.
- BatchNorm compiled: that through inductor.
- eager: ours without a compiler: channels last, our Triton norm.
- compiled: ours as experiments run it (`compile=auto`): inductor, with inductor's norm.
- compiled+triton: inductor around our Triton norm.
- graph: compiled, replayed as CUDA graphs (`compile=reduce-overhead`).

Every variant is timed in `--pairs` turns and medians are quoted, with the time that the first step took. Flops are
counted by torch (forward and backward); `bandwidth` is the share of the GPU's that the activations of convolutions and
norms need if each is written once and read twice in the forward pass, and as much again in the backward pass. Without a
CUDA device this script says so and exits with 1.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import latest
import torch
from plain import plain_twin
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from reinit_bench.kernels.norm import norm_kind
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.layers import Architecture
from reinit_bench.models.mobilenet import MobileNet
from reinit_bench.models.resnet50 import ResNet50
from reinit_bench.models.scnn import Scnn
from reinit_bench.models.vgg16 import Vgg16
from reinit_bench.training.device import set_up_arithmetic
from reinit_bench.training.step import TrainingStep

MODELS: dict[str, type[Architecture]] = {"resnet50": ResNet50, "mobilenet": MobileNet, "vgg16": Vgg16, "scnn": Scnn}
AIMS = {"resnet50": 5000.0, "mobilenet": 12000.0, "vgg16": 4250.0}
OVER_PLAIN, OF_BATCH_NORM = 2.0, 0.85
# Dense bf16 TFLOP/s and TB/s by what the device's name contains, from the vendor's data sheets.
PEAKS = {"H200": (989.0, 4.8), "H100 PCIe": (756.0, 2.0), "H100": (989.0, 3.35), "A100": (312.0, 2.0)}


def variants(net: BlockNet, batch: int) -> dict[str, tuple[str, bool, Callable[[], tuple[nn.Module, TrainingStep]]]]:
    """By name: which norm, whether images are channels last, and how to build the network and its step."""

    def of(twin: nn.Module, backend: str | None = None) -> tuple[nn.Module, TrainingStep]:
        return twin, TrainingStep(twin, "bf16", batch, backend=backend)

    def batch_norm() -> nn.Module:
        return plain_twin(net, batch_norm=True).to(memory_format=torch.channels_last)

    return {
        "plain": ("plain", False, lambda: of(plain_twin(net))),
        "BatchNorm": ("plain", True, lambda: of(batch_norm())),
        "BatchNorm compiled": ("plain", True, lambda: of(batch_norm(), "inductor")),
        "eager": ("auto", True, lambda: of(net)),
        "compiled": ("auto", True, lambda: of(net, "inductor")),
        "compiled+triton": ("triton", True, lambda: of(net, "inductor")),
        "graph": ("auto", True, lambda: of(net, "reduce-overhead")),
    }


def measure(
    arguments: argparse.Namespace,
    device: torch.device,
    norm: str,
    last: bool,
    make: Callable[[], tuple[nn.Module, TrainingStep]],
) -> dict[str, float]:
    """Images per second, seconds of the first step, and peak memory of one variant."""
    torch._dynamo.reset()
    synchronize = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    net, step = make()
    layout = torch.channels_last if last else torch.contiguous_format
    shape = (arguments.batch, 3, arguments.image_size, arguments.image_size)
    images = torch.randn(shape, device=device).to(memory_format=layout)
    labels = torch.randint(100, (arguments.batch,), device=device)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9, fused=device.type == "cuda")

    def take() -> None:
        optimizer.zero_grad(set_to_none=True)
        step(images, labels)
        optimizer.step()

    with norm_kind(norm):
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        take()
        synchronize()
        first = time.perf_counter() - began
        for _ in range(3):
            take()
        synchronize()
        began = time.perf_counter()
        for _ in range(arguments.steps):
            take()
        synchronize()
        rate = arguments.steps * arguments.batch / (time.perf_counter() - began)
    memory = torch.cuda.max_memory_allocated() / 2**30 if device.type == "cuda" else math.nan
    return {"rate": rate, "first": first, "memory": memory}


def work_per_image(net: nn.Module, size: int, device: torch.device) -> tuple[float, float]:
    """Flops of a training step per image, and bytes of activations that it moves in bf16."""
    numbers = []
    hooks = [
        module.register_forward_hook(lambda module, inputs, output: numbers.append(output.numel()))
        for module in net.modules()
        if isinstance(module, (nn.Conv2d, nn.GroupNorm))
    ]
    images = torch.randn(2, 3, size, size, device=device)
    with norm_kind("plain"), FlopCounterMode(display=False) as counter:
        net(images).sum().backward()
    for hook in hooks:
        hook.remove()
    return counter.get_total_flops() / 2, sum(numbers) / 2 * 2 * 6


def compare(arguments: argparse.Namespace, name: str, device: torch.device) -> list[dict[str, Any]]:
    """Measure one model; returns the rows for the table."""
    shape = (3, arguments.image_size, arguments.image_size)
    net = MODELS[name]().build(shape, 100, 0.0).to(device=device, memory_format=torch.channels_last)
    flops, moved = work_per_image(net, arguments.image_size, device)
    title = f"{name}, {arguments.image_size}x{arguments.image_size}, batch {arguments.batch}, bf16"
    label = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    peak = next((value for key, value in PEAKS.items() if key in label), (math.nan, math.nan))
    print(f"{title} on {label}: {flops / 1e9:.1f} GFLOP and {moved / 1e6:.0f} MB per image")
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(arguments.pairs):
        for kind, (norm, last, make) in variants(net, arguments.batch).items():
            if kind not in found or found[kind]:
                with contextlib.suppress(torch.OutOfMemoryError):
                    found.setdefault(kind, []).append(measure(arguments, device, norm, last, make))
    rates = {kind: statistics.median(turn["rate"] for turn in turns) for kind, turns in found.items() if turns}
    for kind, rate in rates.items():
        share, bandwidth = rate * flops / 1e12 / peak[0], rate * moved / 1e12 / peak[1]
        print(
            f"  {kind:20s} {rate:8.0f} images/s  {rate * flops / 1e12:6.0f} TFLOP/s ({share:.0%} of peak)"
            f"  {bandwidth:.0%} of bandwidth  {found[kind][0]['memory']:.1f} GiB"
            f"  first step {found[kind][0]['first']:.1f} s"
        )
    ours, aim = rates["compiled"], AIMS.get(name)
    rows = [latest.row(f"step: {title}", ours, aim, ours / aim if aim else None, 1.0, "images/s", label)]
    normed = [rates[kind] for kind in ("BatchNorm", "BatchNorm compiled") if kind in rates]
    for beside, base, target in (
        ("plain", rates.get("plain"), OVER_PLAIN),
        ("BatchNorm", max(normed, default=None), OF_BATCH_NORM),
    ):
        ratio, wanted = ours / base if base else None, target if name == "resnet50" else None
        rows.append(latest.row(f"step over {beside}: {title}", ours, base, ratio, wanted, "images/s", label))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="resnet50,mobilenet,vgg16", help="comma-separated")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--device", default="cuda", help="cpu only to try the script: its figures mean nothing")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("no CUDA device here: this benchmark needs one")
    device = torch.device(arguments.device)
    set_up_arithmetic(device)
    for name in arguments.models.split(","):
        rows = compare(arguments, name, device)
        print(latest.table(rows)) if device.type == "cpu" else latest.merge(rows)


if __name__ == "__main__":
    main()
