"""Datasets of image files: beside lists of their names, or in a folder for each class."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from reinit_bench.core.settings import ConfigError
from reinit_bench.data.pixels import Decoding, Unreadable, decode
from reinit_bench.data.preparing.content import Image
from reinit_bench.data.preparing.files import Files
from reinit_bench.data.preparing.job import SHAPES, Job
from reinit_bench.data.preparing.splits import as_tfds_orders, draw_per_class

Example = tuple[Image, int]
"""An image and its class number."""

Splits = Mapping[str, Sequence[Example]]

Photo = tuple[Path, int]

KEYS: Mapping[str, Callable[[Path], str]] = {
    "stanford_dogs": lambda path: f"Images/{path.parent.name}/{path.name}",
    "caltech_birds2010": lambda path: f"images/{path.parent.name}/{path.name}",
    "cars196": lambda path: path.name.split(".")[0],
}
"""By what TFDS sorts the images of a builder; by default it is the file's name."""

CLASSES = {"cifar100_part": "cifar100", "caltech101_96": "caltech101", "cifar10_corrupted": "cifar10"}
"""Builders that have the classes of another."""

FOLDER_NAMES = {"stanford_dogs": r"n\d{8}-.+", "caltech_birds2010": r"\d{3}\..+"}
"""What folders of classes are called where no list is kept; sorted, they are numbered from 0."""


def oxford_iiit_pet(files: Files, job: Job) -> Splits | None:
    lists, images = _texts(files, "annotations/trainval.txt", "annotations/test.txt"), files.named("images")
    if lists is None or images is None:
        return None
    rows = {split: [line.split()[:2] for line in text.splitlines()] for split, text in lists.items()}
    return _listed(
        job, {split: [(images / f"{name}.jpg", int(n) - 1) for name, n in each] for split, each in rows.items()}
    )


def caltech_birds2010(files: Files, job: Job) -> Splits | None:
    lists, images = _texts(files, "lists/train.txt", "lists/test.txt"), files.named("images")
    if lists is None or images is None:
        return None
    return _listed(
        job, {split: [(images / name, int(name[:3]) - 1) for name in text.split()] for split, text in lists.items()}
    )


def stanford_dogs(files: Files, job: Job) -> Splits | None:
    lists, images = [files.named(f"{split}_list.mat") for split in ("train", "test")], files.named("Images")
    if images is None or None in lists:
        return None
    names = [[str(row[0][0]) for row in _mat(path)["file_list"]] for path in lists if path]
    folders = sorted({name.split("/")[0].lower() for name in names[0]})
    found = [[(images / name, folders.index(name.split("/")[0].lower())) for name in group] for group in names]
    return _listed(job, dict(zip(("train", "test"), found, strict=True)))


def cars196(files: Files, job: Job) -> Splits | None:
    found = {}
    for split, name in (("train", "cars_train_annos.mat"), ("test", "cars_test_annos_withlabels.mat")):
        notes, images = files.named(name), files.named(f"cars_{split}")
        if notes is None or images is None:
            return None
        found[split] = [(images / each[-1].item(), int(each[4].item()) - 1) for each in _mat(notes)["annotations"][0]]
    return _listed(job, found)


def caltech101(files: Files, job: Job) -> Splits | None:
    folder = files.named("101_ObjectCategories")
    return _drawn(job, _of_classes(job, folder)) if folder is not None and folder.is_dir() else None


def class_folders(files: Files, job: Job) -> Splits | None:
    """`train/<class>/*` and `test/<class>/*`."""
    train, test = files.named("train"), files.named("test")
    if train is None or test is None or not (train.is_dir() and test.is_dir()) or train.parent != test.parent:
        return None
    found = {split: _of_classes(job, folder) for split, folder in (("train", train), ("test", test))}
    if job.source.train_per_class is not None:
        return _drawn(job, [photo for photos in found.values() for photo in photos])
    if job.is_lossless:
        return {split: _with_pixels(job, split, photos) for split, photos in found.items()}
    return found if job.source.reduced else _listed(job, found)


