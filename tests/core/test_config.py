"""Validation, run ids and round trips of an experiment's configuration."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from factories import make_config, tiny_experiment

from reinit_bench.core.config import Execution, Experiment, Trainer
from reinit_bench.core.settings import ConfigError

GOLDEN = {
    (): "0aaf21a623421a57",
    ("method=bl",): "de9d2758533650cf",
    ("method=wels", "model=resnet50", "dataset=digits", "augmentation=mild", "dropout=p25"): "51a2c2638258d895",
    ("trainer=paper", "image_size=224", "initializer=xavier_uniform", "seed=3", "precision=bf16"): "4600b83f5d983824",
}


def changed(**sections: Any) -> Experiment:
    config = json.loads(json.dumps(make_config()))
    for path, value in sections.items():
        node = config
        *parents, last = path.split("__")
        for name in parents:
            node = node[name]
        node[last] = value
    return Experiment.from_dict(config)


@pytest.mark.parametrize(("overrides", "run_id"), GOLDEN.items())
def test_run_ids_stay_as_they_were(overrides: tuple[str, ...], run_id: str) -> None:
    # A changed id orphans every run that users have: raise PROTOCOL_VERSION knowingly, or give a new field `absent`.
    assert Experiment.from_dict(make_config(*overrides)).run_id == run_id


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seed", 1),
        ("image_size", 33),
        ("precision", "bf16"),
        ("trainer__lr", 0.02),
        ("trainer__patience_epochs", 61),
        ("method__rescale", False),
        ("dataset__train_examples", 100),
        ("dropout__rate", 0.25),
        ("initializer__truncated", False),
        ("initializer__depthwise_fan_in", "channels"),
        ("model__conv_bias", False),
        ("method__rescale_scope", "all"),
        ("model__width", 0.5),
    ],
)
def test_every_scientific_field_is_part_of_the_id(path: str, value: Any) -> None:
    assert changed(**{path: value}).run_id != changed().run_id


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("results_dir", "/elsewhere"),
        ("device", "cpu"),
        ("logger", {"name": "none"}),
        ("study", {"name": "demo"}),
        ("diagnostics", False),
        ("trainer__checkpoint_every", 7),
        ("method___target_", "reinit_bench.methods.elsewhere.Lw"),
        ("dataset___label_", "Digits!"),
    ],
)
def test_paths_device_logging_and_class_paths_are_not_part_of_the_id(path: str, value: Any) -> None:
    assert changed(**{path: value}).run_id == changed().run_id


def test_numbers_that_are_equal_give_the_same_id() -> None:
    assert changed(model__width=1).run_id == changed(model__width=1.0).run_id


def test_a_field_added_later_keeps_the_ids_of_runs_made_before_it() -> None:
    before = changed()
    method = {**before.method, "added_later": 5, "_absent_": {**before.method.get("_absent_", {}), "added_later": 5}}
    assert changed(method=method).run_id == before.run_id
    assert changed(method={**method, "added_later": 6}).run_id != before.run_id


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("trainer.batch_size=1",), "model.norm=batch has no variance to normalize with in batches of one"),
        (("trainer.micro_batch=8",), "trainer.micro_batch would normalize each part on its own with model.norm=batch"),
    ],
)
def test_batch_norm_needs_whole_batches(overrides: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Experiment.from_dict(make_config("model.norm=batch", *overrides))
    assert Experiment.from_dict(make_config("model.norm=group", *overrides))


def test_an_experiment_survives_yaml_and_json() -> None:
    experiment = tiny_experiment("method=lw", "method.schedule=[1,2]")
    for plain in (yaml.safe_load(yaml.safe_dump(experiment.to_dict())), json.loads(json.dumps(experiment.to_dict()))):
        assert Experiment.from_dict(plain) == experiment
        assert Experiment.from_dict(plain).run_id == experiment.run_id


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("trainer__lr", -1, "trainer.lr must be a number above 0; got -1"),
        ("trainer__momentum", 1, "trainer.momentum must be a number of at least 0 and below 1; got 1"),
        ("trainer__round_weights", "worst", "trainer.round_weights must be one of best, last; got 'worst'"),
        ("trainer__lrr", 1, "trainer has no field 'lrr'; its fields are batch_size, "),
        ("seed", -1, "seed must be a whole number of at least 0; got -1"),
        ("image_size", 3, "model scnn needs image_size of at least 4; got 3"),
        ("dropout__rate", 1.0, "dropout.rate must be a number of at least 0 and below 1; got 1.0"),
        ("trainer__warmup_steps", 10**6, "trainer.warmup_steps must be below trainer.max_steps="),
        ("trainer__validation_fraction", 0, "trainer.round_weights=best needs a validation split"),
        ("model", None, "the configuration has no section 'model'"),
        ("sed", 1, "there is no field 'sed'"),
    ],
)
def test_an_invalid_value_is_reported_in_one_line(path: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        changed(**{path: value})
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"device": "tpu"}, "device must be one of auto, cpu, cuda; got 'tpu'"),
        ({"diagnostics": "some"}, "diagnostics must be true or false; got 'some'"),
        ({"logger": {"name": "disk"}}, "logger must be one of auto, wandb, none; got 'disk'"),
    ],
)
def test_the_execution_is_checked_too(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Execution.from_dict(given)


def test_the_defaults_are_the_papers() -> None:
    paper = Experiment.from_dict(make_config("trainer=paper")).trainer
    assert paper == Trainer()
    assert (paper.lr, paper.momentum, paper.weight_decay, paper.batch_size) == (0.003, 0.9, 1e-5, 256)
    assert (paper.max_steps, paper.plateau_epochs, paper.lr_factor, paper.validation_fraction) == (
        100_000,
        20,
        0.5,
        0.1,
    )
