"""What Appendix A leaves out of Table 4: every combination of settings that was tried, with its distance from it.

    reinit-bench -m study=table4_search
    python results/synthetic/search.py [RESULTS_DIR]     # writes 4-search.md, .tex and .csv into RESULTS_DIR/tables

The nearest combination on seeds 0 to 2 is chosen (the rule stands in conf/study/table4_search.yaml); all other seeds
judge it.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import collect
from reinit_bench.analysis.synthetic.table_4 import SEARCH_SEEDS, with_kinds
from reinit_bench.analysis.tables import write_table
from reinit_bench.analysis.tables.table import Cell, Row, Table

AXES = {
    "optimizer": "trainer.optimizer",
    "between": "trainer.optimizer_between_rounds",
    "lr": "trainer.lr",
    "momentum": "trainer.momentum",
    "hidden": "model.hidden",
    "start": "start",
    "steps": "steps",
    "batch": "trainer.batch_size",
    "examples": "train_examples",
}
"""In what combinations differ, besides the penalty's form and LW's lambda layers; columns of `with_kinds`."""

LEGEND = (
    "distance: root mean square difference from Table 4 in points, over its 18 cells, over the three without a "
    "penalty and over the fifteen with one, on the seeds that choose (0 to 2); judged: the first of them on all other "
    "seeds, with the number of those seeds; examples: of a step and in all; form: trainer.weight_decay_form; carry, "
    "fresh: trainer.optimizer_between_rounds"
)


def combinations(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Every combination that has runs of the search's seeds in all 18 cells, the nearest first.

    Args:
        frame: of a collection.
    """
    runs = with_kinds(frame)
    found = []
    for values, group in runs.groupby(list(AXES.values())) if len(runs) else []:
        for form in sorted(group["trainer.weight_decay_form"].unique()):
            # Without a penalty its form means nothing: those runs belong to every form.
            own = group[(group["trainer.weight_decay"] == 0) | (group["trainer.weight_decay_form"] == form)]
            named = {**dict(zip(AXES, values, strict=True)), "form": form}
            found += [{**named, "lambdas": lambdas, **one} for lambdas, one in _distances(own)]
    return sorted(found, key=lambda one: one["distance"])


def _distances(runs: pd.DataFrame) -> Iterator[tuple[bool, dict[str, Any]]]:
    """Without LW's lambda layers and with them, where all cells have runs of the search's seeds."""
    of_search = runs["seed"].isin(SEARCH_SEEDS)
    for lambdas in (False, True):
        searched, judging = (_differences(own, lambdas) for own in (runs[of_search], runs[~of_search]))
        if searched is not None:
            penalty = searched["penalty"]
            distances = {
                "seeds": int(searched["n"].min()),
                "distance": _root_mean_square(searched["points"]),
                "without": _root_mean_square(searched["points"][penalty == 0]),
                "penalized": _root_mean_square(searched["points"][penalty > 0]),
                "judging_seeds": 0 if judging is None else int(judging["n"].min()),
                "judged": None if judging is None else _root_mean_square(judging["points"]),
            }
            yield lambdas, distances


def _differences(runs: pd.DataFrame, lambdas: bool) -> pd.DataFrame | None:
    """By cell of Table 4: its penalty, our runs, ours minus the paper's in points; None where a cell has no run."""
    published = paper.published(4)
    kinds = published["method"].replace("lw", "lw, lambda layers") if lambdas else published["method"]
    cells = runs.groupby(["trainer.weight_decay", "kind"])["test_accuracy"].agg(["size", "mean"])
    ours = cells.reindex(pd.MultiIndex.from_arrays([published["l2"], kinds])).reset_index(drop=True)
    points = 100 * (ours["mean"] - published["accuracy"])
    differences = pd.DataFrame({"penalty": published["l2"], "n": ours["size"], "points": points})
    return None if points.isna().any() else differences


def _root_mean_square(values: pd.Series) -> float:
    return math.sqrt((values**2).mean())


def search_table(found: list[dict[str, Any]]) -> Table:
    """One row per combination."""
    return Table(
        name="4-search",
        caption="What Appendix A leaves out: every combination that was tried, with its distance from Table 4",
        headings=("Optimizer",),
        columns=(
            *("hidden layers", "initializer", "steps", "examples", "form", "lambda layers"),
            *("distance", "at L2 = 0", "above", "judged"),
        ),
        rows=tuple(map(_row, found)),
        notes=(LEGEND,),
        data=pd.DataFrame(found),
    )


def _row(one: Mapping[str, Any]) -> Row:
    momentum = f", momentum {one['momentum']:g}" if one["optimizer"] == "sgd" and one["momentum"] else ""
    texts = [one["hidden"], one["start"], f"{one['steps']}", f"{one['batch']:g} of {one['examples']:g}", one["form"]]
    texts += ["yes" if one["lambdas"] else "no"]
    texts += [f"{one[name]:.1f}" for name in ("distance", "without", "penalized")]
    judged = Cell("") if one["judged"] is None else Cell(f"{one['judged']:.1f}", count=one["judging_seeds"])
    return Row((f"{one['optimizer']} {one['lr']:g}{momentum}, {one['between']}",), (*map(Cell, texts), judged))


if __name__ == "__main__":
    results_dir = Path(*sys.argv[1:] or ["results"])
    nearest = combinations(collect(results_dir).frame)
    if not nearest:
        sys.exit(f"no combination has runs in all cells in {results_dir}; reinit-bench -m study=table4_search")
    print(*write_table(search_table(nearest), results_dir / "tables"), sep="\n")
