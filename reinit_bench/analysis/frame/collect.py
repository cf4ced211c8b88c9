"""Read a results folder: every finished run as one row of one frame, which all analyses share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.labels import condition_label, dataset_label, variant
from reinit_bench.analysis.frame.settings import (
    SHORT_NAMES,
    as_dicts,
    distance_from_paper,
    is_method_setting,
    leaves,
    own_changes,
    setting_name,
)
from reinit_bench.analysis.frame.tuned_studies import are_trials
from reinit_bench.core.errors import plain
from reinit_bench.store.reader import StoredRun, read
from reinit_bench.store.store import Store

_ACCURACIES = ("test_accuracy", "validation_accuracy", "train_accuracy", "clean_train_accuracy")
_FROM_RESULT = (
    "run_id",
    *_ACCURACIES,
    "rounds",
    "steps",
    "wall_seconds",
    "git_commit",
    "device",
    "study",
    "trial",
    "sealed",
    "attempts",
)
_DESCRIPTIONS = ("dataset_label", "method_label", "method_letter", "version", "software", "title")
_NAMES = ("dataset", "model", "method", "augmentation", "dropout", "initializer")
_NUMBERS = ("train_examples", "dataset.num_classes", "dataset.label_noise", "dataset.alpha")
"""Settings by which analyses count; an own dataset may have given them anything."""

_SPLIT = "dataset.split_seed"
_NO_SETTINGS = {*_FROM_RESULT, *_DESCRIPTIONS, "seed", _SPLIT}

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
            them (`trainer.lr`), NaN where a run has no such setting or has it at null. Then what `described` adds.
        settings: the columns of `frame` that tell two experiments apart, except `seed`. Runs that differ in one of
            them are different experiments and are never averaged.
        unfinished: how many runs have a folder and no result yet.
        corrupt: one line for each result that cannot be used: the file, what is wrong, what to do.
        source: where the rows are from, if they are the paper's published numbers rather than runs.
        bundle: the file that the runs are from, if not from a results folder; `results_dir` is then a temporary one.
        dataset_notes: what must be said of the runs' datasets wherever numbers on them stand (`_note_` in the yaml).
        trials: rows like those of `frame` for the runs with which tuned studies chose settings: they are no results.
    """

    results_dir: Path
    frame: pd.DataFrame
    settings: tuple[str, ...]
    unfinished: int = 0
    corrupt: tuple[str, ...] = ()
    source: str | None = None
    bundle: Path | None = None
    dataset_notes: tuple[str, ...] = ()
    trials: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def path(self) -> Path:
        """What the user has given: the bundle or the results folder."""
        return self.bundle or self.results_dir

    @property
    def shared_settings(self) -> list[str]:
        """The settings that are neither the method nor one of its own."""
        return [name for name in self.settings if name != "method" and not is_method_setting(name)]

    @cached_property
    def images(self) -> pd.DataFrame:
        """The runs on images; those on vectors have tables of their own."""
        return self.frame[self.frame["image_size"].notna()]

    @cached_property
    def default_images(self) -> pd.DataFrame:
        """The runs on images whose method is as its option file has it: no ablation, no other interpretation."""
        return self.images[self.images["changed"].map(len).eq(0)]


def collect(results_dir: Path | str) -> Collection:
    """Read all runs of a results folder; only those whose `result.json` validates enter the frame.

    Raises:
        ConfigError: `results_dir` is a file. A folder that does not exist is an empty store.
    """
    store = Store(Path(results_dir))
    reading = read(store, only_done=True)
    rows, left_out = [], list(reading.left_out)
    for run in reading.done:
        try:
            rows.append(_row(run))
        except ValueError as error:
            path = store.run(run.run_id).path / "result.json"
            left_out.append(f"{path} cannot be used: {plain(str(error))}; delete it and run the experiment again")
    _tell_contents(rows)
    _join_drawing_seeds(rows)
    columns = [*_FIRST, *sorted({name for row in rows for name in row}.difference(_FIRST))]
    frame = described(pd.DataFrame(rows, columns=columns))
    datasets = [run.experiment.dataset for run in reading.done]
    tried = are_trials(frame)
    return Collection(
        store.results_dir,
        frame[~tried].reset_index(drop=True),
        tuple(name for name in columns if name not in {*_FROM_RESULT, *_DESCRIPTIONS, "seed"}),
        reading.unfinished,
        tuple(left_out),
        dataset_notes=tuple(sorted({str(each["_note_"]) for each in datasets if each.get("_note_")})),
        trials=frame[tried].reset_index(drop=True),
    )


def _tell_contents(rows: Sequence[dict[str, Any]]) -> None:
    """Make the content of the data a setting where runs of one dataset had different ones: they are not averaged."""
    found = [(row, row.pop("content")) for row in rows]
    known: dict[str, set[str]] = defaultdict(set)
    for row, content in found:
        known[row["dataset"]] |= {content} - {None}
    for row, content in found:
        if len(known[row["dataset"]]) > 1:
            row.setdefault("dataset.content", (content or "unknown")[:12])


