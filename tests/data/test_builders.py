"""Real TFDS builders, the twelve and some by name, on miniature archives: prepare, the cache and a few training steps.

The archives are where a user puts files that they downloaded, with hashes that the user states: no code is replaced.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from miniature_archives import BY_NAME, MINIATURES, Miniature
from real_builders import BLOCKED, fingerprints, made_once, run, same, truth
from rich.console import Console

from reinit_bench.cli.compose import composer
from reinit_bench.core.config import Execution, Experiment
from reinit_bench.data.pixels import decode
from reinit_bench.data.preparing import environment
from reinit_bench.data.preparing.command import command, source
from reinit_bench.data.preparing.environment import VARIABLE, worker_command
from reinit_bench.data.preparing.job import Job
from reinit_bench.data.preparing.splits import draw_per_class
from reinit_bench.data.resize import resize
from reinit_bench.data.source import Dataset
from reinit_bench.data.tfds_source import Tfds, TfdsByName
from reinit_bench.run.experiment import run_experiment

pytestmark = [pytest.mark.prepare, pytest.mark.slow, pytest.mark.timeout(600)]


ALL = MINIATURES | BY_NAME


def fields(name: str, miniature: Miniature, root: Path) -> dict[str, object]:
    """What makes an option of conf/dataset the miniature of it."""
    if name in BY_NAME:
        return {**miniature.overrides, "builder": name, "data_dir": str(root)}
    counts = {"train_count": len(miniature.train), "test_count": len(miniature.test)}
    return {**counts, **miniature.overrides, "data_dir": str(root), "known_content": None}


def words_of(given: dict[str, object]) -> list[str]:
    return [f"dataset.{key}={'null' if value is None else value}" for key, value in given.items()]


@pytest.fixture(scope="session")
def miniatures() -> dict[str, Miniature]:
    return {name: make() for name, make in ALL.items()}


@pytest.fixture(scope="session")
def root(
    tmp_path_factory: pytest.TempPathFactory, python: Path, miniatures: dict[str, Miniature]
) -> Path:  # fmt: skip
    """A folder with all of them prepared."""

    def make(folder: Path) -> None:
        for name, miniature in miniatures.items():
            miniature.put(folder / "manual" / name.partition("/")[0] / ("bangla" if name == "cmaterdb" else ""))
        jobs = [job for name in ALL for job in dataset(name, miniatures, folder).distinct_jobs]
        distinct = {job.title: job for job in jobs}
        assert run(python, list(distinct.values())) == dict.fromkeys(distinct)

    return made_once(tmp_path_factory, "miniature-datasets", make)


def dataset(name: str, miniatures: dict[str, Miniature], root: Path, **more: object) -> Tfds | TfdsByName:
    """As of the command; what the original's content is does not hold for miniatures."""
    found = source("tfds" if name in BY_NAME else name, {**fields(name, miniatures[name], root), **more})
    assert isinstance(found, Tfds | TfdsByName)
    return found


def load(name: str, miniatures: dict[str, Miniature], root: Path) -> Dataset:
    known = {"content": dataset(name, miniatures, root).fingerprint(None, 0)} if name in BY_NAME else {}
    found = dataset(name, miniatures, root, **known)
    return found.load(8 if name in BY_NAME else 224, found.stored_enlarged, 0)


@pytest.mark.parametrize("name", sorted(ALL.keys() - {"caltech101", "malaria"}))
def test_every_image_is_cached_with_its_label(name: str, root: Path, miniatures: dict[str, Miniature]) -> None:
    data, miniature = load(name, miniatures, root), miniatures[name]
    side, enlarged = (getattr(dataset(name, miniatures, root), f"stored_{key}") for key in ("size", "enlarged"))
    channels = data.train.inputs.shape[-1]
    assert channels == (1 if name in ("fashion_mnist", "mnist_corrupted") else 3)
    splits = [(data.train, miniature.train, side), (data.test, miniature.test, side)]
    if miniature.validation:
        assert data.validation is not None
        splits.append((data.validation, miniature.validation, side))
    if enlarged is not None:
        assert data.train_enlarged is not None
        splits.append((data.train_enlarged, miniature.train, enlarged))
    for found, expected, size in splits:
        assert same(fingerprints(found.labels, found.inputs), truth(expected, size, channels))


