"""Sources: the digits, what every dataset has, and what a user's own data are to the id of a run."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from reinit_bench.cli.compose import composer
from reinit_bench.core.conf_dir import option_section, own_config
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.digits import Digits
from reinit_bench.data.source import Source
from reinit_bench.data.task import load_task
from reinit_bench.data.tfds_source import Tfds
from reinit_bench.sweep.plan import PlannedRun


def test_the_two_splits_hold_every_digit_once_whatever_the_seeds() -> None:
    data, other, scans = Digits().load(32, None, 0), Digits(split_seed=5).load(64, 71, 3), load_digits()
    np.testing.assert_array_equal(data.test.inputs, other.test.inputs)
    assert (len(data.train), len(data.test), data.num_classes) == (1297, 500, 10)
    assert set(np.bincount(data.test.labels)) <= set(range(48, 52))
    ours = np.concatenate([data.train.inputs, data.test.inputs]).reshape(1797, 64)
    labels = np.concatenate([data.train.labels, data.test.labels]).astype(np.uint8)
    theirs = np.round(scans.data * (255 / 16)).astype(np.uint8)
    assert sorted(map(bytes, np.c_[ours, labels])) == sorted(map(bytes, np.c_[theirs, scans.target.astype(np.uint8)]))


@pytest.mark.parametrize(
    ("option", "kind", "more"), [("digits", Source, set()), ("cifar10", Tfds, {"prepare", "data_dir"})]
)
def test_a_base_gives_every_field_with_the_default_of_its_class(option: str, kind: type, more: set[str]) -> None:
    section = option_section("dataset", option) or {}
    usual = {spec.name: spec.default for spec in fields(kind)}
    names = {spec.name for spec in fields(Source)} | more
    assert {name: section[name] for name in names} == {name: usual[name] for name in names}


OWN = """
from dataclasses import dataclass
from pathlib import Path
import numpy as np
from reinit_bench.data.source import Dataset, Examples, Source

@dataclass(frozen=True, kw_only=True)
class FromFile(Source):
    def load(self, image_size, enlarged_size, seed):
        with np.load("data.npz") as data:
            examples = Examples(data["images"], data["labels"])
        return Dataset(examples, examples, num_classes=2)

@dataclass(frozen=True, kw_only=True)
class Named(FromFile):
    def fingerprint(self, image_size, seed):
        return Path("name.txt").read_text()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_data.py").write_text(OWN)
    (tmp_path / "dataset").mkdir()
    for name, kind in (("mine", "FromFile"), ("named", "Named")):
        text = f"defaults: [/base/dataset, _self_]\ndataset: {{_target_: own_data.{kind}, name: {name}}}\n"
        (tmp_path / "dataset" / f"{name}.yaml").write_text(f"# @package _global_\n{text}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    write(1)
    (tmp_path / "name.txt").write_text("first")
    return tmp_path


def write(shade: int) -> None:
    images = np.full((40, 8, 8, 1), shade, np.uint8)
    np.savez("data.npz", images=images, labels=np.arange(40) % 2)


def planned(folder: Path, name: str, *words: str) -> PlannedRun:
    with own_config(folder, None), composer() as compose:
        return PlannedRun.from_dict(compose.compose([f"dataset={name}", "image_size=8", *words]))


def test_other_data_are_another_run_and_are_refused_to_a_run_that_was_planned_before(folder: Path) -> None:
    first, second = planned(folder, "mine"), planned(folder, "mine", "seed=1")
    assert planned(folder, "mine").run_id == first.run_id
    assert load_task(first.experiment, torch.device("cpu")).content == first.experiment.dataset["_content_"]
    assert PlannedRun.from_dict(first.to_dict()).run_id == first.run_id
    write(2)
    other = planned(folder, "mine")
    assert len({first.run_id, second.run_id, other.run_id}) == 3
    with pytest.raises(ConfigError, match="dataset mine has changed since the run was planned: its content is"):
        load_task(first.experiment, torch.device("cpu"))
    Path("data.npz").unlink()
    with pytest.raises(ConfigError, match=r"dataset mine cannot be read: FileNotFoundError: .*data.npz"):
        planned(folder, "mine")


def test_a_source_may_say_itself_what_its_data_are(folder: Path) -> None:
    first = planned(folder, "named")
    assert first.experiment.dataset["_content_"] == "first"
    (folder / "name.txt").write_text("second")
    assert planned(folder, "named").run_id != first.run_id
    with pytest.raises(ConfigError, match="its content is second, not first; type the command again"):
        load_task(first.experiment, torch.device("cpu"))
