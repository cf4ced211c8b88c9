"""Methods with a setting of their own changed, beside the method as it is and the baseline, on images.

LW without each of its parts and with freezing is Appendix F; any other method's settings are asked about alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import pandas as pd

from reinit_bench.analysis.frame import notes, paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import NORMS, VARIANTS, natural, plural, typed, variant_label
from reinit_bench.analysis.frame.methods import ordered_methods
from reinit_bench.analysis.frame.settings import REPEATS, is_method_setting
from reinit_bench.analysis.stats.ablation import PUBLISHED, ablation_runs, row_settings
from reinit_bench.analysis.tables.accuracy_rows import AccuracyRow, accuracy_rows
from reinit_bench.analysis.tables.table import Cell, Row, Table

_LEGEND = (
    "BL trains for as many steps in all as LW; −: LW without reinitialization, rescaling or its normalization layers; "
    "+freeze: the blocks below stay as they are; test accuracy [%], mean ± standard deviation over n seeds, or (fewer)"
)
_FROZEN = (
    "of LW frozen in a vgg16 without norm on CIFAR100 the paper says that its training accuracy falls to 1% after "
    "about round 5: reinit-bench figures ablation shows accuracies round by round"
)
_OTHERS = "a column headed by settings: its method with these changed, next to the method at its defaults"
_START = "no finished run of a method with a setting changed; start with: reinit-bench -m study=ablation_digits"
_CAPTION = "Appendix F: test accuracy [%] of LW without each of its parts (no augmentation, no dropout)"
_CAPTION_OF_ALL = "Appendix F and its like: test accuracy [%] with a setting changed (no augmentation, no dropout)"

_FIELDS = ("dataset", "model", "norm", "variant", "n", "mean", "std", "published")


def ablation_table(collection: Collection) -> Table:
    """Every setting in which a method was trained with one of its own settings changed, with BL and the method."""
    runs, elsewhere = ablation_runs(collection)
    shown = _shown(runs, [name for name in row_settings(collection) if name != "model.norm"])
    names = _columns(runs)
    more = len(names) > len(VARIANTS)
    labels = dict(zip(runs["method"].map(_method), runs["method_label"], strict=True))
    # What rows and columns tell, and what is said below: in this Appendix F is not like the rest of the paper.
    told = ("model.norm", "trainer.momentum")
    hidden = [name for name in map(str, runs) if name in told or (is_method_setting(name) and name != REPEATS)]
    return Table(
        name="ablation",
        caption=_CAPTION_OF_ALL if more else _CAPTION,
        headings=("Dataset", "Model", "n"),
        columns=tuple(variant_label(name, labels) for name in names),
        rows=tuple(_rows(shown, names)),
        best="the best of its row as printed",
        notes=(
            *([_LEGEND, _FROZEN] if shown else [_START]),
            *([_OTHERS] if more else []),
            *([f"left out: {plural(elsewhere, 'run')} of variants under other conditions"] if elsewhere else []),
            *_momentum(runs),
            *notes.settings_unlike_paper(runs.drop(columns=hidden)),
            *notes.left_out(collection),
            *notes.mixed_code(runs),
        ),
        data=pd.DataFrame(list(_data(shown, names)), columns=_FIELDS),
    )


TABLES = {"ablation": ablation_table}


def _columns(runs: pd.DataFrame) -> list[str]:
    """Appendix F's columns and LW's further variants, then each other method's, led by the method as it is."""
    own = {_method(name) for name in runs["method"]} - {"bl", "lw"}
    found = [*VARIANTS]
    for method in ("bl", "lw", *ordered_methods(own)):
        changed = {name for name in runs["method"] if name.startswith(f"{method} ")}
        found += [method, *sorted(changed, key=natural)]
    return list(dict.fromkeys(found))


def _method(variant: str) -> str:
    return variant.partition(" ")[0]


def _momentum(runs: pd.DataFrame) -> list[str]:
    """Appendix F trains without momentum, unlike the rest of the paper."""
    given = set(runs["trainer.momentum"].dropna()) if "trainer.momentum" in runs else set()
    used = sorted(float(value) for value in given if value)
    return [f"trained with momentum {', '.join(map(typed, used))}; Appendix F has none"] if used else []


def _shown(runs: pd.DataFrame, settings: Sequence[str]) -> list[tuple[str, AccuracyRow]]:
    """The rows, each with its norm; of one dataset and model first those with the paper's norm, then the others'."""
    found = [(norm, row) for norm in NORMS for row in accuracy_rows(runs[runs["norm"] == norm], settings)]
    order = {"dataset": paper.DATASETS, "model": paper.MODELS}
    return sorted(found, key=lambda one: [paper.order_key(getattr(one[1], name), order[name]) for name in order])


def _rows(shown: Sequence[tuple[str, AccuracyRow]], names: Sequence[str]) -> Iterator[Row]:
    """Our rows, under those of a dataset, model and norm the paper's; then what only the paper has."""
    rest = dict.fromkeys((dataset, model, norm) for dataset, model, norm, _ in PUBLISHED)
    for key, group in groupby(shown, key=lambda one: (one[1].in_paper, one[1].model, one[0])):
        for norm, row in group:
            yield row.printed(names, row.label.replace(row.model, row.model + NORMS[norm], 1))
        if key in rest:
            del rest[key]
            yield _paper_row(*key, names)
    yield from (_paper_row(*key, names) for key in rest)


def _paper_row(dataset: str, model: str, norm: str, names: Sequence[str]) -> Row:
    values = [PUBLISHED.get((dataset, model, norm, name)) for name in names]
    cells = [Cell("" if value is None else f"≈ {value:g}") for value in values]
    return Row((dataset, f"paper, {model}{NORMS[norm]}", ""), tuple(cells), published=True)


def _data(shown: Sequence[tuple[str, AccuracyRow]], names: Sequence[str]) -> Iterator[tuple[object, ...]]:
    for norm, row in shown:
        for name in names:
            score = row.methods.get(name)
            ours = (0, None, None) if score is None else (score.n, round(score.mean, 4), score.std)
            published = PUBLISHED.get((row.in_paper, row.model, norm, name))
            yield row.dataset, row.label, norm, name, *ours, published