@pytest.mark.parametrize("name", sorted(MINIATURES.keys() - {"oxford_iiit_pet"}))
def test_the_same_files_read_without_tensorflow_give_the_same_cache(
    name: str, root: Path, tmp_path: Path, miniatures: dict[str, Miniature]
) -> None:
    """Pixels, labels, order and content; of oxford_iiit_pet, TFDS packs some files anew."""
    sparse = {"num_classes": None} if name in ("stanford_dogs", "cars196", "caltech_birds2010", "caltech101") else {}
    tfds, ours = dataset(name, miniatures, root), dataset(name, miniatures, tmp_path, **sparse)
    miniatures[name].put(tmp_path / "manual" / name)
    if name == "cifar10_corrupted":
        miniatures["cifar10"].put(tmp_path / "manual" / "cifar10")
    assert set(prepare_from_files(ours.distinct_jobs).values()) == {None}
    for one, two in zip(tfds.distinct_jobs, ours.distinct_jobs, strict=True):
        first, second = one.cache.manifest(), two.cache.manifest()
        assert "tensorflow_datasets" in first
        assert "tensorflow_datasets" not in second
        assert {array: entry["sha256"] for array, entry in first["arrays"].items()} == {
            array: entry["sha256"] for array, entry in second["arrays"].items()
        }
        assert first["content"] == second["content"]


