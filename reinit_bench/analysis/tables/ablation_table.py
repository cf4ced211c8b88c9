"""Appendix F on images: LW without each of its parts, with freezing, and the baseline trained for as many steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from reinit_bench.analysis.runs import notes, paper
from reinit_bench.analysis.runs.collect import Collection
from reinit_bench.analysis.runs.distance import SWITCHES
from reinit_bench.analysis.runs.labelling import VARIANTS, typed, variant_label, variants
from reinit_bench.analysis.stats.table_rows import TableRow, table_rows
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
_START = "no finished run of LW without one of its parts; start with: reinit-bench -m study=ablation_digits"
_OWN = (*SWITCHES, "trainer.momentum")
"""Settings in which Appendix F is not like the rest of the paper."""

_FIELDS = ("dataset", "model", "variant", "n", "mean", "std", "published")


def ablation_table(collection: Collection) -> Table:
    """Every setting in which LW was trained with one of its switches off, together with BL and the whole LW."""
    runs = _runs(collection)
    shown = table_rows(runs, [name for name in collection.settings if name not in SWITCHES])
    names = list(dict.fromkeys([*VARIANTS, *sorted(set(runs["method"]))]))
    return Table(
        name="ablation",
        caption="Appendix F: test accuracy [%] of LW without each of its parts (no augmentation, no dropout)",
        headings=("Dataset", "Model", "n"),
        columns=tuple(map(variant_label, names)),
        rows=tuple(_rows(shown, names)),
        best="the best of its row as printed",
        notes=(
            *([_LEGEND, _ELSEWHERE] if shown else [_START]),
            *_momentum(runs),
            *notes.settings_unlike_paper(runs.drop(columns=[name for name in _OWN if name in runs])),
            *notes.left_out(collection),
            *notes.mixed_code(runs),
        ),
        data=pd.DataFrame(list(_data(shown, names)), columns=_FIELDS),
    )


TABLES = {"ablation": ablation_table}


def _runs(collection: Collection) -> pd.DataFrame:
    """The runs of all settings in which a variant was trained; `method` is the variant."""
    frame = collection.frame
    runs = frame[frame["image_size"].notna() & frame["method"].isin(["bl", "lw"])]
    for column, value in paper.CONDITIONS[6].settings.items():
        runs = runs[runs[column] == value]
    names = variants(runs)
    shared = runs[collection.shared_settings].astype(str).itertuples(index=False, name=None)
    keys = pd.Series(list(shared), index=runs.index, dtype=object)
    return runs.assign(method=names)[keys.isin(set(keys[names != runs["method"]]))]


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
