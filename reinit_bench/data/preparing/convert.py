"""From TFDS's files to the cache: decode, resize, hash."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from reinit_bench.core.settings import ConfigError
from reinit_bench.data.cache import Cache, CacheWriter
from reinit_bench.data.pixels import Decoding
from reinit_bench.data.preparing.draw import draw_per_class
from reinit_bench.data.preparing.fill import fill
from reinit_bench.data.preparing.job import Job

Record = tuple[bytes, int]
"""An encoded image and its class number."""

READ_AT_ONCE = 32


def convert(job: Job, builder: Any, console: Console) -> Cache:
    """Write the cache of a prepared builder.

    Raises:
        ConfigError: counts or classes are not the expected ones, or an image cannot be decoded.
    """
    splits = _splits(job, builder)
    _check(job, builder, {split: count for split, (count, _) in splits.items()})
    with (
        CacheWriter(job.cache.path) as writer,
        Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=console) as progress,
    ):
        for split, (count, records) in splits.items():
            task = progress.add_task(f"{job.builder} {split}", total=count)
            _fill(job, writer, split, count, progress.track(records, task_id=task), builder)
        return writer.finish(_about(job))


def _fill(job: Job, writer: CacheWriter, split: str, count: int, records: Iterable[Record], builder: Any) -> None:
    """Decode one split into the writer's arrays, one per size."""
    height, width, channels = builder.info.features["image"].shape
    if job.side is None and None in (height, width):
        raise ConfigError(f"{job.title}: its images differ in size; set dataset.stored_size")
    arrays = {
        side: writer.images(split, side, (count, side or height, side or width, channels)) for side in job.sides(split)
    }
    labels = np.empty(count, np.int64)

    def images() -> Iterator[bytes]:
        for row, (image, label) in enumerate(records):
            labels[row] = label
            yield image

    for row, reason in fill(arrays, images(), Decoding(channels=channels)).items():
        raise ConfigError(f"{job.title}: image {row} of {split} cannot be decoded: {reason}")
    writer.labels(split, labels)


def _splits(job: Job, builder: Any) -> dict[str, tuple[int, Iterable[Record]]]:
    """The number of images, and the images, of train and test, in an order that depends on the archive alone."""
    present = [split for split in ("train", "test") if split in builder.info.splits]
    if job.train_per_class is None:
        return {
            split: (
                builder.info.splits[split].num_examples,
                ((image, label) for image, label, _ in _read(builder, split)),
            )
            for split in present
        }
    pool = {(label, name): image for split in present for image, label, name in _read(builder, split)}
    drawn, rest = draw_per_class(pool, job.train_per_class)
    return {
        split: (len(keys), [(pool[key], key[0]) for key in keys]) for split, keys in (("train", drawn), ("test", rest))
    }


def _read(builder: Any, split: str) -> Iterator[tuple[bytes, int, str]]:
    """Encoded image, class number and file name (empty if the builder has none) of each example."""
    wanted = {name: True for name in ("image", "label", "image/file_name") if name in builder.info.features}
    dataset = builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders=tfds.decode.PartialDecoding(wanted, decoders={"image": tfds.decode.SkipDecoding()}),
        read_config=tfds.ReadConfig(interleave_cycle_length=1),
    )
    for batch in tfds.as_numpy(dataset.batch(READ_AT_ONCE)):
        names = batch.get("image/file_name", itertools.repeat(b""))
        for image, label, name in zip(batch["image"], batch["label"], names, strict=False):
            yield image, int(label), name.decode()


def _check(job: Job, builder: Any, found: dict[str, int]) -> None:
    expected = {split: count for split, count in job.counts.items() if split in found}
    if expected != {split: found[split] for split in expected}:
        raise ConfigError(f"{job.title} has {_words(found)}; expected {_words(expected)}")
    classes = builder.info.features["label"].num_classes
    if classes != job.num_classes:
        raise ConfigError(f"{job.title} has {classes} classes; expected {job.num_classes}")


def _words(counts: dict[str, int]) -> str:
    return " and ".join(f"{count:,} {split} images" for split, count in counts.items())


def _about(job: Job) -> dict[str, Any]:
    return {
        "builder": job.builder,
        "config": job.config,
        "version": job.version,
        "tensorflow_datasets": tfds.__version__,
        "num_classes": job.num_classes,
        "resize": "bilinear, half-pixel centres, no antialiasing" if job.side else None,
        "train_per_class": job.train_per_class,
    }
