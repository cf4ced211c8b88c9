"""Composing quickly gives what Hydra gives."""

from __future__ import annotations

import random

import pytest
from hydra.errors import MissingConfigException

from reinit_bench.cli.compose import Composer
from reinit_bench.core.settings import ConfigError

SAMPLE = 6


@pytest.mark.parametrize("name", ["paper", "figure2", "ablation", "digits"])
def test_a_random_sample_of_a_study_is_equal_to_hydras_own(hydra_composer: Composer, name):
    jobs = hydra_composer.jobs([f"study={name}"])
    for job in random.Random(name).sample(jobs, SAMPLE):
        assert hydra_composer.compose(job) == hydra_composer.by_hydra(job)


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
    ],
)
def test_any_command_line_is_equal_to_hydras_own(hydra_composer: Composer, overrides):
    assert hydra_composer.compose(overrides) == hydra_composer.by_hydra(overrides)


def test_composing_is_not_left_to_hydra(hydra_composer: Composer, monkeypatch):
    """All of the paper's 2,496 points come from a handful of compositions."""
    count = 0
    by_hydra = Composer.by_hydra

    def counted(self, overrides):
        nonlocal count
        count += 1
        return by_hydra(self, overrides)

    monkeypatch.setattr(Composer, "by_hydra", counted)
    fresh = Composer(hydra_composer.loader)
    for job in fresh.jobs(["study=paper"]):
        fresh.compose(job)
    assert count <= 2


def test_a_field_set_in_one_configuration_is_not_set_in_the_next(hydra_composer: Composer):
    plain = hydra_composer.compose(["dataset=cifar10", "method=lw"])
    other = hydra_composer.compose(["dataset=cifar10", "method=lw", "method.repeats=9", "dataset.train_examples=7"])
    assert (other["method"]["repeats"], other["dataset"]["train_examples"]) == (9, 7)
    assert plain == hydra_composer.compose(["dataset=cifar10", "method=lw"])
    assert plain == hydra_composer.by_hydra(["dataset=cifar10", "method=lw"])


def test_a_typo_in_a_study_names_the_studies(hydra_composer: Composer):
    with pytest.raises(MissingConfigException) as caught:
        hydra_composer.study_of(["study=tabel2"])
    assert {"table2", "paper"} <= set(caught.value.options)


def test_two_studies_at_once_are_refused(hydra_composer: Composer):
    with pytest.raises(ConfigError, match="must be a single name"):
        hydra_composer.study_of(["study=table2", "study=table6"])
