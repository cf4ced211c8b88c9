"""Composing quickly gives what Hydra gives, for every option, any command line and every study."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra

from reinit_bench.cli.compose import Composer, composer
from reinit_bench.cli.help import groups, help_text
from reinit_bench.core.conf_dir import conf_dir, own_config
from reinit_bench.core.config import SECTIONS, Experiment
from reinit_bench.sweep.plan import make_plan
from reinit_bench.sweep.slurm.queue import queued_runs

FIELDS = [
    "seed=3",
    "trainer.lr=0.003",
    "trainer.lr=1e-4",
    "dataset.train_examples=20",
    "model.width=0.5",
    "precision=bf16",
    "results_dir='/a b/c'",
    "image_size=64",
    "+trainer.note=x",
    "dataset.train_examples=null",
    "method.repeats=2",
]


def composed_groups() -> dict[str, list[str]]:
    """The groups that bring a section of an experiment."""
    return {group: names for group, names in groups().items() if group not in ("study", "hydra/launcher")}


def options() -> list[tuple[str, str]]:
    return [(group, option) for group, names in composed_groups().items() for option in names]


@pytest.fixture
def compose(hydra_composer: Composer) -> Composer:
    return hydra_composer


def command_lines() -> list[list[str]]:
    """Command lines in random order that name every option of every group once, and every field of `FIELDS`."""
    draw = random.Random(0)
    count = max(map(len, composed_groups().values()))
    lines: list[list[str]] = [[FIELDS[number % len(FIELDS)]] for number in range(count)]
    assert count >= len(FIELDS)
    for group, option in options():
        draw.choice([line for line in lines if not any(word.startswith(f"{group}=") for word in line)]).append(
            f"{group}={option}"
        )
    for line in lines:
        draw.shuffle(line)
    return lines


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["dataset=digits", "trainer=paper", "image_size=48"],
        ["trainer=quick", "trainer.lr=0.5", "dataset=cifar10"],
        ["dataset=cassava", "results_dir=elsewhere", "seed=3"],
        ["method=fc", "method.extent=head", "+method.extra=1"],
        ["trainer.lr=${trainer.momentum}"],
        ["~logger"],
        *command_lines(),
    ],
    ids=" ".join,
)
def test_any_command_line_composes_as_in_hydra(compose: Composer, overrides: list[str]) -> None:
    assert compose.compose(overrides) == compose.by_hydra(overrides)


OWN_OPTIONS = {
    "method/often.yaml": ["defaults: [lw, _self_]", "name: often", "repeats: 9"],
    "method/half.yaml": [
        "# @package _global_",
        "method: {_target_: reinit_bench.methods.bl.Baseline, name: half, repeats: 1}",
        "precision: bf16",
    ],
    "dataset/few.yaml": [
        "# @package _global_",
        "dataset: {_target_: reinit_bench.data.digits.Digits, name: few, train_examples: 40}",
        "trainer: {batch_size: 4}",
        "image_size: 8",
    ],
}
"""Options that build on another one, or that set fields outside their own section."""


def test_a_users_own_options_compose_as_in_hydra(tmp_path: Path) -> None:
    for name, lines in OWN_OPTIONS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("\n".join(lines))
    with own_config(tmp_path, None), composer() as compose:
        for overrides in (
            ["method=often"],
            ["method=often", "method.repeats=2", "dataset=cifar10"],
            ["method=half"],
            ["method=half", "trainer=paper", "dataset=few"],
            ["dataset=few", "method=often"],
            ["dataset=few", "trainer=paper"],
            ["trainer=paper", "dataset=few", "trainer.lr=0.5"],
        ):
            assert compose.compose(overrides) == compose.by_hydra(overrides), overrides


SLOW_STUDIES = [pytest.param(name, marks=pytest.mark.slow) for name in ("figure2", "ablation")]


@pytest.mark.parametrize("name", ["paper", "digits", *SLOW_STUDIES])
def test_runs_of_a_study_compose_as_in_hydra(compose: Composer, name: str) -> None:
    jobs = compose.jobs([f"study={name}"])
    for job in random.Random(name).sample(jobs, 3):
        assert compose.compose(job) == compose.by_hydra(job)


def test_hydra_composes_only_a_few_configurations_of_a_study(
    compose: Composer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All 2,496 points of the paper's study come from one composition a dataset and a few more."""
    count = 0
    by_hydra = compose.loader.load_configuration

    def counted(*arguments: Any, **more: Any) -> Any:
        nonlocal count
        count += 1
        return by_hydra(*arguments, **more)

    monkeypatch.setattr(compose.loader, "load_configuration", counted)
    fresh = Composer(compose.loader, compose.config_name)
    jobs = fresh.jobs(["study=paper"])
    for job in jobs:
        fresh.compose(job)
    assert len(jobs) > 2000
    assert count <= 20


