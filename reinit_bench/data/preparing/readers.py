"""What each dataset's files look like, upstream's and those that torchvision leaves: numpy, scipy and Pillow read them.

A reader takes the files and the job, and returns the splits in the order that TFDS keeps them in, or None if these
files are not there. `READERS` has one for each builder; the folder `train|test/<class>/*` is taken for all of them.
"""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from reinit_bench.core.settings import ConfigError
from reinit_bench.data.preparing import photos
from reinit_bench.data.preparing.convert import Read
from reinit_bench.data.preparing.files import Files
from reinit_bench.data.preparing.job import SHAPES, Job
from reinit_bench.data.preparing.photos import Example, Splits
from reinit_bench.data.preparing.splits import as_tfds_orders

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
        splits={split: (len(examples), examples) for split, examples in found.items()},
        num_classes=_num_classes(job, found),
        shape=SHAPES.get(job.builder, (None, None, 3)),
        about={"version": job.version, "read_from": str(path), "splits": {split: split for split in found}},
    )


def _splits(job: Job, files: Files) -> Splits | None:
    reader = READERS.get(job.builder)
    found = reader(files, job) if reader else None
    if found is not None:
        return found
    return photos.class_folders(files, job)


def _num_classes(job: Job, found: Splits) -> int:
    present = {split: {label for _, label in examples} for split, examples in found.items()}
    wanted = job.source.num_classes
    if wanted is None:
        return 1 + max(max(labels) for labels in present.values())
    for split, labels in present.items():
        if missing := sorted(set(range(wanted)) - labels):
            raise ConfigError(f"{job.title}: {split} has no image of class {_class_name(job, missing[0])}")
        if more := sorted(labels - set(range(wanted))):
            raise ConfigError(f"{job.title}: {split} has a label {more[0]}; there are {wanted} classes")
    return int(wanted)


def _class_name(job: Job, number: int) -> str:
    names = photos.class_names().get(photos.CLASSES.get(job.builder, job.builder))
    return f"{number} ({names[number]})" if names else str(number)


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
    return [(shaped[row], int(labels[row])) for row in order]


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
    """Two files of the same names for each configuration; only the one whose content is known needs no folder."""
    found = {}
    for split in ("train", "test"):
        name = f"{split}ing-images.npz"
        own = f"{job.config}/{name}", f"{job.config}-numerals/{name}"
        path = files.named(*own, *([name] if job.is_known else []))
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
        found[split] = [(images[row].copy(), int(labels[row])) for row in rows]
    return found


@cache
def part_of_cifar100() -> frozenset[tuple[int, str]]:
    """Class number and name of each training image of cifar100_part."""
    lines = Path(__file__).with_name("cifar100_part.txt").read_text().splitlines()
    return frozenset((number, name) for number, line in enumerate(lines) for name in line.split()[1:])


_TENTHS = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}

READERS: Mapping[str, Callable[[Files, Job], Splits | None]] = {
    "cifar10": _cifar(_TENTHS, "labels"),
    "cifar100": _cifar({"train": ["train"], "test": ["test"]}, "fine_labels"),
    "cifar100_part": _cifar100_part,
    "cifar10_corrupted": _cifar10_corrupted,
    "mnist_corrupted": _mnist_corrupted,
    "fashion_mnist": _idx,
    "cmaterdb": _cmaterdb,
    "oxford_iiit_pet": photos.oxford_iiit_pet,
    "stanford_dogs": photos.stanford_dogs,
    "cars196": photos.cars196,
    "caltech_birds2010": photos.caltech_birds2010,
    "caltech101": photos.caltech101,
}
