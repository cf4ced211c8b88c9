"""What each method gains over BL by the size of the training set: means and 95% intervals, by architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.figures.style import (
    BLACK,
    MANY,
    add_legend,
    legend_handles,
    legend_height,
    method_style,
    panels_in_columns,
    short,
)
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.stats.mean_gains import GainGroup, mean_gains
from reinit_bench.analysis.stats.scores import ALL, scores_by_setting

FROM_PAPER = True


def draw(collection: Collection) -> Figure:
    """One panel for all architectures and one for each."""
    scores = scores_by_setting(collection)
    groups = mean_gains(scores)
    if not groups:
        raise NothingToDraw(
            f"gains: no setting in {collection.path} with BL and another method; "
            "reinit-bench -m study=digits, or study=table3"
        )
    methods = {name: label for name, label in scores.methods.items() if name != "bl"}
    models = list(dict.fromkeys(group.model for group in groups))
    columns = 1 if len(methods) > MANY else 2
    figure, panels = panels_in_columns(len(models), 2.1, columns)
    figure.set_figheight(figure.get_figheight() + legend_height(methods.values()))
    for axes, model in zip(panels, models, strict=True):
        _panel(axes, [group for group in groups if group.model == model], methods)
        axes.set_title("all architectures" if model == ALL else short(model))
    for axes in panels[::columns]:
        axes.set_ylabel("gain over BL [points]")
    add_legend(figure, legend_handles(panels[:1]), handlelength=2.0)
    source = f"; from {collection.source}" if collection.source else ""
    figure.supxlabel(f"training examples (mean over what is in brackets, bars: 95% t-interval){source}", fontsize=8)
    return figure


def _panel(axes: Axes, groups: Sequence[GainGroup], methods: Mapping[str, str]) -> None:
    axes.axhline(0, color=BLACK, linewidth=0.8)
    axes.grid(axis="x", visible=False)
    for index, (name, label) in enumerate(methods.items()):
        style = method_style(name, label)
        shown = [(place, group.gains[name]) for place, group in enumerate(groups) if name in group.gains]
        shift = 0.7 * ((index + 0.5) / len(methods) - 0.5)
        axes.errorbar(
            [place + shift for place, _ in shown],
            [gain.value for _, gain in shown],
            [gain.margin or 0.0 for _, gain in shown],
            linestyle="none",
            elinewidth=1.2,
            **style.mark(5),
            label=style.label,
        )
    axes.set_xticks(range(len(groups)), [f"{group.size_words}\n({group.most.over})" for group in groups])
    axes.set_xlim(-0.5, len(groups) - 0.5)