def _texts(files: Files, train: str, test: str) -> dict[str, str] | None:
    paths = {"train": files.named(train), "test": files.named(test)}
    found = {split: path.read_text() for split, path in paths.items() if path}
    return found if len(found) == len(paths) else None


def _mat(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    return dict(loadmat(path))


def _listed(job: Job, splits: Mapping[str, Sequence[Photo]]) -> Splits:
    """These images, which must be there, in TFDS's order."""
    found = {}
    for split, photos in splits.items():
        if missing := [path for path, _ in photos if not path.is_file()]:
            raise ConfigError(f"{missing[0]} is missing; {split} lists it")
        key = KEYS.get(job.builder, lambda path: path.name)
        found[split] = [photos[row] for row in as_tfds_orders(split, [key(path) for path, _ in photos])]
    return found


def _drawn(job: Job, photos: Sequence[Photo]) -> Splits:
    """The training images of each class drawn by name, and the rest."""
    pool = {(label, path.name): path for path, label in photos}
    drawn = draw_per_class(pool, job.source.train_per_class)
    return {split: [(pool[key], key[0]) for key in keys] for split, keys in zip(("train", "test"), drawn, strict=True)}


def _of_classes(job: Job, folder: Path) -> list[Photo]:
    """The images of the folders of classes, sorted by class and name."""
    there = {path.name: path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}
    return [
        (path, number)
        for number, name in enumerate(_numbered(job, folder, sorted(there)))
        if name in there
        for path in sorted(there[name].iterdir())
        if path.is_file() and not path.name.startswith(".")
    ]


def _numbered(job: Job, folder: Path, there: list[str]) -> list[str]:
    """These names of folders in the order of their classes.

    Raises:
        ConfigError: they are not the dataset's classes.
    """
    builder, count = CLASSES.get(job.builder, job.builder), job.source.num_classes
    numbers = [str(number) for number in range(count or 0)]
    if set(there) == set(numbers):
        return numbers
    if pattern := FOLDER_NAMES.get(builder):
        wrong = [name for name in there if not re.fullmatch(pattern, name)]
        if wrong or len(there) != count:
            raise ConfigError(f"{folder} has {len(there)} folders{_example(wrong)}; {job.builder} has {count} classes")
        return there
    wanted = [_plain(name) for name in class_names().get(builder, numbers)]
    named = {_plain(name): name for name in there}
    if count and (missing := [name for name in wanted if name not in named]):
        raise ConfigError(f"{folder} lacks {len(missing)} of {job.builder}'s {count} classes{_example(missing)}")
    if more := sorted(named.keys() - set(wanted)):
        raise ConfigError(f"{folder} has {len(more)} folders that are no classes of {job.builder}{_example(more)}")
    return [named.get(name, "") for name in wanted]


def _example(names: Sequence[str]) -> str:
    return f", e.g. {names[0]!r}" if names else ""


def _plain(name: str) -> str:
    return re.sub(r"\W+", "_", name.lower())


@cache
def class_names() -> dict[str, list[str]]:
    """The names of classes in the order of their numbers, by builder."""
    found: dict[str, list[str]] = yaml.safe_load(Path(__file__).with_name("classes.yaml").read_text())
    return found


def _with_pixels(job: Job, split: str, photos: Sequence[Photo]) -> list[Example]:
    """The images decoded, in the original's order where files are named after their positions, counted from 0 or 1."""
    numbers = [int(found[1]) for path, _ in photos if (found := re.fullmatch(r"\D*(\d+)", path.stem))]
    first = min(numbers, default=0)
    if first <= 1 and sorted(numbers) == list(range(first, first + len(photos))):
        photos = [photos[row] for row in as_tfds_orders(split, [str(number - first) for number in numbers])]
    return [(_pixels(job, path), label) for path, label in photos]


def _pixels(job: Job, path: Path) -> np.ndarray:
    height, width, channels = SHAPES[job.builder]
    try:
        found = decode(path, Decoding(channels=channels))
    except Unreadable as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    if found.shape != (height, width, channels):
        pixels = f"{found.shape[1]}x{found.shape[0]}"
        raise ConfigError(f"{path} has {pixels} pixels; {job.builder}'s images {width}x{height}")
    return found
