"""What each method gains over BL by the size of the training set: means and 95% intervals, by architecture."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.figures.style import BLACK, TEXT_WIDTH, method_style, styled
from reinit_bench.analysis.gains import Gain, by_group, gains
from reinit_bench.analysis.outcomes import ALL, outcomes
from reinit_bench.analysis.published_runs import SOURCE

FROM_PAPER = True


@styled
def draw(collection: Collection) -> Figure:
    """One panel for all architectures and one for each.

    Raises:
        NothingToDraw: in no setting have BL and another method finished.
    """
    found = outcomes(collection)
    gained = by_group(gains(found))
    if not gained:
        raise NothingToDraw(
            f"gains: no setting in {collection.results_dir} with BL and another method; "
            "reinit-bench -m study=digits, or study=table3"
        )
    methods = [name for name in found.methods if name != "bl"]
    models = list(dict.fromkeys(model for model, _ in gained))
    rows = (len(models) + 1) // 2
    figure = Figure(figsize=(TEXT_WIDTH, 2.1 * rows + 0.5), layout="constrained")
    panels = list(figure.subplots(rows, 2, squeeze=False).flat)
    for axes, model in zip(panels, models, strict=False):
        _panel(axes, [group for key, group in gained.items() if key[0] == model], methods)
        axes.set_title("all architectures" if model == ALL else model)
    for axes in panels[len(models) :]:
        axes.axis("off")
    for axes in panels[: len(models) : 2]:
        axes.set_ylabel("gain over BL [points]")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(methods))
    source = f"; from {SOURCE}" if collection.from_paper else ""
    figure.supxlabel(f"training examples (mean over what is in brackets, bars: 95% t-interval){source}", fontsize=8)
    return figure


def _panel(axes: Axes, groups: list[Mapping[str, Gain]], methods: list[str]) -> None:
    axes.axhline(0, color=BLACK, linewidth=0.8)
    axes.grid(axis="x", visible=False)
    for index, name in enumerate(methods):
        style = method_style(name)
        shown = [(place, group[name]) for place, group in enumerate(groups) if name in group]
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
    axes.set_xticks(range(len(groups)), [_words(group) for group in groups])
    axes.set_xlim(-0.5, len(groups) - 0.5)


def _words(group: Mapping[str, Gain]) -> str:
    most = max(group.values(), key=lambda gain: gain.n)
    return f"{most.size_words}\n({most.n} {most.unit}{'s' * (most.n > 1)})"
