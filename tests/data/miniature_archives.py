"""Miniature archives of the twelve datasets, in each one's original format, for the real builders to read."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

Truth = list[tuple[int, np.ndarray | bytes]]
"""Class number and image (encoded, or the pixels themselves) of each example of a split, in any order."""


@dataclass(frozen=True, repr=False)
class Miniature:
    """One dataset's files by name, and what a builder must find in them."""

    files: Mapping[str, bytes]
    train: Truth
    test: Truth
    overrides: Mapping[str, object] = field(default_factory=dict)
    validation: Truth = field(default_factory=list)

    def put(self, folder: Path) -> None:
        """Write the files like a user who downloaded them and states their hashes."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
            (folder / f"{name}.sha256").write_text(f"{sha256(content).hexdigest()}  {name}\n")


def photo(seed: int, width: int = 61, height: int = 47, kind: str = "JPEG") -> bytes:
    """An encoded picture that no other seed gives."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    stream = io.BytesIO()
    small.resize((width, height)).save(stream, kind)
    return stream.getvalue()


def pixels(seed: int, *shape: int) -> np.ndarray:
    """Random uint8 pixels that no other seed gives."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def tar(entries: Mapping[str, bytes], mode: str = "w:gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def zipped(entries: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return stream.getvalue()


def mat(**variables: object) -> bytes:
    stream = io.BytesIO()
    savemat(stream, variables)
    return stream.getvalue()


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def cells(words: list[str]) -> np.ndarray:
    """A cell array of strings, as MATLAB keeps lists of files."""
    array = np.empty((len(words), 1), object)
    array[:, 0] = words
    return array


def oxford_iiit_pet() -> Miniature:
    # The second name is one that the builder encodes again; the third image is a PNG under a .jpg name.
    names = {"train": ["Abyssinian_1", "beagle_7"], "test": ["pug_3"]}
    numbers = {"Abyssinian": 1, "beagle": 5, "pug": 26}
    truth: dict[str, Truth] = {"train": [], "test": []}
    images, notes = {}, {}
    for split, listed in names.items():
        lines = []
        for index, name in enumerate(listed):
            number = numbers[name.split("_")[0]]
            content = photo(100 * number + index, kind="PNG" if split == "test" else "JPEG")
            truth[split].append((number - 1, content))
            images[f"images/{name}.jpg"] = content
            trimap = io.BytesIO()
            Image.fromarray(pixels(number, 47, 61) % 3).save(trimap, "PNG")
            notes[f"annotations/trimaps/{name}.png"] = trimap.getvalue()
            lines.append(f"{name} {number} {1 + (number == 5)} 1")
        notes[f"annotations/{'trainval' if split == 'train' else 'test'}.txt"] = "\n".join(lines).encode()
    files = {"images.tar.gz": tar(images), "annotations.tar.gz": tar(notes)}
    return Miniature(files, truth["train"], truth["test"])


def stanford_dogs() -> Miniature:
    breeds = [f"n{2000000 + number:08d}-Breed{number:03d}" for number in range(120)]
    truth: dict[str, Truth] = {"train": [], "test": []}
    lists: dict[str, list[str]] = {"train": [], "test": []}
    images, notes = {}, {}
    for number, breed in enumerate(breeds):
        for split in ("train", "test") if number < 4 else ("train",):
            name = f"{breed.split('-')[0]}_{1 + (split == 'test')}"
            content = photo(1000 + 2 * number + (split == "test"), 30, 24)
            truth[split].append((number, content))
            lists[split].append(f"{breed}/{name}.jpg")
            images[f"Images/{breed}/{name}.jpg"] = content
            notes[f"Annotation/{breed}/{name}"] = (
                b"<annotation><size><width>30</width><height>24</height></size><object><bndbox><xmin>1</xmin>"
                b"<ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox></object></annotation>"
            )
    listed = {f"{split}_list.mat": mat(file_list=cells(names)) for split, names in lists.items()}
    files = {"images.tar": tar(images, "w"), "annotation.tar": tar(notes, "w"), "lists.tar": tar(listed, "w")}
    return Miniature(files, truth["train"], truth["test"])


def idx_header(array: np.ndarray) -> bytes:
    return struct.pack(f">{1 + array.ndim}i", 0x800 + array.ndim, *array.shape)


def fashion_mnist() -> Miniature:
    files, truth = {}, {}
    for split, stem, count in (("train", "train", 60_000), ("test", "t10k", 10_000)):
        rows = np.arange(count, dtype=np.uint32)
        images = np.zeros((count, 28, 28, 1), np.uint8)
        images.reshape(count, -1)[:, :4] = rows.view(np.uint8).reshape(count, 4)
        images[:, 20, 20] = 200 if split == "train" else 100
        labels = (rows % 10).astype(np.uint8)
        files[f"{stem}-images-idx3-ubyte.gz"] = gzip.compress(idx_header(images[..., 0]) + images.tobytes(), 1)
        files[f"{stem}-labels-idx1-ubyte.gz"] = gzip.compress(idx_header(labels) + labels.tobytes(), 1)
        truth[split] = list(zip(labels.tolist(), images, strict=True))
    return Miniature(files, truth["train"], truth["test"], {"train_count": 60_000, "test_count": 10_000})


def cars196() -> Miniature:
    truth: dict[str, Truth] = {"train": [], "test": []}
    files = {}
    annotations = {}
    for split in ("train", "test"):
        images, rows = {}, []
        for index, number in enumerate((1, 2, 196, 7)):
            name, content = f"{index + 1:05d}.jpg", photo(3000 + number + 500 * (split == "test"))
            images[f"cars_{split}/{name}"] = content
            rows.append((1.0, 2.0, 30.0, 40.0, np.uint8(number), name))
            truth[split].append((number - 1, content))
        names = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2", "class", "fname")
        annotations[split] = mat(annotations=np.array([rows], dtype=[(name, object) for name in names]))
        files[f"cars_{split}.tgz"] = tar(images)
    files["car_devkit.tgz"] = tar({"devkit/cars_train_annos.mat": annotations["train"]})
    files["cars_test_annos_withlabels.mat"] = annotations["test"]
    return Miniature(files, truth["train"], truth["test"])


def mnist_corrupted() -> Miniature:
    entries = {}
    truth: dict[str, Truth] = {}
    for split, count in (("train", 40), ("test", 20)):
        for offset, corruption in enumerate(("identity", "fog")):
            images = pixels(50 + count + offset, count, 28, 28, 1)
            labels = np.arange(count) % 10
            entries[f"mnist_c/{corruption}/{split}_images.npy"] = npy(images)
            entries[f"mnist_c/{corruption}/{split}_labels.npy"] = npy(labels)
            truth[f"{corruption}/{split}"] = list(zip(labels.tolist(), images, strict=True))
    files = {"mnist_c.zip": zipped(entries)}
    return Miniature(files, truth["fog/train"], truth["fog/test"], {"corruption": "fog"})


def _cifar(images: np.ndarray, *labels: np.ndarray) -> bytes:
    """CIFAR's binary records: label bytes, then the red, green and blue planes."""
    planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
    return np.concatenate([*(column.astype(np.uint8)[:, None] for column in labels), planes], 1).tobytes()


