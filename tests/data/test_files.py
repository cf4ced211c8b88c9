"""Datasets from a user's files, without TensorFlow: upstream's archives, torchvision's and folders of classes."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torchvision
from miniature_archives import MINIATURES, Miniature, idx_header, mat, pixels
from PIL import Image
from real_builders import fingerprints, same, truth

from reinit_bench.cli.main import main
from reinit_bench.data.preparing.command import command, source
from reinit_bench.data.preparing.content import Fingerprint
from reinit_bench.data.preparing.readers import part_of_cifar100
from reinit_bench.data.tfds_source import Tfds

PHOTOS = {"oxford_iiit_pet", "stanford_dogs", "cars196", "caltech_birds2010"}
"""Those of whose miniatures most classes are empty."""


@pytest.fixture(scope="module")
def miniatures() -> dict[str, Miniature]:
    return {name: make() for name, make in MINIATURES.items()}


@pytest.fixture
def prepared(data_folder: Path) -> Callable[..., Tfds]:
    """Prepare a dataset from files; its counts and content are those of a miniature."""

    def prepare(name: str, files: Path, **fields: object) -> Tfds:
        given = {"train_count": None, "test_count": None, "known_content": None, **fields}
        words = [f"dataset.{key}={json.dumps(value)}" for key, value in given.items()]
        assert command([f"dataset={name}", *words], files=str(files)) == 0
        found = source(name, given)
        assert found is not None
        return found

    return prepare


def refusal(capsys: pytest.CaptureFixture[str], *words: str, files: Path) -> str:
    """What the command says of files that it refuses."""
    assert command(words, files=str(files)) == 1
    name = words[0].partition("=")[2]
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith(f"{name}: "))
    return line


@pytest.mark.parametrize("name", sorted(MINIATURES.keys() - {"caltech101"}))
@pytest.mark.parametrize("unpacked", [False, True])
def test_upstreams_archives_are_taken_packed_and_unpacked(
    name: str, unpacked: bool, tmp_path: Path, prepared: Callable[..., Tfds], miniatures: dict[str, Miniature]
) -> None:
    miniature, folder = miniatures[name], tmp_path / "files"
    miniature.put(folder)
    if name == "cifar10_corrupted":
        miniatures["cifar10"].put(folder)
    if unpacked:
        for path in folder.glob("*.t*z"):
            with tarfile.open(path) as archive:
                archive.extractall(folder, filter="data")
            path.unlink()
    fields = {key: value for key, value in miniature.overrides.items() if not key.endswith("_count")}
    found = prepared(name, folder, **fields, **({"num_classes": None} if name in PHOTOS else {}))
    data = found.load(8, found.stored_enlarged, 0)
    channels = data.train.inputs.shape[-1]
    for split, expected in ((data.train, miniature.train), (data.test, miniature.test)):
        assert same(fingerprints(split.labels, split.inputs), truth(expected, found.stored_size, channels))


def pickled_cifar(folder: Path, names: dict[str, list[str]], label: str, count: int = 100) -> dict[str, np.ndarray]:
    """Write CIFAR's Python version; returns the labels of each file."""
    folder.mkdir(parents=True)
    labels = {}
    for seed, name in enumerate(names):
        images = pixels(seed, count, 3, 32, 32)
        labels[name] = np.arange(count) % 100
        entries = {"data": images.reshape(count, -1), label: labels[name].tolist(), "filenames": names[name]}
        (folder / name).write_bytes(pickle.dumps(entries, protocol=2))
    return labels


def test_torchvisions_cifar100_and_the_part_of_it(tmp_path: Path, prepared: Callable[..., Tfds]) -> None:
    chosen = sorted(part_of_cifar100())
    assert len(chosen) == 5000
    assert {sum(1 for number, _ in chosen if number == label) for label in range(100)} == {50}
    of_list = dict(chosen)
    names = {"train": [f"{of_list[row]}.png" for row in range(100)] + ["more_s_000001.png"] * 100}
    names["test"] = [f"test_s_{row:06d}.png" for row in range(200)]
    labels = pickled_cifar(tmp_path / "cifar-100-python", names, "fine_labels", count=200)
    whole = prepared("cifar100", tmp_path).load(32, None, 0)
    assert sorted(whole.train.labels) == sorted(labels["train"])
    part = prepared("cifar100_part", tmp_path).load(32, None, 0)
    assert part.train.labels.tolist() == list(range(100))
    np.testing.assert_array_equal(part.train.inputs, pixels(0, 200, 3, 32, 32)[:100].transpose(0, 2, 3, 1))
    assert len(part.test) == 200


