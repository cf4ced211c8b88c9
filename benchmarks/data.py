"""Data: preparing photos, serving and augmenting batches, against torchvision, in one run.

    python benchmarks/data.py [--images 1024] [--batches 8] [--pairs 3]

On a folder of JPEG photos (500x375, like those of the photo datasets) that it writes:

- preparing: each image is decoded once and resized to 224 pixels, training images to 248 too. Ours uses all cores,
  writes a cache and hashes it. The baseline is one process with PIL and torchvision, and keeps nothing.
- serving: augmented batches of 256 at 224x224, standardized. Ours: `Task.train_batch` from the cache. The baseline is
  `ImageFolder` with Resize(248), RandomCrop(224), RandomHorizontalFlip, ToTensor and Normalize in a `DataLoader` of two
  workers, its start not counted.

And on resident images of 32 and 224 pixels, with one thread:

- augmenting: `standard` and `randaugment`, against torchvision's v2 transforms on one image after the other, as a
  DataLoader's worker does; and on the whole batch in one call, which draws once for all its images: less random.
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import paired
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from reinit_bench.cli.compose import composer
from reinit_bench.core.config import Experiment
from reinit_bench.core.randomness import stream
from reinit_bench.data.augment import Augmentation, Standard
from reinit_bench.data.randaugment import RandAugment
from reinit_bench.data.task import Split, Task, load_task
from reinit_bench.training.device import set_up_arithmetic

BATCH, SIZE, ENLARGED, CLASSES = 256, 224, 248, 8
AUGMENTED = {32: 256, 224: 64}
"""Images in an augmented batch, by their side in pixels."""


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


def our_task(photos: Path, cache: Path) -> Task:
    """The data as any run would load them; cached in `cache` on first use."""
    os.environ["REINIT_BENCH_DATA"] = str(cache)
    with composer() as compose:
        experiment = Experiment.from_dict(
            compose.compose(["dataset=image_folder", f"dataset.path={photos}", "augmentation=mild"])
        )
    return load_task(experiment, torch.device("cpu"))


def prepare_ours(photos: Path, cache: Path, images: int) -> float:
    """Images per second of loading the data when there is no cache yet."""
    started = time.perf_counter()
    our_task(photos, cache)
    return images / (time.perf_counter() - started)


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


def serve_ours(task: Task, batches: int) -> float:
    """Images per second of `Task.train_batch`."""
    started = time.perf_counter()
    for number in range(batches):
        order = torch.randperm(len(task.train), generator=stream(0, "order", number))
        positions = order.repeat(-(-BATCH // len(order)))[:BATCH]
        inputs, _ = task.train_batch(positions, stream(0, "augment", number))
        assert inputs.shape == (BATCH, 3, SIZE, SIZE)
    return batches * BATCH / (time.perf_counter() - started)


def torchvision_batches(photos: Path) -> Iterator[Tensor]:
    """Endless batches of ImageFolder and DataLoader."""
    steps = [transforms.Resize((ENLARGED, ENLARGED)), transforms.RandomCrop(SIZE), transforms.RandomHorizontalFlip()]
    steps += [transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.25] * 3)]
    folder = ImageFolder(str(photos / "train"), transforms.Compose(steps))
    loader = DataLoader(folder, batch_size=BATCH, shuffle=True, num_workers=2, drop_last=True)
    while True:
        for inputs, _ in loader:
            yield inputs


def serve_torchvision(photos: Path, batches: int) -> float:
    """Images per second of `torchvision_batches`, after the first batch."""
    served = torchvision_batches(photos)
    next(served)
    started = time.perf_counter()
    for inputs in itertools.islice(served, batches):
        assert inputs.shape == (BATCH, 3, SIZE, SIZE)
    return batches * BATCH / (time.perf_counter() - started)


def smooth_images(side: int) -> Tensor:
    """A batch of smooth random images, uint8 (n, side, side, 3)."""
    small = 255 * torch.rand((AUGMENTED[side], 3, 8, 8), generator=stream(0, "photos"))
    smooth = torch.nn.functional.interpolate(small, size=(side, side), mode="bilinear")
    return smooth.round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def our_batches(images: Tensor, augmentation: Augmentation) -> Callable[[int], Tensor]:
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


def compare_augmentation(side: int, name: str, augmentation: Augmentation, given: argparse.Namespace) -> None:
    """Ours beside each image on its own, and beside the batch at once."""
    images = smooth_images(side)
    stacked = images.permute(0, 3, 1, 2).contiguous()
    ours, plain = our_batches(images, augmentation), plain_pipeline(side, augmentation)
    torch.manual_seed(0)  # the plain pipelines draw from it

    def rate(serve: Callable[[int], Tensor]) -> float:
        started = time.perf_counter()
        served = sum(len(serve(step)) for step in range(given.batches))
        return served / (time.perf_counter() - started)

    baselines: dict[str, Callable[[int], Tensor]] = {
        "each image": lambda step: torch.stack([plain(image) for image in stacked]),
        "batch at once": lambda step: plain(stacked),
    }
    for way, serve in baselines.items():
        title = f"augmenting by {name}, {side}x{side}, batch {len(images)}, against {way}"
        pair = (lambda: rate(ours)), (lambda serve=serve: rate(serve))
        paired.keep([paired.in_turns(title, *pair, given.pairs, "images/s", warm_ups=1)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--batches", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=3)
    given = parser.parse_args()
    set_up_arithmetic(torch.device("cpu"))
    with tempfile.TemporaryDirectory() as root:
        photos, caches = Path(root) / "photos", (Path(root) / f"cache{number}" for number in itertools.count())
        write_photos(photos, given.images)
        ours = lambda: prepare_ours(photos, next(caches), given.images)  # noqa: E731
        title = "preparing photos, 224x224 and 248x248"
        paired.keep(
            [paired.in_turns(title, ours, lambda: prepare_torchvision(photos), given.pairs, "images/s", target=2)]
        )
        task = our_task(photos, Path(root) / "cache0")
        serve_ours(task, 1)  # takes the memory of the others
        ways = (lambda: serve_ours(task, given.batches)), (lambda: serve_torchvision(photos, given.batches))
        title = "serving augmented batches, 224x224"
        paired.keep([paired.in_turns(title, *ways, given.pairs, "images/s", target=5)])
    torch.set_num_threads(1)
    for side in AUGMENTED:
        for name, augmentation in (("standard", Standard()), ("randaugment", RandAugment())):
            compare_augmentation(side, name, augmentation, given)


if __name__ == "__main__":
    main()
