"""What each dataset's files look like, upstream's and those that torchvision leaves: numpy, scipy and Pillow read them.

A reader takes the files and the job, and returns the splits in the order that TFDS keeps them in, or None if these
files are not there. `READERS` has one for each builder; the folder `train|test/<class>/*` is taken for all of them.
"""

from __future__ import annotations

import gzip
import io
import pickle
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from reinit_bench.core.settings import ConfigError
from reinit_bench.data.pixels import Decoding, Unreadable, decode
from reinit_bench.data.preparing.content import Image
from reinit_bench.data.preparing.convert import Read
from reinit_bench.data.preparing.files import Files
from reinit_bench.data.preparing.job import LOSSLESS, SHAPES, Job
from reinit_bench.data.preparing.splits import as_tfds_orders, draw_per_class

Example = tuple[Image, int, str]
"""An image, its class number and its name: the position in the original, or the file's name."""

Splits = Mapping[str, Sequence[Example]]

CLASSES = {"cifar100_part": "cifar100", "caltech101_96": "caltech101", "cifar10_corrupted": "cifar10"}
"""Builders that have the classes of another."""

FOLDER_NAMES = {"stanford_dogs": r"n\d{8}-.+", "caltech_birds2010": r"\d{3}\..+"}
"""What folders of classes are called where no list is kept; sorted, they are numbered from 0."""

TORCHVISION = {"fashion_mnist": "FashionMNIST", "mnist_corrupted": "MNIST"}
"""Folders of torchvision that tell files of one name apart."""


def read(job: Job, path: Path, work: Path, *, asked: bool) -> Read | None:
    """The job's dataset from the files at `path`; None if they are not all there.

    Args:
        work: a folder for what is unpacked.
        asked: whether the user named the path for this dataset.

    Raises:
        ConfigError: files are damaged, or not of this dataset; with `asked`, also if they are not all there.
    """
    files = Files(path, work)
    try:
        found = _splits(job, files) or (_splits(job, files) if files.unpack() else None)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, pickle.UnpicklingError, ValueError, KeyError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{job.title}: a file of {path} cannot be read ({error}); it may be damaged") from error
    if found is None:
        if not asked:
            return None
        raise ConfigError(
            f"{job.title}: {path} has no files of {job.builder} in a form that is known; the forms are "
            "in docs/how-to/datasets.md"
        )
    return Read(
        splits={split: (len(examples), [each[:2] for each in examples]) for split, examples in found.items()},
        num_classes=_num_classes(job, found),
        shape=SHAPES.get(job.builder, (None, None, 3)),
        about={"version": job.version, "read_from": str(path), "splits": {split: split for split in found}},
    )


def _splits(job: Job, files: Files) -> Splits | None:
    reader = READERS.get(job.builder)
    found = reader(files, job) if reader else None
    if found is not None:
        return found
    return _class_folders(files, job)


def _num_classes(job: Job, found: Splits) -> int:
    present = {split: {label for _, label, _ in examples} for split, examples in found.items()}
    wanted = job.source.num_classes
    if wanted is None:
        return 1 + max(max(labels) for labels in present.values())
    for split, labels in present.items():
        if missing := sorted(set(range(wanted)) - labels):
            raise ConfigError(f"{job.title}: {split} has no image of class {_class_name(job.builder, missing[0])}")
        if more := sorted(labels - set(range(wanted))):
            raise ConfigError(f"{job.title}: {split} has a label {more[0]}; there are {wanted} classes")
    return int(wanted)


# Pixels in files: CIFAR, MNIST, cmaterdb.


def _arrays(job: Job, images: np.ndarray, labels: np.ndarray, split: str) -> list[Example]:
    """A split of arrays, in TFDS's order of positions."""
    height, width, channels = SHAPES[job.builder]
    if images.dtype != np.uint8 or images.size != len(labels) * height * width * channels:
        raise ConfigError(
            f"{job.title}: {split} has {len(labels):,} labels and images {images.shape} of {images.dtype}; expected "
            f"{height}x{width}x{channels} of uint8 each"
        )
    shaped = images.reshape(len(labels), height, width, channels)
    order = as_tfds_orders(split, [str(row) for row in range(len(labels))])
    return [(shaped[row], int(labels[row]), str(row)) for row in order]


