"""From TFDS's files to the cache: decode, resize, hash."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Container, Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from reinit_bench.core.settings import ConfigError
from reinit_bench.data.cache import Cache, CacheWriter
from reinit_bench.data.pixels import Decoding, fill
from reinit_bench.data.preparing.job import Job
from reinit_bench.data.preparing.splits import draw_per_class, draw_share, roles

Record = tuple[bytes, int]
"""An encoded image and its class number."""

Splits = dict[str, tuple[int, Iterable[Record]]]
"""The number of images of each split, and the images."""

READ_AT_ONCE = 32


def convert(job: Job, builder: Any, console: Console) -> Cache:
    """Write the cache of a prepared builder.

    Raises:
        ConfigError: splits, counts or classes are not the expected ones, or an image cannot be decoded.
    """
    served = _served(job, builder)
    splits = _splits(job, builder, served)
    _check(job, builder, {split: count for split, (count, _) in splits.items()})
    seen = _Seen()
    with (
        CacheWriter(job.cache.path) as writer,
        Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=console) as progress,
    ):
        for split, (count, records) in splits.items():
            task = progress.add_task(f"{job.builder} {split}", total=count)
            _fill(job, writer, split, count, progress.track(seen.through(split, records), task_id=task), builder)
        job.check_content(seen.content)
        return writer.finish(_about(job, builder, served, seen))


class _Seen:
    """What went into the cache: what is decoded may depend on libraries, this does not."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._training: set[bytes] = set()
        self.copies: Counter[str] = Counter()
        """How many images of a split are training images too."""

    @property
    def content(self) -> str:
        return self._hash.hexdigest()[:16]

    def through(self, split: str, records: Iterable[Record]) -> Iterator[Record]:
        """The records of a split, the training split first, each after it has entered the hash."""
        for image, label in records:
            self._hash.update(f"{split} {label} {len(image)} ".encode() + image)
            digest = hashlib.sha256(image).digest()
            if split == "train":
                self._training.add(digest)
            elif digest in self._training:
                self.copies[split] += 1
            yield image, label


def _fill(job: Job, writer: CacheWriter, split: str, count: int, records: Iterable[Record], builder: Any) -> None:
    """Decode one split into the writer's arrays, one per size."""
    height, width, channels = builder.info.features["image"].shape
    channels = 1 if channels == 1 else 3
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
    if without := int((labels < 0).sum()):
        raise ConfigError(f"{job.title}: {without:,} images of its split for {split} have no label; name another split")
    writer.labels(split, labels)


def _served(job: Job, builder: Any) -> dict[str, str]:
    """The builder's split that serves as train, validation or test."""
    if job.source.wanted_splits is None:
        return {split: split for split in ("train", "test") if split in builder.info.splits}
    try:
        return roles(job.source.wanted_splits, builder.info.splits)
    except ConfigError as error:
        raise ConfigError(f"{job.title}: {error}") from error


def _splits(job: Job, builder: Any, served: dict[str, str]) -> Splits:
    """The number of images, and the images, of each split, in an order that depends on the archive alone."""
    if job.source.train_per_class is not None:
        return _drawn_per_class(job.source.train_per_class, builder, served)
    if "test" in served and served["test"] == served.get("train"):
        return _held_out(job.source.held_out, builder, served)
    return {part: (builder.info.splits[split].num_examples, _records(builder, split)) for part, split in served.items()}


def _records(builder: Any, split: str, rows: Container[int] | None = None) -> Iterator[Record]:
    """The images of a split, or those at some positions."""
    for row, (image, label, _) in enumerate(_read(builder, split)):
        if rows is None or row in rows:
            yield image, label


def _held_out(share: float, builder: Any, served: dict[str, str]) -> Splits:
    """A share of train for testing, the rest to train on."""
    labels = [label for _, label, _ in _read(builder, served["train"])]
    test = draw_share(labels, share)
    parts = {"train": set(range(len(labels))) - test, "test": test}
    found: Splits = {part: (len(rows), _records(builder, served["train"], rows)) for part, rows in parts.items()}
    if "validation" in served:
        split = served["validation"]
        found["validation"] = builder.info.splits[split].num_examples, _records(builder, split)
    return found


def _drawn_per_class(count: int, builder: Any, served: dict[str, str]) -> Splits:
    """All images, of which `count` of each class are drawn for training; the others are the test split."""
    pool = {(label, name): image for split in served.values() for image, label, name in _read(builder, split)}
    drawn, rest = draw_per_class(pool, count)
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
    expected = {split: count for split, count in job.counts.items() if split in found and count is not None}
    if expected != {split: found[split] for split in expected}:
        raise ConfigError(f"{job.title} has {_words(found)}; expected {_words(expected)}")
    classes = builder.info.features["label"].num_classes
    if job.source.num_classes not in (None, classes):
        raise ConfigError(f"{job.title} has {classes} classes; expected {job.source.num_classes}")


def _words(counts: dict[str, int]) -> str:
    return " and ".join(f"{count:,} {split} images" for split, count in counts.items())


def _about(job: Job, builder: Any, served: dict[str, str], seen: _Seen) -> dict[str, Any]:
    return {
        "builder": job.builder,
        "config": job.config,
        "version": str(builder.version),
        "tensorflow_datasets": tfds.__version__,
        "num_classes": builder.info.features["label"].num_classes,
        "resize": "bilinear, half-pixel centres, no antialiasing" if job.source.stored_size else None,
        "train_per_class": job.source.train_per_class,
        "splits": served,
        "content": seen.content,
        "copies_of_training": dict(seen.copies),
    }