@pytest.mark.parametrize(("name", "folder"), [("fashion_mnist", "FashionMNIST"), ("mnist_corrupted", "MNIST")])
@pytest.mark.parametrize("packed", [False, True])
def test_torchvisions_mnist_is_read_as_torchvision_reads_it(
    name: str, folder: str, packed: bool, tmp_path: Path, prepared: Callable[..., Tfds]
) -> None:
    for kind, seed in (("FashionMNIST", 0), ("MNIST", 5)):  # both lie in one folder of torchvision's
        raw = tmp_path / kind / "raw"
        raw.mkdir(parents=True)
        for stem, count in (("train", 40), ("t10k", 20)):
            files = {
                f"{stem}-images-idx3-ubyte": pixels(seed + count, count, 28, 28),
                f"{stem}-labels-idx1-ubyte": (np.arange(count) % 10).astype(np.uint8),
            }
            for path, array in files.items():
                content = idx_header(array) + array.tobytes()
                (raw / f"{path}{'.gz' if packed else ''}").write_bytes(gzip.compress(content) if packed else content)
    data = prepared(name, tmp_path).load(28, None, 0)
    if packed:
        assert same(
            fingerprints(data.train.labels, data.train.inputs),
            fingerprints(np.arange(40) % 10, pixels(45 if folder == "MNIST" else 40, 40, 28, 28)),
        )
    else:
        reader = getattr(torchvision.datasets, folder)(tmp_path, train=True)
        assert same(
            fingerprints(data.train.labels, data.train.inputs),
            fingerprints(reader.targets.numpy(), reader.data.numpy()),
        )


@pytest.mark.parametrize("name", ["caltech101", "oxford_iiit_pet", "cars196"])
def test_torchvisions_folders_of_photos_are_read_as_torchvision_reads_them(
    name: str, tmp_path: Path, prepared: Callable[..., Tfds], miniatures: dict[str, Miniature]
) -> None:
    root = (
        tmp_path / {"caltech101": "caltech101", "oxford_iiit_pet": "oxford-iiit-pet", "cars196": "stanford_cars"}[name]
    )
    root.mkdir()
    for file, content in miniatures[name].files.items():
        if file.endswith(".zip"):
            content = zip_entry(content, "caltech-101/101_ObjectCategories.tar.gz")
        if file.endswith(".mat"):
            (root / file).write_bytes(content)
            continue
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(root, filter="data")
    if name == "cars196":
        names = np.array([f"car {number}" for number in range(196)], object)
        (root / "devkit" / "cars_meta.mat").write_bytes(mat(class_names=names))
    found = prepared(name, tmp_path, num_classes=None, stored_size=20, stored_enlarged=None)
    data = found.load(20, None, 0)
    if name == "caltech101":
        assert np.bincount(data.train.labels)[[0, 4, 101]].tolist() == [30, 30, 30]
        without_background = len(torchvision.datasets.Caltech101(tmp_path))
        assert without_background + 32 == len(data.train) + len(data.test)
    elif name == "oxford_iiit_pet":
        reader = torchvision.datasets.OxfordIIITPet(tmp_path, split="trainval")
        assert sorted(reader._labels) == sorted(data.train.labels.tolist())
    else:
        reader = torchvision.datasets.StanfordCars(tmp_path, split="test")
        assert sorted(number for _, number in reader._samples) == sorted(data.test.labels.tolist())


def zip_entry(content: bytes, name: str) -> bytes:
    import zipfile

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read(name)


def class_folders(root: Path, names: list[str], positions: bool, side: int = 32) -> None:
    """A folder of PNG images, two of each class and split, named after their positions or not."""
    for split in ("train", "test"):
        for row in range(2 * len(names)):
            folder = root / split / names[row % len(names)]
            folder.mkdir(parents=True, exist_ok=True)
            name = f"{row}.png" if positions else f"x{9 - row % 7}_{row // 7}_b.png"
            Image.fromarray(pixels(row, side, side, 3)).save(folder / name)


CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def test_a_folder_of_classes_is_in_the_originals_order_where_names_are_positions(
    tmp_path: Path, prepared: Callable[..., Tfds]
) -> None:
    class_folders(tmp_path / "folder", CIFAR10, positions=True)
    rows = np.stack([pixels(row, 32, 32, 3) for row in range(20)])
    planes = np.concatenate(
        [(np.arange(20) % 10).astype(np.uint8)[:, None], rows.transpose(0, 3, 1, 2).reshape(20, -1)], 1
    )
    binary = tmp_path / "binary" / "cifar-10-batches-bin"
    binary.mkdir(parents=True)
    for part in range(5):
        (binary / f"data_batch_{part + 1}.bin").write_bytes(planes[4 * part : 4 * part + 4].tobytes())
    (binary / "test_batch.bin").write_bytes(planes.tobytes())
    one = prepared("cifar10", tmp_path / "folder", data_dir=str(tmp_path / "one")).load(32, None, 0)
    two = prepared("cifar10", tmp_path / "binary", data_dir=str(tmp_path / "two")).load(32, None, 0)
    assert one.fingerprint == two.fingerprint
    assert one.content == two.content


@pytest.mark.parametrize(
    ("names", "side", "reason"),
    [
        (CIFAR10[:-1], 32, "folder/train lacks 1 of cifar10's 10 classes, e.g. 'truck'"),
        ([*CIFAR10, "unicorn"], 32, "folder/train has 1 folders that are no classes of cifar10, e.g. 'unicorn'"),
        (CIFAR10, 28, "has 28x28 pixels; cifar10's images 32x32"),
    ],
)
def test_a_folder_of_other_classes_or_sizes_is_refused(
    names: list[str], side: int, reason: str, tmp_path: Path, data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class_folders(tmp_path / "folder", names, positions=True, side=side)
    assert reason in refusal(capsys, "dataset=cifar10", files=tmp_path / "folder")


# A known dataset: a small CMATERdb whose fingerprints stand in the command.


def numerals() -> dict[str, dict[str, np.ndarray]]:
    splits = {"train": 40, "test": 20}
    return {
        split: {"images": pixels(count, count, 32, 32, 3), "labels": (np.arange(count) % 10).astype(np.uint8)}
        for split, count in splits.items()
    }


def put(folder: Path, splits: dict[str, dict[str, np.ndarray]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for split, arrays in splits.items():
        np.savez(folder / f"{split}ing-images.npz", **arrays)  # type: ignore[arg-type]
    return folder


@pytest.fixture
def known(tmp_path: Path, data_folder: Path, prepared: Callable[..., Tfds]) -> list[str]:
    """The words with which these numerals are a dataset whose original is known."""
    first = str(tmp_path / "first")
    found = prepared("cmaterdb", put(tmp_path / "original", numerals()), data_dir=first)
    manifest = found.jobs["train"].cache.manifest()
    title = "cmaterdb/bangla 1.0.0"
    fields = {"known_content": {title: "91c2ccda3aa20346"}, "known_splits": {title: manifest["fingerprints"]}}
    counts = ["dataset.train_count=40", "dataset.test_count=20"]
    return ["dataset=cmaterdb", *counts, *(f"dataset.{key}={json.dumps(value)}" for key, value in fields.items())]


def test_a_copy_with_the_originals_content_is_the_dataset(
    tmp_path: Path, data_folder: Path, known: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    copy = numerals()
    copy["test"]["images"][3] = copy["train"]["images"][7]  # for the count; the original has it below
    assert command(known, files=str(tmp_path / "original")) == 0
    manifest = json.loads((data_folder / "cache" / "cmaterdb-bangla-1.0.0-native" / "manifest.json").read_text())
    assert manifest["content"] == "91c2ccda3aa20346"
    capsys.readouterr()
    assert command(known, files=str(put(tmp_path / "other", copy))) == 0
    assert "prepared before; " in capsys.readouterr().err


def swapped(splits: dict[str, dict[str, np.ndarray]], rows: list[int], *kinds: str) -> None:
    for kind in kinds:
        splits["train"][kind][rows] = splits["train"][kind][rows[::-1]]


def change_images(splits: dict[str, dict[str, np.ndarray]]) -> None:
    swapped(splits, [0, 1], "images")


def change_order(splits: dict[str, dict[str, np.ndarray]]) -> None:
    swapped(splits, [0, 1], "images", "labels")


def change_labels(splits: dict[str, dict[str, np.ndarray]]) -> None:
    splits["train"]["labels"] = np.random.default_rng(0).permutation(splits["train"]["labels"])


def change_pixel(splits: dict[str, dict[str, np.ndarray]]) -> None:
    splits["test"]["images"][5, 3, 3, 0] ^= 1


def drop_class(splits: dict[str, dict[str, np.ndarray]]) -> None:
    kept = splits["train"]["labels"] != 3
    splits["train"] = {kind: array[kept] for kind, array in splits["train"].items()}


def drop_image(splits: dict[str, dict[str, np.ndarray]]) -> None:
    splits["train"] = {kind: array[:-1] for kind, array in splits["train"].items()}


def shrink(splits: dict[str, dict[str, np.ndarray]]) -> None:
    splits["train"]["images"] = splits["train"]["images"][:, :28, :28]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_images, "train: the images are the original's, and their labels or their places are not"),
        (change_order, "train: images and labels are the original's, in another order than it"),
        (change_labels, "train: the images are the original's, in its order, and the labels are not"),
        (change_pixel, "test: an image or more has other pixels than the original"),
        (drop_class, "train has no image of class 3"),
        (drop_image, "has 39 train images and 20 test images; expected 40 train images and 20 test images"),
        (shrink, "train has 40 labels and images (40, 28, 28, 3) of uint8; expected 32x32x3 of uint8 each"),
    ],
)
def test_a_copy_that_differs_is_refused_with_what_differs(
    change: Callable[[dict[str, dict[str, np.ndarray]]], None],
    reason: str,
    tmp_path: Path,
    data_folder: Path,
    known: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    copy = numerals()
    change(copy)
    capsys.readouterr()
    assert reason in refusal(capsys, *known, files=put(tmp_path / "copy", copy))
    assert not list(data_folder.glob("cache/*"))
    assert not list(data_folder.glob("work/*"))


def test_what_is_no_dataset_is_refused_in_one_line(
    tmp_path: Path, data_folder: Path, miniatures: dict[str, Miniature], capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path / "numerals", numerals())
    text = tmp_path / "notes.txt"
    text.write_text("none")
    whole = miniatures["cifar10"].files["cifar-10-binary.tar.gz"]
    half = tmp_path / "half"
    half.mkdir()
    (half / "cifar-10-binary.tar.gz").write_bytes(whole[: len(whole) // 2])
    cut = put(tmp_path / "cut", numerals()) / "testing-images.npz"
    cut.write_bytes(cut.read_bytes()[:500])
    said = {
        "cifar10: cifar10 3.0.2: {numerals} has no files of cifar10 in a form that is known": ("cifar10", "numerals"),
        "cifar10: {notes.txt} is neither a folder nor an archive": ("cifar10", "notes.txt"),
        "cifar10: {nowhere} does not exist": ("cifar10", "nowhere"),
        "cifar10: {half}/cifar-10-binary.tar.gz cannot be unpacked": ("cifar10", "half"),
        "cmaterdb: cmaterdb/bangla 1.0.0: a file of {cut} cannot be read": ("cmaterdb", "cut"),
    }
    for reason, (name, path) in said.items():
        line = refusal(capsys, f"dataset={name}", files=tmp_path / path)
        assert line.startswith(reason.replace(f"{{{path}}}", str(tmp_path / path)))


def test_a_pickle_that_runs_code_is_refused(
    tmp_path: Path, data_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "made"),)

    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    for name in ("train", "test"):
        (folder / name).write_bytes(pickle.dumps({"data": Evil()}))
    assert "it asks for posix.mkdir" in refusal(capsys, "dataset=cifar100", files=tmp_path)
    assert not (tmp_path / "made").exists()


def test_configurations_with_files_of_one_name_have_folders_of_their_own(
    tmp_path: Path, data_folder: Path, prepared: Callable[..., Tfds], capsys: pytest.CaptureFixture[str]
) -> None:
    counts = {"bangla": 40, "telugu": 30}
    for config, count in counts.items():
        arrays = numerals()
        arrays["train"] = {kind: array[:count] for kind, array in arrays["train"].items()}
        put(data_folder / "manual" / "cmaterdb" / config, arrays)
    for config, count in counts.items():
        found = prepared("cmaterdb", data_folder / "manual" / "cmaterdb", config=config)
        assert len(found.load(32, None, 0).train) == count
    put(tmp_path / "banglas", numerals())
    capsys.readouterr()
    words = ["dataset=cmaterdb", "dataset.config=devanagari", "dataset.train_count=null", "dataset.test_count=null"]
    assert "has no files of cmaterdb in a form that is known" in refusal(capsys, *words, files=tmp_path / "banglas")


def test_a_run_prepares_from_the_files_that_it_is_told(tmp_path: Path, data_folder: Path, known: list[str]) -> None:
    quick = ["image_size=32", "model=scnn", "model.width=0.1", "method=bl", "diagnostics=false", "device=cpu"]
    steps = ["trainer.max_steps=1", "trainer.batch_size=8", f"results_dir={tmp_path / 'results'}"]
    counts = [word for word in known if "known" not in word]
    words = [*counts, "dataset.known_content=null", "dataset.prepare=auto", f"dataset.files={tmp_path / 'original'}"]
    done = subprocess.run(
        [sys.executable, "-m", "reinit_bench", *quick, *steps, *words], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert f"read from {tmp_path / 'original'}" in done.stderr


@pytest.mark.slow
def test_an_interrupted_command_leaves_nothing_and_works_when_typed_again(
    tmp_path: Path, data_folder: Path, miniatures: dict[str, Miniature]
) -> None:
    miniatures["fashion_mnist"].put(tmp_path / "files")
    words = ["prepare", "dataset=fashion_mnist", "dataset.known_content=null", "--from", str(tmp_path / "files")]
    typed = [sys.executable, "-m", "reinit_bench", *words]
    with subprocess.Popen(typed, stderr=subprocess.DEVNULL) as process:
        while not list(data_folder.glob("cache/.*.partial")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert not list(data_folder.glob("cache/*"))
    assert subprocess.run(typed, check=True, capture_output=True).returncode == 0


def test_the_datasets_are_shown_with_what_to_type(
    tmp_path: Path, data_folder: Path, known: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    put(data_folder / "manual" / "cmaterdb", numerals())
    capsys.readouterr()
    assert main(["datasets", "--json"]) == 0
    rows = {row["dataset"]: row for row in json.loads(capsys.readouterr().out)}
    assert len(rows) == 14
    assert rows["cifar100"]["original"] == "unknown"
    assert (rows["caltech101_96"]["original"], rows["caltech101_96"]["pixels"]) == ("no", "96x96")
    assert rows["caltech101_96"]["command"] == "reinit-bench prepare dataset=caltech101_96 --from FOLDER"
    assert rows["cmaterdb"]["in_the_way"] == f"nothing: files lie in {data_folder / 'manual' / 'cmaterdb'}"
    assert "pytorch/vision/issues/7545" in rows["cars196"]["in_the_way"]
    assert command([*known[:3], "dataset.known_content=null"]) == 0
    capsys.readouterr()
    assert main(["datasets"]) == 0
    shown = capsys.readouterr().out
    assert "cmaterdb" in shown
    assert "other files than the original's" in shown


def test_a_fingerprint_is_four_hashes() -> None:
    one, two = Fingerprint(), Fingerprint()
    examples = [(b"a", 0), (b"b", 1), (b"a", 0)]
    for (image, label), (other, number) in zip(examples, examples[1:] + examples[:1], strict=True):
        one.add(image, label)
        two.add(other, number)
    first, second = str(one).split("-"), str(two).split("-")
    assert [len(part) for part in first] == [16, 8, 8, 8]
    assert [a == b for a, b in zip(first, second, strict=True)] == [False, False, True, True]