def cifar10() -> Miniature:
    truth: dict[str, Truth] = {"train": [], "test": []}
    entries = {"batches.meta.txt": "\n".join(f"class{number}" for number in range(10)).encode()}
    for seed, name in enumerate([*(f"data_batch_{batch}" for batch in range(1, 6)), "test_batch"]):
        images, labels = pixels(70 + seed, 20, 32, 32, 3), np.arange(20) % 10
        entries[f"{name}.bin"] = _cifar(images, labels)
        truth["test" if name == "test_batch" else "train"] += zip(labels.tolist(), images, strict=True)
    archive = tar({f"cifar-10-batches-bin/{name}": content for name, content in entries.items()})
    return Miniature({"cifar-10-binary.tar.gz": archive}, truth["train"], truth["test"])


def cifar10_corrupted() -> Miniature:
    """The test split only; the training split is cifar10's."""
    labels = np.arange(15) % 10
    entries = {"CIFAR-10-C/labels.npy": npy(np.tile(labels, 5))}
    for seed, name in enumerate(("brightness", "fog")):
        entries[f"CIFAR-10-C/{name}.npy"] = npy(pixels(90 + seed, 75, 32, 32, 3))
    severity_3 = pixels(91, 75, 32, 32, 3)[30:45]
    test: Truth = list(zip(labels.tolist(), severity_3, strict=True))
    overrides = {"corruption": "fog", "severity": 3}
    return Miniature({"CIFAR-10-C.tar": tar(entries, "w")}, cifar10().train, test, overrides)


