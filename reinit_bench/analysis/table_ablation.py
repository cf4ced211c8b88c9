"""Appendix F on images: LW without each of its parts, with freezing, and the baseline trained for as many steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from reinit_bench.analysis import notes, paper
from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.layout import Cell, Row, Table
from reinit_bench.analysis.lines import Line, Summary, lines, typed
from reinit_bench.analysis.outcomes import SWITCHES

VARIANTS: Mapping[str, str] = {
    "bl": "BL",
    "lw": "LW",
    "lw reinitialize": "−reinit",
    "lw rescale": "−rescale",
    "lw normalize": "−norm",
    "lw freeze": "+freeze",
}
"""The columns: LW is followed by the switches that are not at their default."""

PUBLISHED: Mapping[tuple[str, str, str], float] = {
    ("CIFAR10", "vgg16", "bl"): 66,
    ("CIFAR10", "vgg16", "lw reinitialize"): 66,
    ("CIFAR10", "vgg16", "lw"): 75,
    ("CIFAR100", "vgg16", "bl"): 34,
    ("CIFAR100", "vgg16", "lw reinitialize"): 34,
    ("CIFAR100", "vgg16", "lw"): 42,
}
"""What Appendix F's text says in percent, each with the word "around", by dataset, model and variant."""

_NAMES = {"reinitialize": "−reinit", "rescale": "−rescale", "normalize": "−norm", "freeze": "+freeze"}
_LEGEND = (
    "BL trains for as many steps in all as LW; −: LW without reinitialization, rescaling or its normalization layers; "
    "+freeze: the blocks below stay as they are; test accuracy [%], mean ± standard deviation over n seeds, or (fewer)"
)
_ELSEWHERE = (
    "of a vgg16 without any normalization of its own the paper says: about 34% on CIFAR100, 24% with LW without its "
    "normalization layers, 42% with them; frozen, training accuracy falls to 1% after about round 5. Ours has its own "
    "normalization everywhere, so that these have no counterpart here"
)
_OWN = (*SWITCHES, "trainer.momentum")
"""Settings in which Appendix F is not like the rest of the paper."""

_FIELDS = ("dataset", "model", "variant", "n", "mean", "std", "published")


def ablation_table(collection: Collection) -> Table:
    """Every line of settings in which LW was trained with one of its switches off, beside BL and the whole LW."""
    runs = _runs(collection)
    shown = lines(runs, [name for name in collection.settings if name not in SWITCHES])
    names = list(dict.fromkeys([*VARIANTS, *(sorted(set(runs["method"])) if len(runs) else [])]))
    start = "no finished run of LW without one of its parts; start with: reinit-bench -m study=ablation_digits"
    return Table(
        name="ablation",
        caption="Appendix F: test accuracy [%] of LW without each of its parts (no augmentation, no dropout)",
        headings=("Dataset", "Model", "n"),
        columns=tuple(VARIANTS.get(name) or _label(name) for name in names),
        rows=tuple(_rows(shown, names)),
        best="the best of its row as printed",
        notes=notes.joined(
            [_LEGEND, _ELSEWHERE] if shown else [start],
            _momentum(runs),
            notes.settings_unlike_paper(runs.drop(columns=[name for name in _OWN if name in runs])),
            notes.left_out(collection),
            notes.mixed_code(runs),
        ),
        data=pd.DataFrame(list(_data(shown, names)), columns=_FIELDS),
    )


TABLES = {"ablation": ablation_table}


def _runs(collection: Collection) -> pd.DataFrame:
    """The runs of all settings in which a variant was trained; `method` is the variant."""
    frame = collection.frame
    runs = frame[
        (frame["augmentation"] == "none")
        & (frame["dropout_rate"] == 0)
        & (frame["initializer"] == "he_normal")
        & frame["image_size"].notna()
        & frame["method"].isin(["bl", "lw"])
    ]
    switched = [name for name in SWITCHES if name in runs]
    off = pd.DataFrame({name: runs[name].notna() & (runs[name] != paper.SETTINGS[name]) for name in switched})
    variants = [
        " ".join([str(method), *(name.removeprefix("method.") for name in switched if off.at[index, name])])
        for index, method in runs["method"].items()
    ]
    runs = runs.assign(method=variants)
    shared = [name for name in collection.settings if name != "method" and not name.startswith("method.")]
    keys = pd.Series(list(runs[shared].astype(str).itertuples(index=False, name=None)), index=runs.index, dtype=object)
    return runs[keys.isin(set(keys[off.any(axis=1)]))] if len(runs) else runs


def _momentum(runs: pd.DataFrame) -> list[str]:
    """Appendix F trains without momentum, unlike the rest of the paper."""
    given = runs["trainer.momentum"].dropna() if "trainer.momentum" in runs else runs["seed"].iloc[:0]
    with_it = sorted({float(value) for value in given if value})
    return [f"trained with momentum {', '.join(map(typed, with_it))}; Appendix F has none"] if with_it else []


def _label(variant: str) -> str:
    return " ".join(_NAMES[part] for part in variant.split()[1:])


def _rows(shown: Sequence[Line], names: Sequence[str]) -> Iterator[Row]:
    """Our lines, under those of a dataset and model the paper's; then what the paper has alone."""
    rest = dict.fromkeys((dataset, model) for dataset, model, _ in PUBLISHED)
    for index, line in enumerate(shown):
        yield _own_row(line, names)
        key = line.in_paper or "", line.model
        if key in rest and key not in [(other.in_paper, other.model) for other in shown[index + 1 :]]:
            del rest[key]
            yield _paper_row(*key, names)
    yield from (_paper_row(*key, names) for key in rest)


def _own_row(line: Line, names: Sequence[str]) -> Row:
    most = max(summary.n for summary in line.methods.values())
    best = max((f"{summary.mean:.1f}" for summary in line.methods.values()), key=float)

    def cell(summary: Summary | None) -> Cell:
        if summary is None:
            return Cell()
        text, spread = f"{summary.mean:.1f}", "" if summary.std is None else f"{summary.std:.1f}"
        return Cell(text, spread, summary.n if summary.n < most else None, text == best)

    return Row((line.dataset, line.label, str(most)), tuple(cell(line.methods.get(name)) for name in names))


def _paper_row(dataset: str, model: str, names: Sequence[str]) -> Row:
    values = [PUBLISHED.get((dataset, model, name)) for name in names]
    cells = [Cell("") if value is None else Cell(f"≈ {value:g}") for value in values]
    return Row((dataset, f"paper, {model}", ""), tuple(cells), published=True)


def _data(shown: Sequence[Line], names: Sequence[str]) -> Iterator[tuple[object, ...]]:
    for line in shown:
        for name in names:
            summary = line.methods.get(name)
            published = PUBLISHED.get((line.in_paper or "", line.model, name))
            ours = (0, None, None) if summary is None else (summary.n, round(summary.mean, 4), summary.std)
            yield line.dataset, line.label, name, *ours, published
