"""Preparing without TensorFlow: what the command reads and says, caches, run ids and refusals, `dataset=tfds` too."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from fake_photos import PHOTOS, write_photo_cache
from hydra.core.global_hydra import GlobalHydra
from rich.console import Console

from reinit_bench.cli.commands.status import _unprepared
from reinit_bench.cli.compose import composer
from reinit_bench.cli.main import main
from reinit_bench.core.config import Experiment
from reinit_bench.core.settings import ConfigError, instantiate
from reinit_bench.data.cache import CacheWriter
from reinit_bench.data.preparing import command as prepare_module
from reinit_bench.data.preparing import environment as prepare_env
from reinit_bench.data.preparing.command import command, preparable, preparing, readiness, section, source
from reinit_bench.data.preparing.environment import REQUIREMENTS, VARIABLE, prepare_python, run_jobs
from reinit_bench.data.preparing.job import Job
from reinit_bench.data.preparing.splits import roles
from reinit_bench.data.task import load_task
from reinit_bench.data.tfds_source import Tfds, TfdsByName
from reinit_bench.sweep.plan import Plan, PlannedRun

pytestmark = pytest.mark.usefixtures("data_folder")

REPOSITORY = Path(__file__).parents[2]


def test_the_twelve_are_preparable_and_missing_at_first() -> None:
    assert len(preparable()) == 12
    assert {readiness(name) for name in preparable()} == {"missing"}
    assert readiness("digits") == "ready"


@pytest.mark.parametrize(
    ("name", "fields", "folders"),
    [
        ("cifar10_corrupted", {}, ["cifar10-3.0.2-native", "cifar10_corrupted-brightness_1-1.0.0-native"]),
        (
            "cifar10_corrupted",
            {"corruption": "fog", "severity": 3},
            ["cifar10-3.0.2-native", "cifar10_corrupted-fog_3-1.0.0-native"],
        ),
        ("mnist_corrupted", {"corruption": "zigzag"}, ["mnist_corrupted-zigzag-1.0.0-native"]),
        ("cmaterdb", {}, ["cmaterdb-bangla-1.0.0-native"]),
        ("caltech101", {}, ["caltech101-3.0.2-draw30-224-248"]),
        ("cassava", {"stored_size": 384, "stored_enlarged": 425}, ["cassava-0.1.0-384-425"]),
        ("tfds", {"builder": "a/b"}, ["a-b-newest-auto-auto-0.2-native"]),
        (
            "tfds",
            {"builder": "a/b", "version": "1.0.0", "validation_split": "none", "test_split": "c", "test_fraction": 0.1},
            ["a-b-1.0.0-none-c-0.1-native"],
        ),
    ],
)
def test_caches_of_different_data_have_different_folders(
    name: str, fields: dict[str, object], folders: list[str]
) -> None:
    found = source(name, fields)
    assert found is not None
    assert [job.cache.path.name for job in found.distinct_jobs] == folders


def test_the_run_id_depends_on_the_data_and_not_on_where_they_are(make_experiment: Callable[..., Experiment]) -> None:
    described = section("cifar10_corrupted")

    def run_id(**fields: object) -> str:
        return make_experiment({**described, **fields}, 32).run_id

    assert run_id(data_dir="/elsewhere", prepare="auto", train_count=5) == run_id()
    others = [run_id(corruption="fog"), run_id(severity=2), run_id(version="2.0.0"), run_id(train_examples=500)]
    assert len({run_id(), *others}) == 5


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("cassava", {}, "dataset=cassava"),
        (
            "cifar10_corrupted",
            {"severity": 4},
            "dataset=cifar10_corrupted dataset.corruption=brightness dataset.severity=4",
        ),
        ("cassava", {"stored_size": 32, "stored_enlarged": None}, "dataset=cassava dataset.stored_size=32"),
    ],
)  # fmt: skip
def test_a_run_on_a_missing_dataset_names_the_command(
    name: str, fields: dict, expected: str, data_folder: Path, make_experiment: Callable[..., Experiment]
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_task(make_experiment({**section(name), **fields}, 32), torch.device("cpu"))
    assert str(caught.value) == (
        f"dataset {name} is not prepared in {data_folder}; run: reinit-bench prepare {expected}, "
        "or add dataset.prepare=auto"
    )


def test_auto_prepares_at_the_first_run_or_says_why_it_cannot(
    data_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    auto: Tfds = instantiate({**PHOTOS, "prepare": "auto"}, "dataset")
    told = "photos 1.0.0: photos.zip cannot be downloaded from there (no network)\n  put it elsewhere"
    outcomes = [told, None]

    def run(jobs: list[Job], console: Console) -> dict[str, str | None]:
        outcome = outcomes.pop(0)
        if outcome is None:
            write_photo_cache(auto)
        return {job.title: outcome for job in jobs}

    monkeypatch.setattr(prepare_env, "run_jobs", run)
    with pytest.raises(ConfigError) as caught:
        auto.load(8, None, 0)
    assert str(caught.value) == (
        "photos 1.0.0: photos.zip cannot be downloaded from there (no network); put it elsewhere"
    )
    for _ in range(2):
        assert len(auto.load(8, None, 0).train) == 60


@pytest.fixture
def photos_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of options with `photos` and one that needs no preparing."""
    folder = tmp_path / "conf" / "dataset"
    folder.mkdir(parents=True)
    (folder / "photos.yaml").write_text(yaml.safe_dump({"image_size": 8, "dataset": PHOTOS}))
    (folder / "plain.yaml").write_text("_target_: reinit_bench.data.digits.Digits\nname: plain\n")
    monkeypatch.setattr("reinit_bench.core.conf_dir.conf_dir", lambda: folder.parent)


