"""What each method gains over BL by the size of the training set: means and 95% intervals, by architecture."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.figures.style import BLACK, method_style, styled, two_columns
from reinit_bench.analysis.runs.collect import Collection
from reinit_bench.analysis.stats.mean_gains import GainGroup, mean_gains
from reinit_bench.analysis.stats.scores import ALL, scores_by_setting

FROM_PAPER = True


@styled
def draw(collection: Collection) -> Figure:
    """One panel for all architectures and one for each.

    Raises:
        NothingToDraw: in no setting have BL and another method finished.
    """
    scores = scores_by_setting(collection)
    groups = mean_gains(scores)
    if not groups:
        raise NothingToDraw(
            f"gains: no setting in {collection.results_dir} with BL and another method; "
            "reinit-bench -m study=digits, or study=table3"
        )
    methods = [name for name in scores.methods if name != "bl"]
    models = list(dict.fromkeys(group.model for group in groups))
    figure, panels = two_columns(len(models), 2.1)
    for axes, model in zip(panels, models, strict=True):
        _panel(axes, [group for group in groups if group.model == model], methods)
        axes.set_title("all architectures" if model == ALL else model)
    for axes in panels[::2]:
        axes.set_ylabel("gain over BL [points]")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(methods))
    source = f"; from {collection.source}" if collection.source else ""
    figure.supxlabel(f"training examples (mean over what is in brackets, bars: 95% t-interval){source}", fontsize=8)
    return figure


def _panel(axes: Axes, groups: Sequence[GainGroup], methods: Sequence[str]) -> None:
    axes.axhline(0, color=BLACK, linewidth=0.8)
    axes.grid(axis="x", visible=False)
    for index, name in enumerate(methods):
        style = method_style(name)
        shown = [(place, group.gains[name]) for place, group in enumerate(groups) if name in group.gains]
        shift = 0.7 * ((index + 0.5) / len(methods) - 0.5)
        axes.errorbar(
            [place + shift for place, _ in shown],
            [gain.mean for _, gain in shown],
            [gain.half or 0.0 for _, gain in shown],
            fmt=style.marker,
            color=style.color,
            markersize=8 if name == "lw" else 5,
            elinewidth=1.2,
            label=style.label,
        )
    axes.set_xticks(range(len(groups)), [f"{group.size_words}\n({group.most.over})" for group in groups])
    axes.set_xlim(-0.5, len(groups) - 0.5)
