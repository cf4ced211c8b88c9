"""`dataset=tfds` without TensorFlow: caches, run ids and refusals; with its builders in test_builders_by_name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra

from reinit_bench.cli.commands.status import _unprepared
from reinit_bench.cli.compose import composer
from reinit_bench.cli.main import main
from reinit_bench.core.config import Experiment
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.cache import CacheWriter
from reinit_bench.data.preparing.command import preparing, source
from reinit_bench.data.preparing.splits import roles
from reinit_bench.data.task import load_task
from reinit_bench.data.tfds_source import TfdsByName, prepared_content
from reinit_bench.sweep.plan import Plan, PlannedRun

pytestmark = pytest.mark.usefixtures("data_folder")

WORDS = ["dataset=tfds", "dataset.builder=flowers", "image_size=8", "model=scnn", "method=bl"]


def write_cache(found: TfdsByName, content: str = "c0ffee", **splits: str) -> None:
    """What preparing leaves: 30 training images, 12 of others, of three classes."""
    served = splits or {"train": "train", "validation": "validation", "test": "test"}
    with CacheWriter(found.jobs["train"].cache.path) as writer:
        for split in served:
            count = 30 if split == "train" else 12
            writer.images(split, None, (count, 8, 8, 1))[:] = np.arange(64, dtype=np.uint8).reshape(8, 8, 1)
            writer.labels(split, np.arange(count) % 3)
        writer.finish({"num_classes": 3, "splits": served, "content": content, "version": "2.0.1"})


def composed(*words: str) -> Experiment:
    with composer() as compose:
        return Experiment.from_dict(compose.compose([*WORDS, *words]))


TRAIN_ALONE = {"train": "train", "test": "train"}


@pytest.mark.parametrize(
    ("wanted", "present", "expected"),
    [
        ({}, "train test validation", {"train": "train", "validation": "validation", "test": "test"}),
        ({}, "train validation", {"train": "train", "test": "validation"}),
        ({}, "train", TRAIN_ALONE),
        ({}, "train test extra", {"train": "train", "test": "test"}),
        ({"validation": "none"}, "train test validation", {"train": "train", "test": "test"}),
        ({"validation": "validation"}, "train validation", TRAIN_ALONE | {"validation": "validation"}),
        ({"test": "extra"}, "train validation extra", {"train": "train", "validation": "validation", "test": "extra"}),
        ({}, "test validation", "it has no split 'train' for train; its splits are test, validation"),
        ({"test": "tset"}, "train test", "it has no split 'tset' for test; its splits are train, test"),
        ({"test": "train"}, "train test", "one split cannot serve twice: train is train, test is train"),
    ],
)
def test_which_split_serves_as_what(
    wanted: dict[str, str | None], present: str, expected: dict[str, str] | str
) -> None:
    try:
        found: dict[str, str] | str = roles({"validation": None, "test": None} | wanted, present.split())
    except ConfigError as error:
        found = str(error)
    assert found == expected


def test_a_run_on_a_missing_builder_names_the_command(
    data_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GlobalHydra.instance(), "hydra", None)  # other tests of this process keep one open
    needed = "reinit-bench prepare dataset=tfds dataset.builder=flowers"
    assert preparing(composed("dataset.version=2.0.1").dataset) == f"{needed} dataset.version=2.0.1"
    assert main([*WORDS, "device=cpu"]) == 1
    assert capsys.readouterr().err == f"error: dataset flowers is not prepared in {data_folder}; run: {needed}\n"


def test_what_was_prepared_enters_the_run_id_and_how_it_was_asked_for_does_not() -> None:
    before = composed()
    assert before.dataset["content"] is None
    assert (before.dataset["name"], before.dataset["_label_"]) == ("flowers", "flowers")
    write_cache(TfdsByName(builder="flowers"))
    after = composed()
    assert after.dataset["content"] == "c0ffee"
    task = load_task(after, torch.device("cpu"))
    assert (len(task.train), len(task.validation), len(task.test), task.num_classes) == (30, 12, 12, 3)
    with pytest.raises(ConfigError) as caught:
        load_task(before, torch.device("cpu"))
    assert str(caught.value) == (
        "the flowers that is prepared has content c0ffee, and the run was composed with None; type the command again"
    )
    write_cache(TfdsByName(builder="flowers", version="2.0.1", test_split="test"))
    assert composed("dataset.version=2.0.1", "dataset.test_split=test").run_id == after.run_id
    write_cache(TfdsByName(builder="flowers"), "0ddba11")
    again = composed()
    write_cache(TfdsByName(builder="trees"))
    others = [composed("dataset.builder=trees"), composed("dataset.train_examples=20"), again, before]
    assert len({after.run_id, *(other.run_id for other in others)}) == 5


def test_what_cannot_be_read_has_no_content(data_folder: Path) -> None:
    assert prepared_content({"builder": ""}) is None
    assert prepared_content({"builder": "flowers", "stored_size": "large"}) is None
    found = TfdsByName(builder="flowers")
    write_cache(found)
    (found.jobs["train"].cache.path / "manifest.json").write_text("{")
    assert prepared_content({"builder": "flowers"}) is None


def test_status_names_what_must_be_prepared() -> None:
    with composer() as compose:
        sets = ["dataset=cifar10", "dataset=cassava", "dataset=cmaterdb dataset.config=telugu", "dataset=digits"]
        words = [*(text.split() for text in sets), ["dataset=cifar10", "seed=1"]]
        runs = tuple(PlannedRun.from_dict(compose.compose(each)) for each in words)
    assert _unprepared(Plan(runs=runs)) == [
        "data not ready: reinit-bench prepare dataset=cassava,cifar10",
        "data not ready: reinit-bench prepare dataset=cmaterdb dataset.config=telugu",
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "dataset=tfds needs a builder: dataset.builder=NAME or NAME/CONFIG, e.g. kmnist"),
        ({"builder": "../x"}, "dataset.builder must be NAME or NAME/CONFIG; got '../x'"),
        ({"builder": "a/b/c"}, "dataset.builder must be NAME or NAME/CONFIG; got 'a/b/c'"),
        ({"builder": "a", "version": "1.0"}, "dataset.version must be three numbers, e.g. 3.0.1; got '1.0'"),
        (
            {"builder": "a", "test_split": "train[80%:]"},
            "dataset.test_split must be a whole split, e.g. test; got 'train[80%:]'",
        ),
        ({"builder": "a", "corruption": "fog"}, "dataset tfds has no field 'corruption'"),
    ],
)
def test_fields_that_cannot_be_right_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        source("tfds", fields)
    assert str(caught.value).startswith(message)