def caltech101() -> Miniature:
    """Two classes with one image more than are drawn for training, one with two more."""
    entries = {}
    everything: Truth = []
    # The class numbers are the lines of the builder's own list of names.
    for number, name, count in ((0, "accordion", 31), (4, "BACKGROUND_Google", 32), (101, "yin_yang", 31)):
        for index in range(1, count + 1):
            content = photo(5000 + 100 * number + index, 40 + index, 36)
            entries[f"101_ObjectCategories/{name}/image_{index:04d}.jpg"] = content
            everything.append((number, content))
    inner = tar(entries)
    files = {"caltech-101.zip": zipped({"caltech-101/101_ObjectCategories.tar.gz": inner})}
    return Miniature(files, everything, [], {"train_count": 90, "test_count": 4})


def cassava() -> Miniature:
    entries = {}
    truth: dict[str, Truth] = {"train": [], "test": [], "validation": []}
    for offset, split in enumerate(truth):
        for number, label in enumerate(("cbb", "cbsd", "cgm", "cmd", "healthy")):
            for index in range(2):
                content = photo(7000 + 100 * offset + 10 * number + index, 50, 80)
                entries[f"cassavaleafdata/{split}/{label}/{split}-{label}-{index}.jpg"] = content
                truth[split].append((number, content))
    return Miniature({"cassavaleafdata.zip": zipped(entries)}, truth["train"], truth["test"])


def cmaterdb() -> Miniature:
    files = {}
    truth: dict[str, Truth] = {}
    for split, name, count in (("train", "training", 30), ("test", "testing", 20)):
        images, labels = pixels(80 + count, count, 32, 32, 3), (np.arange(count) % 10).astype(np.uint8)
        stream = io.BytesIO()
        np.savez(stream, images=images, labels=labels)
        files[f"{name}-images.npz"] = stream.getvalue()
        truth[split] = list(zip(labels.tolist(), images, strict=True))
    return Miniature(files, truth["train"], truth["test"])


def caltech_birds2010() -> Miniature:
    truth: dict[str, Truth] = {"train": [], "test": []}
    lists: dict[str, list[str]] = {"train": [], "test": []}
    images, notes = {}, {}
    for number, species in ((1, "Black_footed_Albatross"), (200, "Common_Yellowthroat")):
        for index in range(3):
            split, name = "test" if index == 2 else "train", f"{species}_{index:04d}_{number}"
            content = photo(9000 + 10 * number + index)
            truth[split].append((number - 1, content))
            lists[split].append(f"{number:03d}.{species}/{name}.jpg")
            images[f"images/{number:03d}.{species}/{name}.jpg"] = content
            box = {"left": 3.0, "top": 2.0, "right": 50.0, "bottom": 40.0}
            notes[f"annotations-mat/{number:03d}.{species}/{name}.mat"] = mat(bbox=box, seg=pixels(number, 47, 61) % 2)
    listed = {f"lists/{split}.txt": "\n".join(names).encode() for split, names in lists.items()}
    files = {"images.tgz": tar(images), "lists.tgz": tar(listed), "annotations.tgz": tar(notes)}
    return Miniature(files, truth["train"], truth["test"])


