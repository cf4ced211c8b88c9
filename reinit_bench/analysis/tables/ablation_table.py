"""Methods with a setting of their own changed, beside the method as it is and the baseline, on images.

LW without each of its parts and with freezing is Appendix F; any other method's settings are asked about alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from reinit_bench.analysis.runs import notes, paper
from reinit_bench.analysis.runs.collect import Collection, is_method_setting
from reinit_bench.analysis.runs.distance import REPEATS
from reinit_bench.analysis.runs.families import ordered_methods
from reinit_bench.analysis.runs.labelling import VARIANTS, plural, typed, variant_label, variants
from reinit_bench.analysis.stats.table_rows import TableRow, natural, table_rows
from reinit_bench.analysis.tables.table import Cell, Row, Table, most_runs, score_cells

PUBLISHED: Mapping[tuple[str, str, str], float] = {
    ("CIFAR10", "vgg16", "bl"): 66,
    ("CIFAR10", "vgg16", "lw reinitialize"): 66,
    ("CIFAR10", "vgg16", "lw"): 75,
    ("CIFAR100", "vgg16", "bl"): 34,
    ("CIFAR100", "vgg16", "lw reinitialize"): 34,
    ("CIFAR100", "vgg16", "lw"): 42,
}
"""What Appendix F's text says in percent, each with the word "around", by dataset, model and variant."""

_LEGEND = (
    "BL trains for as many steps in all as LW; −: LW without reinitialization, rescaling or its normalization layers; "
    "+freeze: the blocks below stay as they are; test accuracy [%], mean ± standard deviation over n seeds, or (fewer)"
)
_ELSEWHERE = (
    "of a vgg16 without any normalization of its own the paper says: about 34% on CIFAR100, 24% with LW without its "
    "normalization layers, 42% with them; frozen, training accuracy falls to 1% after about round 5. Ours has its own "
    "normalization everywhere, so that these have no counterpart here"
)
_OTHERS = "a column headed by settings: its method with these changed, next to the method at its defaults"
_START = "no finished run of a method with a setting changed; start with: reinit-bench -m study=ablation_digits"
_CAPTION = "Appendix F: test accuracy [%] of LW without each of its parts (no augmentation, no dropout)"
_CAPTION_OF_ALL = "Appendix F and its like: test accuracy [%] with a setting changed (no augmentation, no dropout)"

_FIELDS = ("dataset", "model", "variant", "n", "mean", "std", "published")


def ablation_table(collection: Collection) -> Table:
    """Every setting in which a method was trained with one of its own settings changed, with BL and the method."""
    runs, elsewhere = _runs(collection)
    shown = table_rows(runs, _shared(collection))
    names = _columns(runs)
    more = len(names) > len(VARIANTS)
    labels = dict(zip(runs["method"].map(_method), runs["method_label"], strict=True))
    return Table(
        name="ablation",
        caption=_CAPTION_OF_ALL if more else _CAPTION,
        headings=("Dataset", "Model", "n"),
        columns=tuple(variant_label(name, labels) for name in names),
        rows=tuple(_rows(shown, names)),
        best="the best of its row as printed",
        notes=(
            *([_LEGEND, _ELSEWHERE] if shown else [_START]),
            *([_OTHERS] if more else []),
            *([f"left out: {plural(elsewhere, 'run')} of variants under other conditions"] if elsewhere else []),
            *_momentum(runs),
            *notes.settings_unlike_paper(runs.drop(columns=_hidden(runs))),
            *notes.left_out(collection),
            *notes.mixed_code(runs),
        ),
        data=pd.DataFrame(list(_data(shown, names)), columns=_FIELDS),
    )


TABLES = {"ablation": ablation_table}


def _shared(collection: Collection) -> list[str]:
    """The settings of a row: all that are not a method's own, and how often the rounds are gone through."""
    return [*collection.shared_settings, *(name for name in collection.settings if name == REPEATS)]


def _runs(collection: Collection) -> tuple[pd.DataFrame, int]:
    """The runs of all settings in which a variant was trained, and how many variants other conditions have.

    Of the runs, `method` is the variant; there are BL, the methods that have variants, and these.
    """
    runs = collection.frame[collection.frame["image_size"].notna()]
    runs = runs.assign(variant=variants(runs))
    here = pd.Series(True, index=runs.index)
    for column, value in paper.CONDITIONS[6].settings.items():
        here &= runs[column] == value
    elsewhere = int((runs["variant"] != runs["method"])[~here].sum())
    runs = runs[here]
    keys = pd.Series(list(runs[_shared(collection)].astype(str).itertuples(index=False, name=None)), runs.index, object)
    changed = runs["variant"] != runs["method"]
    wanted = runs["method"].isin(["bl", "lw", *runs["method"][changed]]) & keys.isin(set(keys[changed]))
    return runs.assign(method=runs["variant"])[wanted], elsewhere


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


def _hidden(runs: pd.DataFrame) -> list[str]:
    """Settings that the columns tell, and the one in which Appendix F is not like the rest of the paper."""
    own = [name for name in map(str, runs) if is_method_setting(name) and name != REPEATS]
    return [*own, *(["trainer.momentum"] if "trainer.momentum" in runs else [])]


def _momentum(runs: pd.DataFrame) -> list[str]:
    """Appendix F trains without momentum, unlike the rest of the paper."""
    given = set(runs["trainer.momentum"].dropna()) if "trainer.momentum" in runs else set()
    used = sorted(float(value) for value in given if value)
    return [f"trained with momentum {', '.join(map(typed, used))}; Appendix F has none"] if used else []


def _rows(shown: Sequence[TableRow], names: Sequence[str]) -> Iterator[Row]:
    """Our rows, under those of a dataset and model the paper's; then what only the paper has."""
    rest = dict.fromkeys((dataset, model) for dataset, model, _ in PUBLISHED)
    last = {(row.in_paper or "", row.model): row for row in shown}
    for row in shown:
        scores = [row.methods.get(name) for name in names]
        yield Row((row.dataset, row.label, str(most_runs(scores))), score_cells(scores))
        key = row.in_paper or "", row.model
        if key in rest and row is last[key]:
            del rest[key]
            yield _paper_row(*key, names)
    yield from (_paper_row(*key, names) for key in rest)


def _paper_row(dataset: str, model: str, names: Sequence[str]) -> Row:
    values = [PUBLISHED.get((dataset, model, name)) for name in names]
    cells = [Cell("" if value is None else f"≈ {value:g}") for value in values]
    return Row((dataset, f"paper, {model}", ""), tuple(cells), published=True)


def _data(shown: Sequence[TableRow], names: Sequence[str]) -> Iterator[tuple[object, ...]]:
    for row in shown:
        for name in names:
            score = row.methods.get(name)
            ours = (0, None, None) if score is None else (score.n, round(score.mean, 4), score.std)
            yield row.dataset, row.label, name, *ours, PUBLISHED.get((row.in_paper or "", row.model, name))
