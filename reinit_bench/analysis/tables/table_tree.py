"""Figure 3's tree as a table: its leaves, from top to bottom as they are drawn. Built when it is named."""

from __future__ import annotations

import pandas as pd

from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.stats.scores import scores_by_setting
from reinit_bench.analysis.stats.tree import IMPURE, MAX_DEPTH, MIN_LEAF, Node, Tree, fit
from reinit_bench.analysis.tables.table import Cell, Row, Table


def tree_table(collection: Collection) -> Table:
    """One row per leaf: the answers that lead to it, and how often each method is the best there."""
    scores = scores_by_setting(collection).common()
    tree = fit(scores)
    leaves = list(tree.root.leaves()) if tree else []
    methods = scores.methods
    records = [
        {"leaf": " and ".join(path), "n": leaf.n, "gini": round(leaf.gini, 4), "top": " ".join(leaf.top)}
        | {name: round(leaf.shares[name], 4) for name in methods}
        for path, leaf in leaves
    ]
    source = f", from {collection.source}" if collection.source else ""
    return Table(
        name="tree",
        caption=f"Figure 3's decision tree: in how many of a leaf's settings a method is the best{source}",
        headings=("Leaf", "n"),
        columns=(*methods.values(), "Gini"),
        rows=tuple(Row((", ".join(path) or "all settings", str(leaf.n)), _cells(leaf)) for path, leaf in leaves),
        best=f"the best method; where Gini > {IMPURE}, those that together are the best in more than half",
        notes=(*(_trust(tree) if tree else _too_few()), *scores.left_out),
        data=pd.DataFrame(records, columns=["leaf", "n", "gini", "top", *methods]),
    )


BY_NAME = {"tree": tree_table}


def _cells(leaf: Node) -> tuple[Cell, ...]:
    shares = [Cell(f"{share:.0%}", best=name in leaf.top) for name, share in leaf.shares.items()]
    return *shares, Cell(f"{leaf.gini:.2f}")


def _trust(tree: Tree) -> list[str]:
    """How far a reader may trust the tree."""
    words = [
        f"scikit-learn's tree, at least {MIN_LEAF} settings in a leaf, depth at most {MAX_DEPTH}; {tree.n} settings "
        f"with all methods; {tree.ties} have several best methods, which share them",
        f"names a best method in {tree.fitted:.1%} of the settings that it was fitted to",
    ]
    for what, pair in (
        ("settings (ten folds, ten times)", tree.by_setting),
        ("datasets (one left out)", tree.by_dataset),
    ):
        if pair:
            words.append(
                f"in {what} not fitted to: {pair[0]:.1%}, and always naming the most frequent one: {pair[1]:.1%}"
            )
    return words


def _too_few() -> list[str]:
    return [f"fewer than {2 * MIN_LEAF} settings in which all methods have finished"]