def cifar100() -> Miniature:
    truth: dict[str, Truth] = {}
    entries = {
        "coarse_label_names.txt": "\n".join(f"coarse{number}" for number in range(20)).encode(),
        "fine_label_names.txt": "\n".join(f"fine{number}" for number in range(100)).encode(),
    }
    for split, count in (("train", 200), ("test", 100)):
        images, labels = pixels(60 + count, count, 32, 32, 3), np.arange(count) % 100
        entries[f"{split}.bin"] = _cifar(images, labels // 5, labels)
        truth[split] = list(zip(labels.tolist(), images, strict=True))
    archive = tar({f"cifar-100-binary/{name}": content for name, content in entries.items()})
    return Miniature({"cifar-100-binary.tar.gz": archive}, truth["train"], truth["test"])


def malaria() -> Miniature:
    """Photos of different sizes in a train split only; truth of both classes, which are 5 and 10 images."""
    truth: Truth = []
    entries = {}
    for number, (label, count) in enumerate((("Parasitized", 5), ("Uninfected", 10))):
        for index in range(count):
            content = photo(11_000 + 100 * number + index, 30 + index, 40, "PNG")
            entries[f"cell_images/{label}/{index}.png"] = content
            truth.append((number, content))
    overrides = {"stored_size": 20, "stored_enlarged": 24}
    return Miniature({"cell_images.zip": zipped(entries)}, truth, [], overrides)


def beans() -> Miniature:
    """Train, validation and test, of one size."""
    truth: dict[str, Truth] = {"train": [], "validation": [], "test": []}
    files = {}
    for split, count in (("train", 4), ("validation", 2), ("test", 3)):
        entries = {}
        for number, label in enumerate(("angular_leaf_spot", "bean_rust", "healthy")):
            for index in range(count):
                content = photo(12_000 + 1000 * len(files) + 100 * number + index, 500, 500)
                entries[f"{split}/{label}/{index}.jpg"] = content
                truth[split].append((number, content))
        files[f"{split}.zip"] = zipped(entries)
    return Miniature(files, truth["train"], truth["test"], {"stored_size": 16}, truth["validation"])


def imagenet_resized() -> Miniature:
    """The images of configuration 8x8; a validation split, and no test split."""
    truth: dict[str, Truth] = {}
    files = {}
    for split, name, count in (("train", "train", 12), ("test", "val", 6)):
        images, labels = pixels(130 + count, count, 8, 8, 3), np.arange(count) % 3
        stream = io.BytesIO()
        np.savez(stream, data=images.transpose(0, 3, 1, 2).reshape(count, -1), labels=labels + 1)
        files[f"Imagenet8_{name}_npz.zip"] = zipped({f"{name}.npz": stream.getvalue()})
        truth[split] = list(zip(labels.tolist(), images, strict=True))
    return Miniature(files, truth["train"], truth["test"])


def repacked(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """gzip files of the same content, packed anew."""
    return {name: gzip.compress(gzip.decompress(content), 9) for name, content in files.items()}


BY_NAME = {"malaria": malaria, "beans": beans, "imagenet_resized/8x8": imagenet_resized}
"""Builders that no yaml describes."""

MINIATURES: dict[str, Callable[[], Miniature]] = {
    write.__name__: write
    for write in (
        oxford_iiit_pet,
        stanford_dogs,
        fashion_mnist,
        cars196,
        mnist_corrupted,
        cifar10_corrupted,
        cifar10,
        caltech101,
        cassava,
        cmaterdb,
        caltech_birds2010,
        cifar100,
    )
}
