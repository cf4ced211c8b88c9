"""Data: preparing photos, serving augmented batches, and memory, against a torchvision pipeline, in one run.

    python benchmarks/data.py [--images 1024] [--batches 8] [--pairs 3]

Writes a folder of JPEG photos (500x375, like those of the photo datasets), then on the same images:

- preparing: both decode each image once and resize it to 224 pixels, training images to 248 too. Ours uses all cores,
  writes a cache, hashes it and sums up its channels: all that a run does before its first batch. The baseline is one
  process that decodes with PIL and resizes with torchvision, and keeps nothing.
- serving: augmented batches of 256 at 224x224 as float tensors, standardized. Ours: `Task.train_batch` from the cache.
  The baseline is `ImageFolder` with Resize(248), RandomCrop(224), RandomHorizontalFlip, ToTensor and Normalize in a
  `DataLoader` of two workers, its start not counted.
- memory: the growth of a process's private memory while ours serves the whole cache: what is mapped from the file is
  shared with the system and given back under memory pressure.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import latest
import numpy as np
import psutil
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from reinit_bench.cli.compose import composer
from reinit_bench.core.config import Experiment
from reinit_bench.core.randomness import stream
from reinit_bench.data.task import Task, load_task
from reinit_bench.training.device import set_up_arithmetic

BATCH, SIZE, ENLARGED, CLASSES = 256, 224, 248, 8
Rate = Callable[[], float]
"""Measures once; returns images per second."""
TARGETS = {"preparing": 2.0, "serving": 5.0}


def write_photos(folder: Path, count: int) -> None:
    """Smooth random photos, which compress about as real ones do: 30 to 60 kB each."""
    draw = np.random.default_rng(0)
    for number in range(count):
        small = draw.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        photo = np.asarray(Image.fromarray(small).resize((500, 375), Image.Resampling.BICUBIC)).astype(np.int16)
        noisy = np.clip(photo + draw.integers(-12, 13, photo.shape), 0, 255).astype(np.uint8)
        path = folder / ("test" if number % 9 == 0 else "train") / f"class{number % CLASSES}" / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noisy).save(path, quality=88)


def our_experiment(photos: Path) -> Experiment:
    """A run on the folder."""
    words = ["dataset=image_folder", f"dataset.path={photos}", "augmentation=mild", "dataset.test_fraction=0.2"]
    with composer() as compose:
        return Experiment.from_dict(compose.compose(words))


def our_task(experiment: Experiment, cache: Path) -> Task:
    """The data as any run would load them; cached in `cache` on first use."""
    os.environ["REINIT_BENCH_DATA"] = str(cache)
    device = torch.device("cpu")
    set_up_arithmetic(device)
    return load_task(experiment, device)


def prepare_ours(experiment: Experiment, cache: Path, images: int) -> float:
    """Images per second of loading the data when there is no cache yet."""
    started = time.perf_counter()
    our_task(experiment, cache)
    return images / (time.perf_counter() - started)


def serve_ours(task: Task, batches: int) -> float:
    """Images per second of `Task.train_batch`."""
    started = time.perf_counter()
    for number in range(batches):
        order = torch.randperm(len(task.train), generator=stream(0, "order", number))
        positions = order.repeat(-(-BATCH // len(order)))[:BATCH]
        inputs, _ = task.train_batch(positions, stream(0, "augment", number))
        assert inputs.shape == (BATCH, 3, SIZE, SIZE)
    return batches * BATCH / (time.perf_counter() - started)


def serve_torchvision(photos: Path, batches: int) -> float:
    """Images per second of ImageFolder and DataLoader, after the first batch."""
    steps = [
        transforms.Resize((ENLARGED, ENLARGED)),
        transforms.RandomCrop(SIZE),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize([0.5] * 3, [0.25] * 3),
    ]
    folder = ImageFolder(str(photos / "train"), transforms.Compose(steps))
    loader = DataLoader(folder, batch_size=BATCH, shuffle=True, num_workers=2, drop_last=True)
    seen, started = 0, 0.0
    while seen < batches:
        for inputs, _ in loader:
            assert inputs.shape == (BATCH, 3, SIZE, SIZE)
            if started == 0.0:
                started = time.perf_counter()
                continue
            seen += 1
            if seen == batches:
                break
    return batches * BATCH / (time.perf_counter() - started)


def prepare_torchvision(photos: Path) -> float:
    """Images per second of one process that decodes and resizes each image to the sizes that ours stores."""
    files = sorted(photos.glob("*/*/*.jpg"))
    both = [transforms.Resize((side, side)) for side in (SIZE, ENLARGED)]
    started = time.perf_counter()
    for file in files:
        image = Image.open(file).convert("RGB")
        for change in both if file.is_relative_to(photos / "train") else both[:1]:
            np.asarray(change(image))
    return len(files) / (time.perf_counter() - started)


def compare(what: str, name: str, ours: Rate, torchvision: Rate, pairs: int) -> None:
    """Measure both in turn, print each pair and the medians, and keep them among the latest figures."""
    rows = []
    for _ in range(pairs):
        row = (ours(), torchvision())
        rows.append((*row, row[0] / row[1]))
        print(f"  {what}: ours {row[0]:.0f}, torchvision {row[1]:.0f} images/s, ratio {rows[-1][2]:.2f}")
    fast, slow, ratio = (statistics.median(column) for column in zip(*rows, strict=True))
    print(
        f"{what}, median: ours {fast:.0f}, torchvision {slow:.0f} images/s, ratio {ratio:.2f} (target {TARGETS[what]})"
    )
    latest.merge([latest.row(name, fast, slow, ratio, TARGETS[what], "images/s")])


def private_bytes() -> int:
    """Private memory of this process, without mapped files."""
    full = psutil.Process().memory_full_info()
    return int(full.uss)


def main() -> None:
    """Print each figure, ours and torchvision's, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        photos = Path(root) / "photos"
        write_photos(photos, arguments.images)
        experiment = our_experiment(photos)
        caches = (Path(root) / f"cache{number}" for number in itertools.count())
        compare(
            "preparing",
            "preparing photos, 224x224 and 248x248",
            lambda: prepare_ours(experiment, next(caches), arguments.images),
            lambda: prepare_torchvision(photos),
            arguments.pairs,
        )
        task = our_task(experiment, Path(root) / "cache0")
        serve_ours(task, 1)  # as for the baseline, the first batch does not count: it takes the memory of the others
        compare(
            "serving",
            "serving augmented batches, 224x224",
            lambda: serve_ours(task, arguments.batches),
            lambda: serve_torchvision(photos, arguments.batches),
            arguments.pairs,
        )
        before = private_bytes()
        serve_ours(task, max(1, len(task.train) // BATCH) * 2)
        batch = BATCH * SIZE * SIZE * 3 * 4
        grown = private_bytes() - before
        print(
            f"memory: private memory grew by {grown / 1e6:.0f} MB while all was served; a batch is {batch / 1e6:.0f} MB"
        )


if __name__ == "__main__":
    main()
