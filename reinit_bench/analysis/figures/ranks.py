"""Mean ranks of the methods with the critical difference (Demsar 2006, Figure 1), over all and by architecture."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.figures.style import (
    BLACK,
    GRAY,
    MANY,
    MethodStyle,
    method_style,
    panels_in_columns,
    short,
)
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.stats.mean_ranks import Ranking, rankings, to_show
from reinit_bench.analysis.stats.scores import ALL, scores_by_setting

FROM_PAPER = True

_STEP = 0.32
"""Height between two methods' labels, in inches; the axis has none above it but its numbers and the bar."""


def draw(collection: Collection) -> Figure:
    """One panel for all architectures and one for each: the best is on the right; a bar joins what does not differ."""
    scores = scores_by_setting(collection).common()
    shown = to_show(rankings(scores))
    if not shown:
        raise NothingToDraw(
            f"ranks: no setting in {collection.path} in which all methods finished; "
            "reinit-bench -m study=digits, or study=table3"
        )
    figure, panels = panels_in_columns(len(shown), (len(scores.methods) // 2 + 3.2) * _STEP)
    for axes, ranking in zip(panels, shown, strict=True):
        _panel(axes, ranking, scores.methods)
    source = f"from {collection.source}; " if collection.source else ""
    figure.supxlabel(
        f"{source}mean rank, 1 is the best; methods on one bar cannot be told apart at 95% (Nemenyi)", fontsize=8
    )
    return figure


def _panel(axes: Axes, ranking: Ranking, labels: Mapping[str, str]) -> None:
    """Depth below the axis is in label heights; each half of the methods has its labels on its own side."""
    count = len(ranking.mean_ranks)
    order = sorted(ranking.mean_ranks, key=ranking.mean_ranks.__getitem__)
    groups = ranking.groups()
    first = 0.9 + 0.35 * len(groups)
    half = (count + 1) // 2
    step = _step(count)
    axes.set_xlim(count + 1.1 * step, 1 - 1.1 * step)  # the worst on the left
    axes.set_ylim(first + half - 0.4, -2.2)
    axes.axis("off")
    _scale(axes, count, ranking.critical_difference)
    for place, name in enumerate(order):
        right = place < half
        depth = first + (place if right else count - 1 - place)
        _label(axes, method_style(name, labels[name]), ranking.mean_ranks[name], depth, right, count)
    for level, group in enumerate(groups):
        places = [ranking.mean_ranks[name] for name in group]
        y = 0.45 + 0.35 * level
        ends = [max(places) + 0.05 * step, min(places) - 0.05 * step]
        axes.plot(ends, [y, y], color=BLACK, linewidth=3, solid_capstyle="butt")
    where = "all architectures" if ranking.model == ALL else short(ranking.model)
    p = "" if ranking.p is None else f", Friedman p = {ranking.p:.1g}"
    axes.set_title(f"{where}: {ranking.n} {ranking.unit}s{p}", fontsize=9, loc="left")


def _step(count: int) -> float:
    """The length in ranks that the paper's six methods have between two ranks: a panel is as wide for more."""
    return max(1.0, (count - 1) / 5)


def _scale(axes: Axes, count: int, difference: float) -> None:
    axes.plot([1, count], [0, 0], color=BLACK, linewidth=1)
    for rank in range(1, count + 1):
        axes.plot([rank, rank], [0, -0.2], color=BLACK, linewidth=1)
    for rank in range(1, count + 1) if count <= MANY else (1, *range(5, count + 1, 5)):
        axes.text(rank, -0.3, str(rank), ha="center", va="bottom", fontsize=8)
    # The bar starts at the worst rank, where Demsar puts it.
    y, end = -1.5, count - difference
    axes.plot([count, end], [y, y], color=GRAY, linewidth=1.5, marker="|", markersize=6)
    axes.text(end - 0.1 * _step(count), y, f"CD = {difference:.2f}", ha="left", va="center", fontsize=8, color=GRAY)


def _label(axes: Axes, style: MethodStyle, rank: float, depth: float, right: bool, count: int) -> None:
    step = _step(count)
    end = 1 - 0.25 * step if right else count + 0.25 * step
    gap = -0.08 * step if right else 0.08 * step
    axes.plot([rank, rank, end], [0, depth, depth], color=style.color, linewidth=1)
    axes.plot([rank], [0], clip_on=False, zorder=3, **style.mark(6))
    text = f"{style.label} {rank:.2f}" if right else f"{rank:.2f} {style.label}"
    axes.text(end + gap, depth, text, ha="left" if right else "right", va="center", fontsize=8)
