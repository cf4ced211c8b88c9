"""Read a results folder: every finished run as one row of one frame, which all analyses share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from reinit_bench.analysis.runs.tunings import are_trials
from reinit_bench.core.config import Experiment
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.store import CorruptResult, Store

SHORT_NAMES: Mapping[str, str] = {
    "dataset.name": "dataset",
    "dataset.train_examples": "train_examples",
    "model.name": "model",
    "model.width": "width",
    "method.name": "method",
    "augmentation.name": "augmentation",
    "dropout.name": "dropout",
    "dropout.rate": "dropout_rate",
    "initializer.name": "initializer",
}
"""Settings whose column has a shorter name than the one that users type; every other column is named as typed."""

_LONG_NAMES = {short: long for long, short in SHORT_NAMES.items()}

_ACCURACIES = ("test_accuracy", "validation_accuracy", "train_accuracy", "clean_train_accuracy")
_FROM_RESULT = ("run_id", *_ACCURACIES, "rounds", "steps", "wall_seconds", "git_commit", "device", "study", "attempts")
_DESCRIPTIONS = ("dataset_label", "method_label", "method_letter", "version", "software", "title")
_FIRST = (*_FROM_RESULT, *_DESCRIPTIONS, *SHORT_NAMES.values(), "seed", "image_size", "precision")
"""Columns that every frame has, in this order; all further settings follow alphabetically."""


@dataclass(frozen=True, eq=False)  # a collection equals only itself, so that analyses can be cached by it
class Collection:
    """What a results folder holds; read only.

    Attributes:
        results_dir: the folder, as it was given.
        frame: one row per finished run but for trials. Accuracies are fractions; `clean_train_accuracy` is that on the
            right labels, where a run has wrong ones. `dataset`, `model`, `method`, `augmentation`, `dropout` and
            `initializer` are names; `dataset_label` and `method_label` are the names for tables,
            `method_letter` heads the method's column; `version` is reinit-bench's, `software` lists all versions in
            one text; `title` describes the run in a few words. All further settings are columns named as users type
            them (`trainer.lr`), NaN where a run has no such setting or has it at null.
        settings: the columns of `frame` that tell two experiments apart, except `seed`. Runs that differ in one of
            them are different experiments and are never averaged.
        unfinished: how many runs have a folder and no result yet.
        corrupt: one line for each result that cannot be used: the file, what is wrong, what to do.
        source: where the rows are from, if they are the paper's published numbers rather than runs.
        bundle: the file that the runs are from, if not from a results folder; `results_dir` is then a temporary one.
        trials: rows like those of `frame` for the runs with which tuned studies chose settings: they are no results.
    """

    results_dir: Path
    frame: pd.DataFrame
    settings: tuple[str, ...]
    unfinished: int
    corrupt: tuple[str, ...]
    source: str | None = None
    bundle: Path | None = None
    trials: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def place(self) -> Path:
        """What the user has given: the bundle or the results folder."""
        return self.bundle or self.results_dir

    @property
    def shared_settings(self) -> list[str]:
        """The settings that are neither the method nor one of its own."""
        return [name for name in self.settings if name != "method" and not is_method_setting(name)]


def collect(results_dir: Path | str) -> Collection:
    """Read all runs of a results folder; only those whose `result.json` validates enter the frame.

    Raises:
        ConfigError: `results_dir` is a file. A folder that does not exist is an empty store.
    """
    store = Store(Path(results_dir))
    rows: list[dict[str, Any]] = []
    corrupt: list[str] = []
    unfinished = 0
    for run_id in store.run_ids():
        try:
            result = store.read_result(run_id)
            if result is None:
                unfinished += 1
            else:
                rows.append(_row(result))
        except CorruptResult as error:
            corrupt.append(str(error))
        except OSError as error:
            why = f"cannot be read: {error.strerror or error}; make it readable"
            corrupt.append(f"{store.run(run_id).path / 'result.json'} {why}")
        except ConfigError as error:
            why = f"cannot be used: {error}; delete it and run the experiment again"
            corrupt.append(f"{store.run(run_id).path / 'result.json'} {why}")
    frame, settings = _frame(rows)
    tried = are_trials(frame)
    return Collection(
        store.results_dir,
        frame[~tried].reset_index(drop=True),
        settings,
        unfinished,
        tuple(corrupt),
        trials=frame[tried].reset_index(drop=True),
    )


def setting_name(column: str) -> str:
    """The name that users type for a column of the frame: `width` is `model.width`."""
    return _LONG_NAMES.get(column, column)


def is_method_setting(column: str) -> bool:
    """Whether the column is a method's own setting, such as `method.fraction`."""
    return column.startswith("method.")


def records(runs: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as plain dicts, None in place of NaN; several times faster than pandas' own, which boxes each value."""
    columns = [runs[name].astype(object).where(runs[name].notna(), None).tolist() for name in runs]
    return [dict(zip(runs.columns, values, strict=True)) for values in zip(*columns, strict=True)]


def _row(result: Mapping[str, Any]) -> dict[str, Any]:
    """One run as a flat row.

    Raises:
        ConfigError: this version does not understand the stored configuration, or it is not this run's.
    """
    config = result["config"]
    experiment = Experiment.from_dict(config)
    # A result of an older protocol, or one edited by hand, would be averaged with runs that mean something else.
    if experiment.run_id != result["run_id"]:
        raise ConfigError(f"its configuration has the run id {experiment.run_id} (edited, or an older protocol)")
    settings = {SHORT_NAMES.get(name, name): value for name, value in leaves(experiment.identity)}
    del settings["protocol"]
    versions = result["versions"] if isinstance(result["versions"], Mapping) else {}
    return {
        **{key: result.get(key) for key in _FROM_RESULT},
        "dataset_label": _label(config["dataset"]),
        "method_label": _label(config["method"]),
        "method_letter": str(config["method"].get("_letter_") or _label(config["method"])),
        "version": versions.get("reinit_bench"),
        "software": ", ".join(f"{name} {number}" for name, number in versions.items()),
        "title": experiment.title,
        **settings,
    }


def _label(section: Mapping[str, Any]) -> str:
    return str(section.get("_label_") or str(section["name"]).upper())


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values; null means the same as absence, and a list becomes its JSON text, fit for grouping."""
    for key, value in tree.items():
        if isinstance(value, dict):  # read from JSON; asking for a Mapping takes five times as long
            yield from leaves(value, f"{prefix}{key}.")
        elif value is not None:
            yield f"{prefix}{key}", json.dumps(value) if isinstance(value, (list, tuple)) else value


def _frame(rows: Sequence[Mapping[str, Any]]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The frame of these rows, and which of its columns are settings."""
    columns = [*_FIRST, *sorted({name for row in rows for name in row}.difference(_FIRST))]
    described = {*_FROM_RESULT, *_DESCRIPTIONS, "seed"}
    return pd.DataFrame(rows, columns=columns), tuple(name for name in columns if name not in described)
