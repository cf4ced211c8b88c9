"""Figure 3's tree as a table: its leaves, from top to bottom as they are drawn. Built when it is named."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.layout import Cell, Row, Table
from reinit_bench.analysis.outcomes import outcomes
from reinit_bench.analysis.published_runs import SOURCE
from reinit_bench.analysis.tree import IMPURE, MAX_DEPTH, MIN_LEAF, Tree, fit

Builder = Callable[[Collection], Table]


def tree_table(collection: Collection) -> Table:
    """One row per leaf: the answers that lead to it, and how often each method is the best there."""
    found = outcomes(collection)
    tree = fit(found)
    leaves = list(tree.root.leaves()) if tree else []
    methods = found.common().methods
    records = [
        {"leaf": " and ".join(path), "n": leaf.n, "gini": round(leaf.gini, 4), "top": " ".join(leaf.top)}
        | {name: round(leaf.shares[name], 4) for name in methods}
        for path, leaf in leaves
    ]
    rows = [
        Row(
            (", ".join(path) or "all settings", str(leaf.n)),
            (*(Cell(f"{leaf.shares[name]:.0%}", best=name in leaf.top) for name in methods), Cell(f"{leaf.gini:.2f}")),
        )
        for path, leaf in leaves
    ]
    source = f", from {SOURCE}" if collection.from_paper else ""
    return Table(
        name="tree",
        caption=f"Figure 3's decision tree: in how many of a leaf's settings a method is the best{source}",
        headings=("Leaf", "n"),
        columns=(*methods.values(), "Gini"),
        rows=tuple(rows),
        best=f"the best method; where Gini > {IMPURE}, those that together are the best in more than half",
        notes=(*(_trust(tree) if tree else _too_few(collection)), *found.common().left_out),
        data=pd.DataFrame(records, columns=["leaf", "n", "gini", "top", *methods]),
    )


TABLES: dict[str, Builder] = {}
BY_NAME = {"tree": tree_table}


def _trust(tree: Tree) -> list[str]:
    """How sure a reader may be of the tree."""
    said = [
        f"scikit-learn's tree, at least {MIN_LEAF} settings in a leaf, depth at most {MAX_DEPTH}; {tree.n} settings "
        f"with all methods; {tree.ties} have several best methods, which share them",
        f"names a best method in {tree.fitted:.1%} of the settings that it was fitted to",
    ]
    for words, pair in (
        ("settings (ten folds, ten times)", tree.by_setting),
        ("datasets (one left out)", tree.by_dataset),
    ):
        if pair:
            said.append(
                f"in {words} not fitted to: {pair[0]:.1%}, and always naming the most frequent one: {pair[1]:.1%}"
            )
    return said


def _too_few(collection: Collection) -> list[str]:
    return [f"fewer than {2 * MIN_LEAF} settings in {collection.results_dir} in which all methods have finished"]
