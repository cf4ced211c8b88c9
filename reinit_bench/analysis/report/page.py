"""The report: what it says, as plain values, and the one HTML file that a template makes of them.

Nothing in the file is loaded from elsewhere, and every name is escaped.
"""

from __future__ import annotations

import base64
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reinit_bench.analysis.figures import image, known_figures
from reinit_bench.analysis.figures.style import BLUE, GRAY, ORANGE
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.report.long_tables import described, filters, results_table, runs_table
from reinit_bench.analysis.report.paper_claim import PaperClaim, paper_claim
from reinit_bench.analysis.stats.arms import tuned_runs
from reinit_bench.analysis.stats.claims import Claim, claims
from reinit_bench.analysis.tables import build_tables, table_verdict
from reinit_bench.analysis.tables.render.html import html_table, long_table
from reinit_bench.analysis.tables.table import Table
from reinit_bench.core.errors import in_one_line
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.checks import HISTORY, ROUNDS
from reinit_bench.store.files import StoreError, make_folder, write_text
from reinit_bench.store.store import RunFolder, Store

_FOLDER = Path(__file__).parent

DPI = 150
"""Of a figure in the page: one of the page's width is 1,050 pixels wide."""

POINTS = 60
"""Most points of one curve: 2,448 of them fit in one page."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure: its PNG in base64, or why it cannot be drawn and what to type."""

    name: str
    caption: str
    png: str | None
    missing: str


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How much of a study is there: its name, the first line of its file, and its distinct runs by state."""

    study: str
    about: str
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """How many distinct runs it has; 0: it is about other datasets, and they were not counted."""
        return sum(self.counts.values())

    @property
    def begun(self) -> bool:
        """Whether the results folder holds anything of it."""
        return self.counts.get("missing", 0) < self.total


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """A run that has begun and not finished: its id, its title, its state, and the last line of its error."""

    run_id: str
    title: str
    state: str
    cause: str


@dataclass(frozen=True, kw_only=True)
class Page:
    """Everything that the report says."""

    results_dir: str
    runs: int
    claim: PaperClaim
    claims: Sequence[Claim]
    """What is claimed of resetting, and what tuned studies say of it; none where no tuned study has runs."""
    tuned: Mapping[str, Table]
    """The tables of tuned studies, by the name that users type; none where no tuned study has runs."""
    filters: Mapping[str, Sequence[str]]
    """What can be chosen in each filter: datasets, models, conditions."""
    tables: Mapping[str, Table]
    """The paper's tables, by the name that users type."""
    results: Table
    pictures: Sequence[Picture]
    each_run: Table
    curves: Mapping[str, Any]
    """By run id, as `curve` gives them."""
    studies: Sequence[Progress]
    troubles: Sequence[Trouble]
    corrupt: Sequence[str]
    code: Sequence[Mapping[Any, Any]]
    """Runs by the code that made them and the kind of device: `software`, `commit`, `device`, `runs`, `hours`."""


def pictures(collection: Collection, track: Callable[[Sequence[str]], Iterable[str]] = iter) -> list[Picture]:
    """Every figure, or why it cannot be drawn.

    Args:
        track: goes through the figures' names, as a progress bar does.
    """
    found, known = [], known_figures()
    for name in track(list(known)):
        png, missing = None, ""
        try:
            png = base64.b64encode(image(known[name].draw(collection), "png", DPI)).decode()
        except ConfigError as error:  # nothing to draw, or a file that cannot be read
            missing = str(error)
        except Exception as error:  # a fault of ours, or runs as nobody has met them: the page is made all the same
            missing = f"{name}: {in_one_line(error)}"
        found.append(Picture(name=name, caption=known[name].caption, png=png, missing=missing))
    return found