@pytest.mark.usefixtures("photos_option")
def test_the_command_checks_hashes_if_asked_and_says_what_fails(
    photos: Tfds, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["dataset=photos,plain"], check=True) == 0
    assert "plain: nothing to prepare" in capsys.readouterr().err
    image = photos.jobs["train"].cache.path / "train_9.npy"
    image.write_bytes(image.read_bytes()[:-1] + b"\x07")
    assert command(["dataset=all"], check=True) == 1
    assert "train_9.npy has changed" in capsys.readouterr().err
    assert readiness("photos") == "ready"  # which looks at sizes only
    image.write_bytes(b"")
    assert readiness("photos") == "corrupt"
    monkeypatch.setattr(prepare_module, "prepare_all", lambda jobs, console: {"photos 1.0.0": "HTTP 404"})
    assert command(["dataset=photos"]) == 1
    assert "photos: HTTP 404" in capsys.readouterr().err


@pytest.mark.usefixtures("photos_option")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "which dataset?"),
        (["dataset=elephants"], "there is no dataset 'elephants'; choose one of photos, plain"),
        (["photos"], "prepare accepts dataset=NAME"),
        (["dataset=photos", "dataset.colour=red"], "dataset photos has no field 'colour'"),
    ],
)
def test_unknown_arguments_are_named(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        command(arguments)
    assert message in str(caught.value)


def test_the_prepare_extra_lists_what_the_isolated_environment_installs() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert tuple(project["optional-dependencies"]["prepare"]) == REQUIREMENTS


def test_the_variable_chooses_the_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, sys.executable)
    assert prepare_python(tmp_path, Console()) == Path(sys.executable)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"REINIT_BENCH_PREPARE_PYTHON is .*none, which is not a file"):
        prepare_python(tmp_path, Console())


def test_an_isolated_environment_is_made_once_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(prepare_env, "find_spec", lambda name: None)
    commands: list[list[str]] = []

    def run(command: list[str]) -> None:
        commands.append(command)
        if "venv" in command:
            Path(command[-1]).mkdir(parents=True)
        elif fails:
            raise ConfigError("no network")

    monkeypatch.setattr(prepare_env, "_run", run)
    fails = True
    with pytest.raises(ConfigError, match="no network"):
        prepare_python(tmp_path, Console(stderr=True))
    assert [path.name for path in tmp_path.iterdir()] == ["locks"]
    fails = False
    python = prepare_python(tmp_path, Console(stderr=True))
    assert python.parent.parent.parent == tmp_path
    assert set(REQUIREMENTS) < set(commands[-1])
    count = len(commands)
    assert prepare_python(tmp_path, Console(stderr=True)) == python
    assert len(commands) == count


def test_a_process_that_dies_fails_its_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho '[\"one 1.0.0\", null]'\nexit 9\n")
    broken.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(broken))
    jobs = [Tfds(builder=name, version="1.0.0").jobs["train"] for name in ("one", "two")]
    assert run_jobs(jobs, Console(stderr=True)) == {
        "one 1.0.0": None,
        "two 1.0.0": "two 1.0.0: preparing ended with code 9",
    }


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


def planned(*words: str) -> Experiment:
    with composer() as compose:
        return PlannedRun.from_dict(compose.compose([*WORDS, *words])).experiment


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
    after = planned()
    assert after.dataset["content"] == "c0ffee"
    task = load_task(after, torch.device("cpu"))
    assert (len(task.train), len(task.validation), len(task.test), task.num_classes) == (30, 12, 12, 3)
    with pytest.raises(ConfigError) as caught:
        load_task(before, torch.device("cpu"))
    assert str(caught.value) == (
        "the flowers that is prepared has content c0ffee, and the run was composed with None; type the command again"
    )
    write_cache(TfdsByName(builder="flowers", version="2.0.1", test_split="test"))
    assert planned("dataset.version=2.0.1", "dataset.test_split=test").run_id == after.run_id
    write_cache(TfdsByName(builder="flowers"), "0ddba11")
    again = planned()
    write_cache(TfdsByName(builder="trees"))
    others = [planned("dataset.builder=trees"), planned("dataset.train_examples=20"), again, before]
    assert len({after.run_id, *(other.run_id for other in others)}) == 5


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
