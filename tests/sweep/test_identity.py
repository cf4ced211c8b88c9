"""A run's id covers what was run: a user's own code by its text, and one class for a name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from factories import TINY, make_config

from reinit_bench.core.conf_dir import own_config
from reinit_bench.core.config import Experiment
from reinit_bench.core.settings import ConfigError, instantiate
from reinit_bench.core.source import source_hash
from reinit_bench.sweep.identity import check_name, with_sources
from reinit_bench.sweep.plan import PlannedRun

METHOD = """
from dataclasses import dataclass
from reinit_bench.methods.base import Reinitializer, full_mask


@dataclass(frozen=True, kw_only=True)
class Head(Reinitializer):
    def select(self, net, context):
        return {} if context.round.index == 1 else full_mask(net, net.names_in_head())


@dataclass(frozen=True, kw_only=True)
class Top(Reinitializer):
    def select(self, net, context):
        return {} if context.round.index == 1 else full_mask(net, net.names_in_top())
"""


@pytest.fixture(autouse=True)
def forgotten() -> None:
    source_hash.cache_clear()
    check_name.cache_clear()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that a user works in: a module of methods, a package of models, a folder without __init__.py."""
    (tmp_path / "own_methods.py").write_text(METHOD)
    (tmp_path / "own_models").mkdir()
    (tmp_path / "own_models" / "__init__.py").write_text("")
    (tmp_path / "own_models" / "net.py").write_text("class Net: ...\n")
    (tmp_path / "own_models" / "layers.py").write_text("WIDTH = 3\n")
    (tmp_path / "own_folder" / "deep").mkdir(parents=True)
    (tmp_path / "own_folder" / "deep" / "thing.py").write_text("class Thing: ...\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def planned_id(**method: Any) -> str:
    config = {**make_config(*TINY), "method": {"repeats": 1, **method}}
    return Experiment.from_dict(with_sources(config)).run_id


def test_code_inside_the_package_adds_nothing() -> None:
    config = make_config(*TINY)
    assert with_sources(config) == config


def test_an_edit_makes_another_run_and_taking_it_back_the_same(folder: Path) -> None:
    first = planned_id(name="head", _target_="own_methods.Head")
    (folder / "own_methods.py").write_text(METHOD + "# another text\n")
    source_hash.cache_clear()
    assert planned_id(name="head", _target_="own_methods.Head") != first
    (folder / "own_methods.py").write_text(METHOD)
    source_hash.cache_clear()
    assert planned_id(name="head", _target_="own_methods.Head") == first


def test_two_classes_of_one_file_are_two(folder: Path) -> None:
    ids = {planned_id(name="mine", _target_=f"own_methods.{kind}") for kind in ("Head", "Top")}
    assert len(ids) == 2


def test_a_package_counts_as_a_whole_and_is_not_imported(folder: Path) -> None:
    before = source_hash("own_models.net.Net")
    (folder / "own_models" / "layers.py").write_text("WIDTH = 4\n")
    source_hash.cache_clear()
    assert source_hash("own_models.net.Net") != before
    assert "own_models" not in sys.modules


def test_in_a_folder_without_init_the_file_counts(folder: Path) -> None:
    before = source_hash("own_folder.deep.thing.Thing")
    (folder / "own_folder" / "other.py").write_text("x = 1\n")
    source_hash.cache_clear()
    assert source_hash("own_folder.deep.thing.Thing") == before
    (folder / "own_folder" / "deep" / "thing.py").write_text("class Thing: x = 1\n")
    source_hash.cache_clear()
    assert source_hash("own_folder.deep.thing.Thing") != before


@pytest.mark.parametrize("target", ["nowhere.Head", "own_folder.nowhere.Head"])
def test_code_that_is_not_found_is_named(folder: Path, target: str) -> None:
    with pytest.raises(ConfigError, match=f"method mine: cannot find the code of {target}: No module named"):
        with_sources({"method": {"name": "mine", "_target_": target}})


def test_code_that_changed_since_the_plan_is_not_run(folder: Path) -> None:
    config = with_sources({"method": {"name": "mine", "_target_": "own_methods.Head", "repeats": 1}})
    assert with_sources(config) == config  # as a task of SLURM's reads it
    (folder / "own_methods.py").write_text(METHOD + "\n")
    source_hash.cache_clear()
    with pytest.raises(ConfigError, match=r"method mine: the code of own_methods\.Head has changed since the run was"):
        instantiate(config["method"], "method")


def test_a_name_of_another_class_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"two methods are called 'lw': own_methods\.Head, and .* method=lw"):
        planned_id(name="lw", _target_="own_methods.Head")
    (folder / "conf" / "method").mkdir(parents=True)
    for option, kind in (("head", "Head"), ("top", "Top")):
        text = f"_target_: own_methods.{kind}\nname: mine\nrepeats: 1\n"
        (folder / "conf" / "method" / f"{option}.yaml").write_text(text)
    with (
        own_config(folder / "conf", None),
        pytest.raises(ConfigError, match=r"two methods are called 'mine': own_methods\.Head, and own"),
    ):
        planned_id(name="mine", _target_="own_methods.Head")