def build_page(
    collection: Collection,
    *,
    studies: Sequence[Progress] = (),
    troubles: Sequence[Trouble] = (),
    draw: Callable[[Collection], Sequence[Picture]] = pictures,
) -> Page:
    """The page of what a results folder holds.

    Args:
        studies: how much of each known study is there.
        troubles: the runs that have begun and not finished.
        draw: makes the figures, which take most of the time.
    """
    runs = described(collection)
    tuned = build_tables(collection, list(table_verdict.BY_NAME))
    has_tuned = bool(tuned["verdict"].rows)
    return Page(
        results_dir=str(collection.path),
        runs=len(runs),
        claim=paper_claim(collection),
        claims=claims(tuned_runs(collection)) if has_tuned else (),
        tuned=tuned if has_tuned else {},
        filters=filters(runs),
        tables=build_tables(collection),
        results=results_table(runs),
        each_run=runs_table(runs),
        curves=curves(Store(collection.results_dir), runs["run_id"]),
        pictures=draw(collection),
        studies=studies,
        troubles=troubles,
        corrupt=collection.corrupt,
        code=_code(runs),
    )


def _code(runs: pd.DataFrame) -> Sequence[Mapping[Any, Any]]:
    """Runs by what made them, the most first."""
    keys = ["software", "git_commit", "device"]
    known = runs.reindex(columns=[*keys, "wall_seconds"]).fillna(dict.fromkeys(keys, "unknown"))
    groups = known.groupby(keys)["wall_seconds"].agg(runs="size", hours="sum").reset_index()
    groups = groups.assign(commit=groups["git_commit"].astype(str).str[:10], hours=groups["hours"] / 3600)
    return groups.sort_values("runs", ascending=False, kind="stable").to_dict("records")


def curves(store: Store, run_ids: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """The curve of each run whose `history.jsonl` can be read; of the others, those that are harmed are named."""
    found = {run_id: curve(store.run(run_id)) for run_id in run_ids}
    return {run_id: one for run_id, one in found.items() if one is not None}


def curve(folder: RunFolder) -> Mapping[str, Any] | None:
    """`x` (steps), `t` and `v` (training, validation accuracy in thousandths, None where there is none), and `r`, the
    last step of each round with the test accuracy there; None where the file is missing or damaged.
    """
    try:
        points, rounds = folder.rows(HISTORY, kept), folder.rows(ROUNDS)
        x = [point["total_step"] for point in points]
        ends = list(accumulate(one["steps"] for one in rounds))
    except StoreError as error:
        warnings.warn(str(error), stacklevel=2)
        return None
    except KeyError:
        return None
    tests = [_thousandths(one.get("test_accuracy")) for one in rounds]
    train = [_thousandths(point.get("train_accuracy")) for point in points]
    validation = [_thousandths(point.get("validation_accuracy")) for point in points]
    return {"x": x, "t": train, "v": validation, "r": list(zip(ends, tests, strict=True))} if x else None


def kept(count: int, most: int = POINTS) -> list[int]:
    """At most `most` places of `count`, evenly spread, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(place * (count - 1) / (most - 1)) for place in range(most)})


def _thousandths(fraction: float | None) -> int | None:
    return None if fraction is None else round(1000 * fraction)


def html(page: Page) -> str:
    """The whole file."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Compact, since thousands of curves are in it; a NaN would be no JSON, and must not get that far.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False, "allow_nan": False}
    # Ours, and free of markup: they go into the page as they are.
    style, script = (Markup((_FOLDER / name).read_text(encoding="utf-8")) for name in ("style.css", "script.js"))
    renderers = {"html_table": html_table, "long_table": long_table}
    looks = {"lw": ORANGE, "train": GRAY, "validation": BLUE}  # as in the figures
    template = environment.get_template("template.html")
    return template.render(page=page, style=style, script=script, looks=looks, **renderers)


def write_report(page: Page, folder: Path) -> Path:
    """Write `report.html` into `folder` in one step; returns its path.

    Raises:
        StoreError: the folder cannot be made or written.
    """
    make_folder(folder)
    path = folder / "report.html"
    write_text(path, html(page))
    return path