def _join_drawing_seeds(rows: Sequence[dict[str, Any]]) -> None:
    """Take the split seed from the settings of the arms whose every seed draws its own images: they are seeds of one.

    An arm is the runs that differ in nothing but seed and split seed. One that has seed and split 0 alone may be
    either: it goes with the others of its dataset, if some of them draw and none does otherwise.
    """
    if not any(row.get(_SPLIT) for row in rows):
        return
    arms: dict[frozenset[Any], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        arms[frozenset(item for item in row.items() if item[0] not in _NO_SETTINGS)].append(row)
    of_data: dict[frozenset[Any], set[bool]] = defaultdict(set)
    told = []
    for settings, runs in arms.items():
        data = frozenset(item for item in settings if item[0].startswith("dataset") or item[0] == "train_examples")
        draws = all(run.get(_SPLIT) == run["seed"] for run in runs)
        if not draws or any(run["seed"] for run in runs):
            of_data[data].add(draws)
        told.append((runs, data, draws))
    for runs, data, draws in told:
        if draws and (any(run["seed"] for run in runs) or of_data[data] == {True}):
            for run in runs:
                del run[_SPLIT]


def described(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with what its settings are called, where they stand and how far they are from the paper's.

    `dataset_shown` is the dataset's label with the number of training examples where that was cut, `condition` the
    augmentation and the dropout in words. `order` is the place of dataset, size and model: the paper's come first and
    in its order. `distance` is how many settings are not the paper's, the method's own not counted; `changed` are the
    columns of the method's own that are not at its defaults, and `variant` is its name with these.
    """
    places = list(map(paper.setting_key, frame["dataset_label"], frame["train_examples"], frame["model"]))
    ranks = {place: rank for rank, place in enumerate(sorted(set(places)))}
    changed = own_changes(frame)
    own = as_dicts(frame[["method", *(name for name in map(str, frame) if is_method_setting(name))]])
    return frame.assign(
        dataset_shown=list(map(dataset_label, frame["dataset_label"], frame["train_examples"])),
        condition=list(map(condition_label, frame["augmentation"], frame["dropout_rate"])),
        order=[ranks[place] for place in places],
        distance=distance_from_paper(frame),
        changed=changed,
        variant=pd.Series(list(map(variant, own, changed)), index=frame.index, dtype=object),
    )


def published_runs(*, reconstructed: bool = False) -> Collection:
    """The published Tables 2, 6 and 7 as if each legible number were a run; a damaged one is absent.

    Args:
        reconstructed: also the damaged numbers that follow from what is legible (`results/paper/README.md`).
    """
    cells = pd.concat([paper.published(number).assign(**one.settings) for number, one in paper.CONDITIONS.items()])
    percents = cells["accuracy"].fillna(cells["reconstructed"]) if reconstructed else cells["accuracy"]
    runs = cells.assign(
        test_accuracy=percents / 100,
        dataset=cells["dataset"].str.lower(),
        dataset_label=cells["dataset"],
        train_examples=None,
        method_label=cells["method"].str.upper(),
        method_letter=cells["method"].map(paper.LETTERS),
        image_size=224,
        seed=0,
        version=None,
        git_commit=None,
    )
    runs = runs[percents.notna()].drop(columns=["accuracy", "reconstructed"]).reset_index(drop=True)
    source = "the published Tables 2, 6 and 7"
    if reconstructed:
        more = int(percents.notna().sum() - cells["accuracy"].notna().sum())
        source = f"{source} with {more} damaged cells reconstructed"
    settings = ("dataset", "train_examples", "model", "method", *paper.CONDITIONS[2].settings, "image_size")
    return Collection(paper.folder(), described(runs), settings, source=source)


def _row(run: StoredRun) -> dict[str, Any]:
    """One finished run as a flat row.

    Raises:
        ValueError: a setting by which analyses count is no number.
    """
    result, experiment = run.result or {}, run.experiment
    settings = {SHORT_NAMES.get(name, name): value for name, value in leaves(experiment.identity)}
    del settings["protocol"]
    for name in _NUMBERS:
        if not isinstance(settings.get(name, 0), int | float):
            raise ValueError(f"its {setting_name(name)} is {settings[name]!r}, not a number")
    dataset, method, versions = experiment.dataset, experiment.method, result["versions"]
    return {
        **{key: result.get(key) for key in _FROM_RESULT},
        "dataset_label": _label(dataset),
        "method_label": _label(method),
        "method_letter": str(method.get("_letter_") or _label(method)),
        "version": versions.get("reinit_bench"),
        "software": ", ".join(f"{name} {number}" for name, number in versions.items()),
        "title": experiment.title,
        "content": result.get("content"),
        **settings,
        **{name: str(settings[name]) for name in _NAMES},
    }


def _label(section: Mapping[str, Any]) -> str:
    return str(section.get("_label_") or str(section["name"]).upper())