def test_a_field_set_in_one_configuration_is_not_set_in_the_next(compose: Composer) -> None:
    plain = compose.compose(["dataset=cifar10", "method=lw"])
    other = compose.compose(["dataset=cifar10", "method=lw", "method.repeats=9", "dataset.train_examples=7"])
    assert (other["method"]["repeats"], other["dataset"]["train_examples"]) == (9, 7)
    assert plain == compose.compose(["dataset=cifar10", "method=lw"])
    assert plain == compose.by_hydra(["dataset=cifar10", "method=lw"])


@pytest.mark.parametrize(("group", "option"), options(), ids=lambda value: str(value))
def test_every_option_composes_to_a_valid_experiment(compose: Composer, group: str, option: str) -> None:
    overrides = [f"{group}={option}"]
    if (group, option) == ("model", "mlp"):
        overrides.append("image_size=8")
    config = compose.compose(overrides)
    if (group, option) == ("dataset", "image_folder"):
        config["dataset"]["name"] = "mine"
    assert len(Experiment.from_dict(config).run_id) == 16


@pytest.mark.parametrize("path", sorted(conf_dir().glob("*/*.yaml")), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_every_option_begins_with_a_comment_and_states_its_name(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# "), "an option opens with a comment that says what it is"
    if path.parent.name in SECTIONS:
        assert f"name: {path.stem}" in text or path.stem in ("image_folder", "tfds")


def test_help_names_every_group_and_option() -> None:
    section = help_text().partition("\nGroups:\n")[2].partition("\n\n")[0]
    listed = re.findall(r"^  (\S+) +(.+(?:\n {3,}.+)*)", section, re.MULTILINE)
    told = {group: names.replace(",", " ").split() for group, names in listed}
    assert told == groups()


def test_the_command_line_narrows_and_widens_a_study(compose: Composer) -> None:
    words = ["study=demo", "method=lw,fc", "seed=range(0,2)", "trainer.momentum=0"]
    jobs = compose.jobs(words)
    plan = make_plan(compose.planned(jobs), queued_runs)
    assert [(run.experiment.method["name"], run.experiment.seed) for run in plan.runs] == [
        ("lw", 0),
        ("lw", 1),
        ("fc", 0),
        ("fc", 1),
    ]
    assert {run.experiment.trainer.momentum for run in plan.runs} == {0.0}
    assert {run.execution.study for run in plan.runs} == {"demo"}


def test_a_composer_leaves_an_open_hydra_as_it_was() -> None:
    with composer() as outer:
        open_before = GlobalHydra.instance().hydra
        assert open_before is not None
        with composer() as inner:
            assert GlobalHydra.instance().hydra is not open_before
            assert inner.compose(["seed=7"])["seed"] == 7
        assert GlobalHydra.instance().hydra is open_before
        assert outer.by_hydra(["seed=8"])["seed"] == 8


def test_an_experiment_of_ones_own_wins_over_the_defaults_and_yields_to_what_is_typed(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    text = "# @package _global_\ndefaults:\n  - override /dataset: digits\n  - override /trainer: paper\n  - _self_\n"
    (tmp_path / "experiment" / "mine.yaml").write_text(f"{text}image_size: 16\ntrainer: {{lr: 0.5}}\n")
    with own_config(tmp_path, None), composer() as compose:
        config = compose.compose(["experiment=mine", "trainer.momentum=0"])
        assert [config["trainer"][name] for name in ("batch_size", "lr", "momentum")] == [256, 0.5, 0]
        assert (config["dataset"]["name"], config["image_size"]) == ("digits", 16)
        jobs = compose.jobs(["experiment=mine", "method=bl,lw"])
        assert [run.experiment.method["name"] for run in compose.planned(jobs)] == ["bl", "lw"]
        assert "mine" in groups()["experiment"]