def _cifar(parts: Mapping[str, Sequence[str]], label: str) -> Callable[[Files, Job], Splits | None]:
    """A reader of the binary and the Python version; `label` is the Python version's key."""

    def reader(files: Files, job: Job) -> Splits | None:
        for suffix, load in (("", _pickled), (".bin", _binary)):
            paths = {split: [files.named(name + suffix) for name in names] for split, names in parts.items()}
            flat = [path for found in paths.values() for path in found]
            if not all(path is not None and path.is_file() for path in flat):
                continue
            loaded = {split: [load(path, label) for path in found if path] for split, found in paths.items()}
            arrays = {
                split: [np.concatenate(column) for column in zip(*pieces, strict=True)]
                for split, pieces in loaded.items()
            }
            return {split: _arrays(job, images, labels, split) for split, (images, labels) in arrays.items()}
        return None

    return reader


def _binary(path: Path, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Records of label bytes, the last of which counts, and the red, green and blue planes."""
    columns = 2 if label == "fine_labels" else 1
    rows = np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, columns + 3072)
    return rows[:, columns:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), rows[:, columns - 1]


def _pickled(path: Path, label: str) -> tuple[np.ndarray, np.ndarray]:
    found = unpickled(path)
    return found["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), np.array(found[label])


def unpickled(path: Path) -> dict[str, Any]:
    """A pickle of plain values and arrays; it cannot run code."""
    found = _Plain(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    return {key.decode() if isinstance(key, bytes) else str(key): value for key, value in found.items()}


PLAIN = {("numpy", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")}
"""What pickles of arrays and bytes ask for; any other could run code."""


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module.partition(".")[0], name) in PLAIN:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _idx(files: Files, job: Job) -> Splits | None:
    """The four files of MNIST or Fashion-MNIST, as they are or packed with gzip."""
    root = files.named(TORCHVISION[job.builder])
    files = Files(root, files.work) if root is not None and root.is_dir() else files
    found = {}
    for split, stem in (("train", "train"), ("test", "t10k")):
        kinds = (("images", 3), ("labels", 1))
        names = [[f"{stem}-{kind}{dash}idx{number}-ubyte" for dash in "-."] for kind, number in kinds]
        paths = [files.named(*each, *(f"{name}.gz" for name in each)) for each in names]
        if None in paths:
            return None
        images, labels = (_idx_array(path) for path in paths if path)
        found[split] = _arrays(job, images, labels, split)
    return found


def _idx_array(path: Path) -> np.ndarray:
    content = path.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    sizes = np.frombuffer(content, ">i4", count=content[3], offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(sizes)).reshape(sizes)


def _mnist_corrupted(files: Files, job: Job) -> Splits | None:
    """MNIST-C's arrays; MNIST itself for the corruption `identity`, which is none."""
    found = {}
    for split in ("train", "test"):
        paths = [files.named(f"{job.config}/{split}_{kind}.npy") for kind in ("images", "labels")]
        if None in paths:
            return _idx(files, job) if job.config == "identity" else None
        images, labels = (np.load(path) for path in paths if path)
        found[split] = _arrays(job, images, labels, split)
    return found


CIFAR_10_C = {"frosted_glass_blur": "glass_blur", "elastic": "elastic_transform"}
"""Corruptions that TFDS calls otherwise than their files."""


def _cifar10_corrupted(files: Files, job: Job) -> Splits | None:
    corruption, severity = job.source.corruption, job.source.severity
    paths = files.named(f"{CIFAR_10_C.get(corruption, corruption)}.npy"), files.named("labels.npy")
    if paths[0] is None or paths[1] is None:
        return None
    images, labels = np.load(paths[0], mmap_mode="r"), np.load(paths[1])
    count = len(labels) // 5
    rows = slice((severity - 1) * count, severity * count)
    return {"test": _arrays(job, np.asarray(images[rows]), labels[rows], "test")}


def _cmaterdb(files: Files, job: Job) -> Splits | None:
    found = {}
    for split in ("train", "test"):
        name = f"{split}ing-images.npz".replace("train", "train", 1)
        path = files.named(f"{job.config}/{name}", name)
        if path is None:
            return None
        with path.open("rb") as stream, np.load(stream) as arrays:
            found[split] = _arrays(job, arrays["images"], arrays["labels"], split)
    return found


def _cifar100_part(files: Files, job: Job) -> Splits | None:
    """From CIFAR-100's Python version, whose images have names: those of the training images that the list has."""
    chosen = part_of_cifar100()
    found = {}
    for split in ("train", "test"):
        path = files.named(f"cifar-100-python/{split}")
        if path is None:
            return None
        batch = unpickled(path)
        images, labels = _pickled(path, "fine_labels")
        names = [Path(name).stem for name in batch["filenames"]]
        rows = [row for row, name in enumerate(names) if split == "test" or (int(labels[row]), name) in chosen]
        rows.sort(key=lambda row: (labels[row], names[row]))
        found[split] = [(images[row].copy(), int(labels[row]), names[row]) for row in rows]
    return found


@cache
def part_of_cifar100() -> frozenset[tuple[int, str]]:
    """Class number and name of each training image of cifar100_part."""
    lines = Path(__file__).with_name("cifar100_part.txt").read_text().splitlines()
    return frozenset((number, name) for number, line in enumerate(lines) for name in line.split()[1:])


# Photos beside lists of their names.


def _oxford_iiit_pet(files: Files, job: Job) -> Splits | None:
    lists = {"train": files.named("annotations/trainval.txt"), "test": files.named("annotations/test.txt")}
    images = files.named("images")
    if images is None or None in lists.values():
        return None
    lines = {split: [line.split() for line in path.read_text().splitlines()] for split, path in lists.items() if path}
    return {
        split: _photos(split, [(images / f"{name}.jpg", int(number) - 1, f"{name}.jpg") for name, number, *_ in rows])
        for split, rows in lines.items()
    }


def _stanford_dogs(files: Files, job: Job) -> Splits | None:
    lists = {split: files.named(f"{split}_list.mat") for split in ("train", "test")}
    images = files.named("Images")
    if images is None or None in lists.values():
        return None
    names = {split: [str(row[0][0]) for row in _mat(path)["file_list"]] for split, path in lists.items() if path}
    folders = sorted({name.split("/")[0].lower() for name in names["train"]})
    return {
        split: _photos(
            split,
            [(images / name, folders.index(name.split("/")[0].lower()), f"Images/{name}") for name in group],
        )
        for split, group in names.items()
    }


def _cars196(files: Files, job: Job) -> Splits | None:
    found = {}
    for split, name in (("train", "cars_train_annos.mat"), ("test", "cars_test_annos_withlabels.mat")):
        notes, images = files.named(name), files.named(f"cars_{split}")
        if notes is None or images is None:
            return None
        rows = [(str(each[-1].item()), int(each[4].item()) - 1) for each in _mat(notes)["annotations"][0]]
        found[split] = _photos(split, [(images / name, label, name.split(".")[0]) for name, label in rows])
    return found


def _caltech_birds2010(files: Files, job: Job) -> Splits | None:
    lists = {split: files.named(f"lists/{split}.txt") for split in ("train", "test")}
    images = files.named("images")
    if images is None or None in lists.values():
        return None
    return {
        split: _photos(
            split, [(images / name, int(name[:3]) - 1, f"images/{name}") for name in path.read_text().split()]
        )
        for split, path in lists.items()
        if path
    }


def _caltech101(files: Files, job: Job) -> Splits | None:
    folder = files.named("101_ObjectCategories")
    return None if folder is None or not folder.is_dir() else _drawn(job, _of_classes(job, folder))


def _drawn(job: Job, examples: Sequence[Example]) -> Splits:
    """The training images of each class drawn by name, and the rest."""
    pool = {(label, name): image for image, label, name in examples}
    drawn = draw_per_class(pool, job.source.train_per_class)
    return {split: [(pool[key], *key) for key in keys] for split, keys in zip(("train", "test"), drawn, strict=True)}


def _mat(path: Path) -> dict[str, Any]:
    from scipy.io import loadmat

    return dict(loadmat(path))


def _photos(split: str, examples: Sequence[Example]) -> list[Example]:
    """In TFDS's order of names; each must be there."""
    for path, *_ in examples:
        if isinstance(path, Path) and not path.is_file():
            raise ConfigError(f"{path} is missing; {split} lists it")
    return [examples[row] for row in as_tfds_orders(split, [name for *_, name in examples])]


# One folder for each class.


def _class_folders(files: Files, job: Job) -> Splits | None:
    """`train/<class>/*` and `test/<class>/*`."""
    train, test = files.named("train"), files.named("test")
    if train is None or test is None or not (train.is_dir() and test.is_dir()) or train.parent != test.parent:
        return None
    found = {split: _of_classes(job, folder) for split, folder in (("train", train), ("test", test))}
    if job.source.train_per_class is not None:
        return _drawn(job, [example for examples in found.values() for example in examples])
    return {split: _ordered(job, split, examples) for split, examples in found.items()}


def _of_classes(job: Job, folder: Path) -> list[Example]:
    """The images of the folders of classes, sorted by class and name."""
    there = {path.name: path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")}
    return [
        (path, number, path.name)
        for number, name in enumerate(_numbered(job, folder, sorted(there)))
        if name
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
    wanted = [_plain(name) for name in _class_names().get(builder, numbers)]
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
def _class_names() -> dict[str, list[str]]:
    found: dict[str, list[str]] = yaml.safe_load(Path(__file__).with_name("classes.yaml").read_text())
    return found


def _class_name(builder: str, number: int) -> str:
    names = _class_names().get(CLASSES.get(builder, builder))
    return f"{number} ({names[number]})" if names else str(number)


def _ordered(job: Job, split: str, examples: list[Example]) -> list[Example]:
    """The images in the original's order, as far as their names tell it; else by class and name."""
    if job.builder in LOSSLESS:
        examples = [(_pixels(job, path), label, name) for path, label, name in examples]
        positions = _positions([name for *_, name in examples])
        if positions is None:
            return examples
        rows = as_tfds_orders(split, [str(position) for position in positions])
        return [examples[row] for row in rows]
    keys = {
        "stanford_dogs": lambda path: f"Images/{path.parent.name}/{path.name}",
        "caltech_birds2010": lambda path: f"images/{path.parent.name}/{path.name}",
        "cars196": lambda path: path.name.split(".")[0],
    }
    if job.builder == "caltech101_96":
        return examples
    key = keys.get(job.builder, lambda path: path.name)
    return _photos(split, [(path, label, key(path)) for path, label, _ in examples])


def _positions(names: Sequence[str]) -> list[int] | None:
    """The positions in the original that files are named after, counted from 0 or 1; None if they are not."""
    numbers = [re.fullmatch(r"\D*(\d+)\.\w+", name) for name in names]
    found = [int(number[1]) for number in numbers if number]
    first = min(found, default=0)
    if first > 1 or sorted(found) != list(range(first, first + len(names))):
        return None
    return [number - first for number in found]


def _pixels(job: Job, path: Image) -> np.ndarray:
    shape = SHAPES[job.builder]
    assert isinstance(path, Path)
    try:
        found = decode(path, Decoding(channels=shape[2]))
    except Unreadable as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    if found.shape != shape:
        raise ConfigError(
            f"{path} has {found.shape[1]}x{found.shape[0]} pixels; {job.builder}'s images {shape[1]}x{shape[0]}"
        )
    return found


_TENTHS = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}

READERS: Mapping[str, Callable[[Files, Job], Splits | None]] = {
    "cifar10": _cifar(_TENTHS, "labels"),
    "cifar100": _cifar({"train": ["train"], "test": ["test"]}, "fine_labels"),
    "cifar100_part": _cifar100_part,
    "cifar10_corrupted": _cifar10_corrupted,
    "mnist_corrupted": _mnist_corrupted,
    "fashion_mnist": _idx,
    "cmaterdb": _cmaterdb,
    "oxford_iiit_pet": _oxford_iiit_pet,
    "stanford_dogs": _stanford_dogs,
    "cars196": _cars196,
    "caltech_birds2010": _caltech_birds2010,
    "caltech101": _caltech101,
}