def prepare_from_files(jobs: list[Job]) -> dict[str, str | None]:
    """`prepare_all`, for jobs whose files are all there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environment, "run_jobs", lambda jobs, console: {job.title: "left to TFDS" for job in jobs})
        return environment.prepare_all(jobs, Console(stderr=True))


def test_without_a_test_split_a_share_of_each_class_is_tested_on(root: Path, miniatures: dict[str, Miniature]) -> None:
    data = load("malaria", miniatures, root)
    assert np.bincount(data.train.labels).tolist() == [4, 8]
    assert np.bincount(data.test.labels).tolist() == [1, 2]
    labels = np.concatenate([data.train.labels, data.test.labels])
    images = np.concatenate([data.train.inputs, data.test.inputs])
    assert same(fingerprints(labels, images), truth(miniatures["malaria"].train, 20, 3))
    assert data.train_enlarged is not None
    assert data.train_enlarged.inputs.shape == (12, 24, 24, 3)


def test_caltech101_is_drawn_by_file_name(root: Path, miniatures: dict[str, Miniature]) -> None:
    data = dataset("caltech101", miniatures, root).load(224, None, 0)
    assert np.bincount(data.train.labels)[[0, 4, 101]].tolist() == [30, 30, 30]
    seen = Counter[int]()
    named = {}
    for label, content in miniatures["caltech101"].train:
        seen[label] += 1
        named[label, f"image_{seen[label]:04d}.jpg"] = content
    for drawn, split in zip(draw_per_class(named, 30), (data.train, data.test), strict=True):
        assert split.labels.tolist() == [key[0] for key in drawn]
        for row in (0, len(drawn) // 2, -1):
            content = named[drawn[row]]
            assert isinstance(content, bytes)
            np.testing.assert_array_equal(split.inputs[row], resize(decode(content), 224))


@pytest.mark.parametrize(("name", "size"), [("oxford_iiit_pet", 224), ("cifar10_corrupted", 32)])
def test_what_was_prepared_is_trained_on(
    name: str, size: int, root: Path, tmp_path: Path, miniatures: dict[str, Miniature]
) -> None:
    torch.set_num_threads(1)
    words = [
        f"dataset={name}",
        "model=scnn",
        "model.width=0.25",
        "method=bl",
        "augmentation=mild",
        f"image_size={size}",
    ]
    quick = ["max_steps=1", "batch_size=4", "validation_fraction=0", "round_weights=last"]
    overrides = [*words_of(fields(name, miniatures[name], root)), *(f"trainer.{word}" for word in quick)]
    with composer() as compose:
        experiment = Experiment.from_dict(compose.compose([*words, *overrides]))
    result = run_experiment(experiment, Execution(results_dir=tmp_path, device="cpu"))
    assert result["steps"] == 4
    contents = [job.cache.manifest()["content"] for job in dataset(name, miniatures, root).distinct_jobs]
    assert result["content"] == "+".join(contents)
    assert "tensorflow" not in sys.modules


SAID = {
    "malaria": "version 1.0.0, 12 train and 3 test images of 2 classes; "
    "there is no test split: 0.2 of each class of train is held out for it",
    "beans": "version 0.1.0, 12 train, 6 validation and 9 test images of 3 classes",
    "imagenet_resized/8x8": "version 0.1.0, 12 train and 6 test images of 1000 classes; tested on the split validation",
}


@pytest.mark.parametrize("name", ["cifar10_corrupted", *SAID])
def test_the_command_says_what_it_found(
    name: str,
    root: Path,
    python: Path,
    miniatures: dict[str, Miniature],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for variable, value in {**BLOCKED, VARIABLE: str(python)}.items():
        monkeypatch.setenv(variable, value)
    words = words_of(fields(name, miniatures[name], root))
    for check in (False, True):
        assert command([f"dataset={'tfds' if name in BY_NAME else name}", *words], check=check) == 0
        told = capfd.readouterr().err.splitlines()[-1]
        assert name not in SAID or told == f"{name}: ready in {root} (0 MB); {SAID[name]}"


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """A copy for tests that change it: cmaterdb prepared, and the files of some others."""
    for name in ("cmaterdb", "cassava", "cifar100", "mnist_corrupted"):
        shutil.copytree(root / "manual" / name, tmp_path / "manual" / name)
    shutil.copytree(root / "downloads" / "cmaterdb", tmp_path / "downloads" / "cmaterdb")
    (cache,) = (root / "cache").glob("cmaterdb*")
    shutil.copytree(cache, tmp_path / "cache" / cache.name)
    return tmp_path


def test_a_dataset_that_cannot_be_prepared_says_why_and_leaves_nothing_behind(
    copy: Path, python: Path, miniatures: dict[str, Miniature]
) -> None:
    archive = copy / "manual" / "cifar100" / "cifar-100-binary.tar.gz"
    archive.write_bytes(b"no archive")
    archive.with_name(f"{archive.name}.sha256").write_text(sha256(b"no archive").hexdigest())
    refused = {
        "counts": source("cassava", {"data_dir": str(copy)}),
        "classes": dataset("mnist_corrupted", miniatures, copy, num_classes=4),
        "network": dataset("caltech_birds2010", miniatures, copy),
        "dead link": dataset("cars196", miniatures, copy),
        "archive": dataset("cifar100", miniatures, copy),
        "version": dataset("cifar10", miniatures, copy, version="2.0.0"),
    }
    jobs = {what: tfds.distinct_jobs[0] for what, tfds in refused.items() if tfds is not None}
    outcomes = run(python, list(jobs.values()))
    said = {what: outcomes[job.title] or "" for what, job in jobs.items()}
    assert said["counts"] == (
        "cassava 0.1.0 has 10 train images and 10 test images; expected 5,656 train images and 1,885 test images"
    )
    assert said["classes"] == "mnist_corrupted/fog 1.0.0 has 10 classes; expected 4"
    assert (
        "lists.tgz cannot be downloaded from https://drive.google.com/uc?export=download&id=1vZuZPqha0"
        in said["network"]
    )
    assert f"put it into {copy}/manual/caltech_birds2010 under that name" in said["network"]
    assert "pytorch/vision/issues/7545" in said["dead link"]
    assert (
        "car_devkit.tgz cannot be downloaded from https://ai.stanford.edu/~jkrause/cars/car_devkit.tgz ("
        in said["dead link"]
    )
    assert "TFDS could not read its files" in said["archive"]
    assert "has no cifar10:2.0.0" in said["version"]
    assert [path.name for path in (copy / "cache").iterdir()] == ["cmaterdb-bangla-1.0.0-native"]
    assert list((copy / "work").iterdir()) == []
    assert list((copy / "downloads").glob("**/*.tmp.*")) == []


def test_a_sweep_prepares_its_data_itself_and_says_in_one_line_why_it_cannot(
    tmp_path: Path, python: Path, miniatures: dict[str, Miniature]
) -> None:
    """As a new user types it, without a network; the second time the archive has been fetched by hand."""
    data, small = tmp_path / "data", miniatures["cifar10"]
    counts = words_of({"train_count": len(small.train), "test_count": len(small.test), "known_content": None})
    quick = ["image_size=32", "model.width=0.25", "trainer.max_steps=2", "trainer.batch_size=16", "diagnostics=false"]
    words = ["-m", "method=lw,fc", "dataset=cifar10", "dataset.prepare=auto", *counts, *quick]
    variables = {**BLOCKED, VARIABLE: str(python), "REINIT_BENCH_DATA": str(data)}

    def typed() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "reinit_bench", *words, "hydra.launcher.workers=1"]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, **variables})

    done = typed()
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    assert last.startswith(
        f"error: 2 runs failed: cifar10 3.0.2: cifar-10-binary.tar.gz cannot be downloaded from {url} ("
    )
    assert last.endswith(
        f"); put it into {data}/manual/cifar10 under that name and run the same command again; see reinit-bench status"
    )
    assert "Traceback" not in done.stdout + done.stderr
    assert not (data / "cache").exists()
    assert not [path for path in data.rglob("*") if path.is_file() and path.suffix != ".lock"]
    small.put(data / "manual" / "cifar10")
    done = typed()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "2 runs: 2 failed"
    assert done.stdout.splitlines()[-1] == "2 done"
    assert done.stderr.count(f"read from {data}/manual/cifar10") == 1


def test_corrupt_caches_and_downloads_are_named_and_replaced(
    copy: Path, python: Path, miniatures: dict[str, Miniature], capfd: pytest.CaptureFixture[str]
) -> None:
    tfds = dataset("cmaterdb", miniatures, copy)
    images = tfds.jobs["train"].cache.path / "train_native.npy"
    expected = images.read_bytes()
    images.write_bytes(expected[:-1] + bytes([expected[-1] ^ 1]))
    original = miniatures["cmaterdb"].files["training-images.npz"]
    (download,) = (path for path in (copy / "downloads" / "cmaterdb").iterdir() if path.read_bytes() == original)
    download.unlink()  # it may be another name of the file that was fetched by hand
    download.write_bytes(b"something else")
    assert run(python, tfds.distinct_jobs) == {"cmaterdb/bangla 1.0.0": None}
    said = " ".join(capfd.readouterr().err.split())
    assert "train_native.npy has changed" in said
    assert "the downloaded file training-images.npz has changed; fetching it again" in said
    assert images.read_bytes() == expected


def test_files_of_two_configurations_are_not_mixed(
    tmp_path: Path, python: Path, miniatures: dict[str, Miniature]
) -> None:
    """Bangla's, Devanagari's and Telugu's files have the same names."""

    def prepared(config: str) -> str | None:
        (said,) = run(python, dataset("cmaterdb", miniatures, tmp_path, config=config).distinct_jobs).values()
        return said

    small = miniatures["cmaterdb"]
    small.put(tmp_path / "manual" / "cmaterdb")
    assert "may be that of another configuration; put it into" in (prepared("telugu") or "")
    small.put(tmp_path / "manual" / "cmaterdb" / "telugu")
    assert prepared("telugu") is None
    assert "may be that of another configuration" in (prepared("devanagari") or "")


