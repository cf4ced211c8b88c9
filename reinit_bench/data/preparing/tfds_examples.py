"""The examples that a TFDS builder has prepared: which split serves as what, in an order that is always the same."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Iterator
from typing import Any

import tensorflow_datasets as tfds

from reinit_bench.core.settings import ConfigError
from reinit_bench.data.pixels import Decoding, decode
from reinit_bench.data.preparing.content import Record
from reinit_bench.data.preparing.convert import Read
from reinit_bench.data.preparing.job import Job
from reinit_bench.data.preparing.splits import draw_per_class, draw_share, roles

Splits = dict[str, tuple[int, Iterable[Record]]]
"""The number of images of each split, and the images."""

READ_AT_ONCE = 32


def examples_of(job: Job, builder: Any) -> Read:
    """What the builder has prepared.

    Raises:
        ConfigError: it has not the splits that are wanted.
    """
    served = _served(job, builder)
    splits = _splits(job, builder, served)
    height, width, channels = builder.info.features["image"].shape
    channels = 1 if channels == 1 else 3
    if job.is_lossless:
        splits = {split: (count, _decoded(records, channels)) for split, (count, records) in splits.items()}
    return Read(
        splits=splits,
        num_classes=builder.info.features["label"].num_classes,
        shape=(height, width, channels),
        about={"version": str(builder.version), "tensorflow_datasets": tfds.__version__, "splits": served},
    )


def _decoded(records: Iterable[Record], channels: int) -> Iterator[Record]:
    for image, label in records:
        assert isinstance(image, bytes)
        yield decode(image, Decoding(channels=channels)), label


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
