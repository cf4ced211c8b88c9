"""Augmentation: batches as a training step gets them, against torchvision's v2 transforms, in one run on one thread.

    python benchmarks/augment.py [--sizes 32,224] [--batches 5] [--pairs 5]

Ours is `Task.train_batch` on resident uint8 images, standardization included. The baselines do to the same images what
a researcher writes, v2.Compose of RandomCrop with padding, RandomHorizontalFlip, (RandAugment,) ToDtype and Normalize:

- each: on one image after the other, then stacked, as the workers of a DataLoader do.
- at once: on the whole batch in one call, which gives all its images the same crop, flip and operations: less random,
  so it is another augmentation; the ratio says what random draws for each image cost.

Each turn measures all three, so that a drifting machine affects all alike; medians are quoted.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import latest
import torch
from torch import Tensor
from torchvision.transforms import v2

from reinit_bench.core.randomness import stream
from reinit_bench.data.augment import Augmentation, Standard
from reinit_bench.data.randaugment import RandAugment
from reinit_bench.data.task import Split, Task
from reinit_bench.training.device import set_up_arithmetic

BATCHES = {32: 256, 224: 64}
"""Images in a batch, by their side in pixels."""
TARGET = 1.0


def photos(side: int) -> Tensor:
    """A batch of smooth random images, uint8 (n, side, side, 3)."""
    small = 255 * torch.rand((BATCHES.get(side, 64), 3, 8, 8), generator=stream(0, "photos"))
    smooth = torch.nn.functional.interpolate(small, size=(side, side), mode="bilinear")
    return smooth.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def our_batch(images: Tensor, augmentation: Augmentation) -> Callable[[int], Tensor]:
    """What serves the batch of a step."""
    split = Split(images, None, torch.zeros(len(images), dtype=torch.int64))
    task = Task(
        train=split,
        train_enlarged=None,
        validation=split,
        test=split,
        num_classes=1,
        image_size=images.shape[1],
        mean=torch.full((3, 1, 1), 127.5),
        std=torch.full((3, 1, 1), 63.75),
        augmentation=augmentation,
    )
    positions = torch.arange(len(images))
    return lambda step: task.train_batch(positions, stream(0, "augment", step))[0]


def plain_pipeline(side: int, augmentation: Augmentation) -> Callable[[Tensor], Tensor]:
    """The same in torchvision's words."""
    steps = [v2.RandomCrop(side, padding=side // 8), v2.RandomHorizontalFlip()]
    if isinstance(augmentation, RandAugment):
        steps.append(v2.RandAugment())
    return v2.Compose([*steps, v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.25] * 3)])


def rate(serve: Callable[[int], Tensor], batches: int) -> float:
    """Images per second."""
    started = time.perf_counter()
    served = sum(len(serve(step)) for step in range(batches))
    return served / (time.perf_counter() - started)


def compare(side: int, augmentation: Augmentation, name: str, batches: int, pairs: int) -> list[dict]:
    """Measure one augmentation in turns; returns the rows for the table."""
    images = photos(side)
    stacked = images.permute(0, 3, 1, 2).contiguous()
    ours, plain = our_batch(images, augmentation), plain_pipeline(side, augmentation)
    ways = (
        ours,
        lambda step: torch.stack([plain(image) for image in stacked]),
        lambda step: plain(stacked),
    )
    for way in ways:
        assert way(0).shape == stacked.shape
    torch.manual_seed(0)  # the plain pipelines draw from it
    turns = [[rate(way, batches) for way in ways] for _ in range(pairs)]
    mine, each, at_once = (statistics.median(column) for column in zip(*turns, strict=True))
    ratios = [statistics.median(turn[0] / turn[baseline] for turn in turns) for baseline in (1, 2)]
    title = f"{name}, {side}x{side}, batch {len(images)}"
    return [
        latest.row(f"augmentation {title}, each image", mine, each, ratios[0], TARGET, "images/s"),
        latest.row(f"augmentation {title}, batch at once", mine, at_once, ratios[1], None, "images/s"),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="32,224", help="comma-separated")
    parser.add_argument("--batches", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    set_up_arithmetic(torch.device("cpu"))
    rows = []
    for side in map(int, arguments.sizes.split(",")):
        for name, augmentation in (("standard", Standard()), ("randaugment", RandAugment())):
            rows += compare(side, augmentation, name, arguments.batches, arguments.pairs)
    latest.merge(rows)


if __name__ == "__main__":
    main()
