"""Builders that no yaml describes, on miniature archives: `dataset=tfds dataset.builder=...`, through to training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from miniature_archives import BY_NAME, Miniature
from real_builders import BLOCKED, fingerprints, made_once, run, same, truth

from reinit_bench.data.preparing.command import command, source
from reinit_bench.data.preparing.environment import VARIABLE
from reinit_bench.data.source import Dataset
from reinit_bench.data.tfds_source import TfdsByName, prepared_content

pytestmark = [pytest.mark.prepare, pytest.mark.slow, pytest.mark.timeout(600)]

SAID = {
    "malaria": "version 1.0.0, 12 train and 3 test images of 2 classes; "
    "there is no test split: 0.2 of each class of train is held out for it",
    "beans": "version 0.1.0, 12 train, 6 validation and 9 test images of 3 classes",
    "imagenet_resized/8x8": "version 0.1.0, 12 train and 6 test images of 1000 classes; tested on the split validation",
}


@pytest.fixture(scope="module")
def miniatures() -> dict[str, Miniature]:
    return {name: make() for name, make in BY_NAME.items()}


@pytest.fixture(scope="module")
def root(
    tmp_path_factory: pytest.TempPathFactory, python: Path, miniatures: dict[str, Miniature]
) -> Path:  # fmt: skip
    """A folder with all of them prepared."""

    def make(folder: Path) -> None:
        for name, miniature in miniatures.items():
            miniature.put(folder / "manual" / name.partition("/")[0])
        jobs = [job for name in BY_NAME for job in dataset(name, miniatures, folder).distinct_jobs]
        assert run(python, jobs) == dict.fromkeys(BY_NAME)

    return made_once(tmp_path_factory, "datasets-by-name", make)


@pytest.fixture
def offline(python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command prepares with the tests' interpreter, and no download can reach anything."""
    for name, value in {**BLOCKED, VARIABLE: str(python)}.items():
        monkeypatch.setenv(name, value)


def fields(name: str, miniatures: dict[str, Miniature], root: Path) -> dict[str, object]:
    return {**miniatures[name].overrides, "builder": name, "data_dir": str(root)}


def dataset(name: str, miniatures: dict[str, Miniature], root: Path, **more: object) -> TfdsByName:
    found = source("tfds", {**fields(name, miniatures, root), **more})
    assert isinstance(found, TfdsByName)
    return found


def load(name: str, miniatures: dict[str, Miniature], root: Path, enlarged: int | None = None) -> Dataset:
    given = fields(name, miniatures, root)
    return dataset(name, miniatures, root, content=prepared_content(given)).load(8, enlarged, 0)


@pytest.mark.parametrize("name", ["beans", "imagenet_resized/8x8"])
def test_every_image_is_cached_with_its_label(name: str, root: Path, miniatures: dict[str, Miniature]) -> None:
    data, miniature = load(name, miniatures, root), miniatures[name]
    side = 16 if name == "beans" else None
    assert same(fingerprints(data.train.labels, data.train.inputs), truth(miniature.train, side, 3))
    assert same(fingerprints(data.test.labels, data.test.inputs), truth(miniature.test, side, 3))
    assert data.num_classes == (3 if name == "beans" else 1000)
    assert (data.validation is None) == (name != "beans")
    if data.validation is not None:
        validation = data.validation
        assert same(fingerprints(validation.labels, validation.inputs), truth(miniature.validation, side, 3))


def test_without_a_test_split_a_share_of_each_class_is_tested_on(root: Path, miniatures: dict[str, Miniature]) -> None:
    data = load("malaria", miniatures, root, 24)
    assert np.bincount(data.train.labels).tolist() == [4, 8]
    assert np.bincount(data.test.labels).tolist() == [1, 2]
    labels = np.concatenate([data.train.labels, data.test.labels])
    images = np.concatenate([data.train.inputs, data.test.inputs])
    assert same(fingerprints(labels, images), truth(miniatures["malaria"].train, 20, 3))
    assert data.train_enlarged is not None
    assert data.train_enlarged.inputs.shape == (12, 24, 24, 3)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", BY_NAME)
def test_the_command_says_what_it_found(
    name: str, root: Path, miniatures: dict[str, Miniature], capfd: pytest.CaptureFixture[str]
) -> None:
    words = [f"dataset.{key}={value}" for key, value in fields(name, miniatures, root).items()]
    assert command(["dataset=tfds", *words]) == 0
    assert capfd.readouterr().err.splitlines()[-1] == f"{name}: ready in {root} (0 MB); {SAID[name]}"


def test_what_cannot_be_prepared_is_refused_in_one_line(
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
    assert manifest["content"] == prepared_content(fields(name, miniatures, root))
    other = found.jobs["train"].cache.path
    assert other.name == "imagenet_resized-8x8-0.1.0-auto-validation-0.2-native"