@pytest.mark.parametrize(
    ("group", "options"),
    [
        ("method", ("bl", "restart", "wels", "welsr", "lw")),
        ("model", ("scnn", "vgg16", "mobilenet")),
        ("initializer", ("he_normal", "xavier_uniform")),
        ("augmentation", ("none", "mild", "standard")),
        ("dataset", ("digits", "synthetic", "cifar10")),
    ],
)
def test_two_of_our_classes_under_one_name_are_two_experiments(group: str, options: tuple[str, ...]) -> None:
    ids = {
        PlannedRun.from_dict(make_config(f"{group}={option}", f"{group}.name=mine", "image_size=32")).run_id
        for option in options
    }
    assert len(ids) == len(options)


def test_a_class_of_ours_is_known_by_its_own_name_and_by_one_that_the_user_may_set() -> None:
    for words in (["method=wels"], ["dataset=image_folder", "dataset.name=birds", "dataset.content=abc"]):
        config = make_config(*words)
        assert with_sources(config) == config
    ours = make_config("method=wels")["method"]
    edited = {**ours, "_target_": "reinit_bench.methods.welsr.Welsr", "name": "ours"}
    assert with_sources({"method": edited})["method"]["_source_"] == edited["_target_"]
    assert instantiate(with_sources({"method": edited})["method"], "method")


def test_photos_cannot_take_the_name_of_another_dataset() -> None:
    images = {"_target_": "reinit_bench.data.image_folder.ImageFolder", "name": "digits"}
    with pytest.raises(ConfigError, match="two datasets are called 'digits'"):
        with_sources({"dataset": images})


@pytest.mark.slow
def test_an_edited_method_is_run_again_and_why_says_so(folder: Path) -> None:
    (folder / "conf" / "method").mkdir(parents=True)
    option = folder / "conf" / "method" / "head.yaml"
    option.write_text("_target_: own_methods.Head\nname: head\nrepeats: 1\n")

    def command(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "reinit_bench", *words], capture_output=True, text=True, cwd=folder, timeout=240
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run = ("--config-dir", "conf", *TINY, "method=head")
    command(*run)
    (folder / "own_methods.py").write_text(METHOD.replace("names_in_head", "names_in_top"))
    assert "already done" not in command(*run)
    results = [json.loads(path.read_text()) for path in folder.glob("results/runs/*/result.json")]
    assert len({result["weights_sha256"] for result in results}) == 2
    told = command("why", *(result["run_id"] for result in results))
    assert [line.split()[1] for line in told.splitlines() if "method." in line] == ["method._source_"]
    assert "already done" in command(*run)
