"""Figure 3: a decision tree that predicts the best method from the design of the experiment (Section 3.1)."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.figures.style import (
    GRAY,
    TEXT_WIDTH,
    add_legend,
    legend_height,
    method_style,
    text_on,
)
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.labels import plural
from reinit_bench.analysis.stats.scores import Scores, scores_by_setting
from reinit_bench.analysis.stats.tree import IMPURE, MIN_LEAF, Node, Tree, fit

FROM_PAPER = True

_ROW = 0.42
"""Height of a leaf's row in inches."""
_BAR = 1.35
"""Width of a leaf's bar, in steps between two levels of the tree."""
_WORDS = 42
"""Characters of a line of a leaf's words."""
_TIED = "\N{NO-BREAK SPACE}"
_NAMED = 0.25
"""From this share on a method's part of a bar has room for its name."""


def draw(collection: Collection) -> Figure:
    """Questions from left to right, yes above no; each leaf with the shares of the methods that are the best there."""
    scores = scores_by_setting(collection).common()
    tree = fit(scores)
    if tree is None:
        raise NothingToDraw(
            f"figure3: {_there(scores)} in {collection.path}, and {2 * MIN_LEAF} settings with several methods "
            "on datasets of known size are needed; reinit-bench -m study=table3, "
            "or study=digits initializer=he_normal,xavier_uniform"
        )
    leaves = list(tree.root.leaves())
    depth = max(len(path) for path, _ in leaves)
    width = TEXT_WIDTH + 1.2
    height = _ROW * len(leaves) + 1.5 + legend_height(scores.methods.values(), width)
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots()
    axes.axis("off")
    _draw_node(axes, tree.root, depth, scores.methods)
    axes.set_xlim(-0.5, depth + _BAR + 1.75)
    axes.set_ylim(len(leaves) - 0.4, -0.6)
    _legend(figure, scores.methods)
    figure.supxlabel("\n".join(_sentences(tree, collection.source)), fontsize=7.5)
    return figure


def _there(scores: Scores) -> str:
    if len(scores.methods) < 2:
        only = "".join(scores.methods.values())
        return f"only {only} has finished runs" if only else "no method has finished runs"
    return f"{plural(len(scores.complete), 'setting')} with all of {', '.join(scores.methods.values())}"


def _draw_node(
    axes: Axes,
    node: Node,
    depth: int,
    labels: Mapping[str, str],
    level: int = 0,
    first: int = 0,
    above: float | None = None,
) -> None:
    """The node and all below it, whose leaves stand from row `first` on; a question stands at the middle of its leaves.

    Its level is counted from the left; `above` is the row of the question before it.
    """
    row = first + (_count(node) - 1) / 2
    if above is not None:
        _draw_edge(axes, (level - 1, above), (level if node.question else depth + 0.08, row), bool(node.question))
    if node.question is None or node.yes is None or node.no is None:
        _draw_leaf(axes, node, depth, row, labels)
        return
    _draw_question(axes, node, node.question.words(), level, row)
    _draw_node(axes, node.yes, depth, labels, level + 1, first, row)
    _draw_node(axes, node.no, depth, labels, level + 1, first + _count(node.yes), row)


def _count(node: Node) -> int:
    return sum(1 for _ in node.leaves())


def _draw_edge(axes: Axes, start: tuple[float, float], end: tuple[float, float], to_question: bool) -> None:
    """From a question to the next one, or to a leaf's bar; yes goes up."""
    (left, above), (right, row), bend = start, end, start[0] + 0.5
    axes.plot([left, bend, bend, right], [above, above, row, row], color=GRAY, linewidth=0.8)
    if to_question and abs(row - above) < 0.9:
        return  # the next box leaves no room for the word; the legend's title says what is up and down
    word, gap, align = ("yes", -0.06, "bottom") if row < above else ("no", 0.06, "top")
    axes.text(bend + 0.03, above + gap, word, fontsize=6.5, va=align)


def _draw_question(axes: Axes, node: Node, question: str, level: int, row: float) -> None:
    words = question.replace(" ≤", "\n≤") if " ≤" in question else "\n".join(question.rsplit(" ", 1))
    text = f"{words}\nn = {node.n}, Gini {node.gini:.2f}"
    box = {"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": GRAY, "linewidth": 0.8}
    axes.text(level, row, text, ha="center", va="center", fontsize=6.5, bbox=box, zorder=3)


def _draw_leaf(axes: Axes, node: Node, depth: int, row: float, labels: Mapping[str, str]) -> None:
    """A bar of the methods' shares at the right of the tree, and what is best there in words."""
    start = depth + 0.1
    for name, share in node.shares.items():
        style = method_style(name, labels[name])
        axes.barh(row, share * _BAR, height=0.56, left=start, facecolor=style.color, edgecolor="white")
        if share >= _NAMED:
            looks: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 6, "color": text_on(style.color)}
            axes.text(start + share * _BAR / 2, row, style.label, **looks)
        start += share * _BAR
    # A line ends between two methods, not between a name and its share.
    named = (f"{labels[name]} {node.shares[name]:.0%}".replace(" ", _TIED) for name in node.top)
    best = textwrap.fill(", ".join(named), _WORDS).replace(_TIED, " ")
    words = f"{best}\nn = {node.n}, Gini {node.gini:.2f}"
    axes.text(depth + _BAR + 0.18, row, words, va="center", fontsize=7)


def _legend(figure: Figure, labels: Mapping[str, str]) -> None:
    styles = [method_style(name, label) for name, label in labels.items()]
    handles = {style.label: Line2D([], [], color=style.color, linewidth=6) for style in styles}
    title = "yes goes up, no goes down; bars: in what share of the settings a method is the best"
    add_legend(figure, handles, handlelength=2.0, title=title)


def _sentences(tree: Tree, source: str | None) -> list[str]:
    begin = f"from {source}: " if source else ""
    words = [
        f"{begin}{tree.n} settings, {tree.ties} with several best methods, which share them",
        f"where Gini > {IMPURE}, the methods are named that together are the best in more than half of the leaf",
        f"the tree names a best method in {tree.fitted:.0%} of the settings that it was fitted to",
    ]
    for what, pair in (("settings (ten folds)", tree.by_setting), ("datasets (each left out)", tree.by_dataset)):
        if pair:
            words.append(f"of {what} not seen: {pair[0]:.0%}; always naming the most frequent one: {pair[1]:.0%}")
    return words