def test_two_processes_at_once_resume_a_killed_prepare(
    copy: Path, python: Path, miniatures: dict[str, Miniature]
) -> None:  # fmt: skip
    tfds = dataset("cassava", miniatures, copy)
    (job,) = tfds.distinct_jobs
    process = subprocess.Popen(
        worker_command(python, [job]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    work = copy / "work" / job.cache.path.name
    while not list(work.glob("**/*incomplete*")):
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not job.cache.exists()
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(lambda _: subprocess.check_output(worker_command(python, [job]), text=True), range(2)))
    assert [json.loads(line) for line in outcomes] == [[job.title, None]] * 2
    tfds.check(hashes=True)
    assert not work.exists()
    assert json.loads((job.cache.path / "manifest.json").read_text())["counts"] == {"train": 10, "test": 10}


def test_a_builder_that_cannot_be_prepared_is_refused_in_one_line(
    root: Path, tmp_path: Path, python: Path, miniatures: dict[str, Miniature]
) -> None:
    for name in ("beans", "malaria"):
        miniatures[name].put(tmp_path / "manual" / name)
    refused = {
        "builder": dataset("malaria", miniatures, tmp_path, builder="malarya"),
        "configuration": dataset("malaria", miniatures, tmp_path, builder="imagenet_resized/8x9"),
        "no configurations": dataset("malaria", miniatures, tmp_path, builder="malaria/8x8"),
        "version": dataset("malaria", miniatures, tmp_path, version="7.0.0"),
        "features": dataset("malaria", miniatures, tmp_path, builder="coco/2014"),
        "sizes": dataset("malaria", miniatures, tmp_path, stored_size=None, stored_enlarged=None),
        "split": dataset("beans", miniatures, tmp_path, test_split="tests"),
        "by hand": dataset("malaria", miniatures, tmp_path, builder="imagenet2012"),
    }
    outcomes = {what: run(python, found.distinct_jobs) for what, found in refused.items()}
    said = {what: next(iter(outcome.values())) or "" for what, outcome in outcomes.items()}
    assert all("\n" not in line for line in said.values())
    assert said["builder"].endswith(" has no builder 'malarya'; near it: malaria")
    assert said["configuration"].endswith("imagenet_resized has no configuration '8x9'; near it: 8x8")
    assert said["no configurations"].endswith("malaria has no configurations")
    assert said["version"].endswith(
        "has no malaria:7.0.0 (Dataset malaria cannot be loaded at version 7.0.0, only: 1.0.0.)"
    )
    assert said["features"] == (
        "coco/2014 is not made of 8-bit images with one class each, 'image' (Image) and 'label' (ClassLabel); its "
        "features are image (Image), image/filename (Text), image/id (Tensor), objects (Sequence)"
    )
    assert said["sizes"] == (
        "malaria: its images differ in size; set dataset.stored_size=224 dataset.stored_enlarged=248, here and in runs"
    )
    assert said["split"] == "beans: it has no split 'tests' for test; its splits are train, validation, test"
    assert f"imagenet2012 must be downloaded by hand, into {tmp_path}/manual/imagenet2012: " in said["by hand"]
    assert not (tmp_path / "cache").exists()
    assert list((tmp_path / "work").iterdir()) == []


def test_the_same_examples_are_the_same_run_however_they_were_asked_for(
    root: Path, tmp_path: Path, python: Path, miniatures: dict[str, Miniature]
) -> None:
    miniatures["imagenet_resized/8x8"].put(tmp_path / "manual" / "imagenet_resized")
    name = "imagenet_resized/8x8"
    asked = {"version": "0.1.0", "test_split": "validation"}
    found = dataset(name, miniatures, tmp_path, **asked)
    assert set(run(python, found.distinct_jobs).values()) == {None}
    manifest = json.loads((found.jobs["train"].cache.path / "manifest.json").read_text())
    assert manifest["content"] == dataset(name, miniatures, root).fingerprint(None, 0)
    other = found.jobs["train"].cache.path
    assert other.name == "imagenet_resized-8x8-0.1.0-auto-validation-0.2-native"
