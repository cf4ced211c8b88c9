"""From images as they were read, by TFDS or from a user's files, to the cache: decode, resize, hash."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from reinit_bench.core.settings import ConfigError
from reinit_bench.data.cache import Cache, CacheWriter
from reinit_bench.data.pixels import Decoding, fill
from reinit_bench.data.preparing.content import Image, Record, Seen
from reinit_bench.data.preparing.job import Job


@dataclass(frozen=True)
class Read:
    """A dataset as it was read.

    Attributes:
        splits: the number of images of each split, and the images, train first.
        shape: height and width, None where images differ, and channels.
        about: what the manifest says of where it is from.
    """

    splits: Mapping[str, tuple[int, Iterable[Record]]]
    num_classes: int
    shape: tuple[int | None, int | None, int]
    about: Mapping[str, Any]


def write(job: Job, read: Read, console: Console) -> Cache:
    """Write the cache of what was read.

    Raises:
        ConfigError: counts, classes or content are not the expected ones, or an image cannot be decoded.
    """
    _check(job, read)
    seen = Seen()
    with (
        CacheWriter(job.cache.path) as writer,
        Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=console) as progress,
    ):
        for split, (count, records) in read.splits.items():
            task = progress.add_task(f"{job.builder} {split}", total=count)
            seen_records = progress.track(seen.through(split, records), task_id=task)
            _fill(job, writer, split, count, seen_records, read.shape)
        content = job.content(seen)
        return writer.finish(_about(job, read, content, seen))


def _fill(
    job: Job, writer: CacheWriter, split: str, count: int, records: Iterable[Record], shape: tuple[int | None, ...]
) -> None:
    """Decode one split into the writer's arrays, one per size."""
    height, width, channels = shape
    arrays = {
        side: writer.images(split, side, (count, side or height or 0, side or width or 0, channels or 3))
        for side in job.sides(split)
    }
    labels = np.empty(count, np.int64)

    def images() -> Iterator[Image]:
        for row, (image, label) in enumerate(records):
            labels[row] = label
            yield image

    for row, reason in fill(arrays, images(), Decoding(channels=channels or 3)).items():
        raise ConfigError(f"{job.title}: image {row} of {split} cannot be decoded: {reason}")
    if without := int((labels < 0).sum()):
        raise ConfigError(f"{job.title}: {without:,} images of its split for {split} have no label; name another split")
    writer.labels(split, labels)


def _check(job: Job, read: Read) -> None:
    found = {split: count for split, (count, _) in read.splits.items()}
    expected = {split: count for split, count in job.counts.items() if split in found and count is not None}
    if expected != {split: found[split] for split in expected}:
        raise ConfigError(f"{job.title} has {_words(found)}; expected {_words(expected)}")
    if job.source.num_classes not in (None, read.num_classes):
        raise ConfigError(f"{job.title} has {read.num_classes} classes; expected {job.source.num_classes}")


def _words(counts: Mapping[str, int]) -> str:
    return " and ".join(f"{count:,} {split} images" for split, count in counts.items())


def _about(job: Job, read: Read, content: str, seen: Seen) -> dict[str, Any]:
    return {
        "builder": job.builder,
        "config": job.config,
        **read.about,
        "num_classes": read.num_classes,
        "resize": "bilinear, half-pixel centres, no antialiasing" if job.source.stored_size else None,
        "train_per_class": job.source.train_per_class,
        "content": content,
        "fingerprints": {split: str(fingerprint) for split, fingerprint in seen.splits.items()},
        "copies_of_training": dict(seen.copies),
    }
