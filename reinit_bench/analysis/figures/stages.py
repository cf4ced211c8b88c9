"""Data in stages: each arm's test accuracy at the end of each stage, and its difference from a fresh network.

A column of two panels for each setting; bars are 95% t-intervals of the difference, paired by seed.
"""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from reinit_bench.analysis.figures import NothingToDraw
from reinit_bench.analysis.figures.style import (
    BLACK,
    add_legend,
    legend_handles,
    method_style,
    panels_in_columns,
    styled,
)
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.stats.stages import FRESH, StagedSetting, staged_settings


@styled
def draw(collection: Collection) -> Figure:
    """Two panels for each setting of the table of the same name.

    Raises:
        NothingToDraw: no run has data in stages.
    """
    settings = staged_settings(collection)
    if not settings:
        raise NothingToDraw(f"stages: no run with stages in {collection.path}; reinit-bench -m study=warm_start")
    figure, panels = panels_in_columns(2 * len(settings), 2.2)
    for place, setting in enumerate(settings):
        _accuracies(panels[2 * place], setting)
        _differences(panels[2 * place + 1], setting)
    add_legend(figure, legend_handles(panels))
    return figure


def _accuracies(axes: Axes, setting: StagedSetting) -> None:
    for method in setting.methods:
        ends = [setting.accuracy(method, stage).mean for stage in _stages(setting)]
        axes.plot(_stages(setting), ends, **method_style(method).line())
    _label(axes, setting, "test accuracy [%]")


def _differences(axes: Axes, setting: StagedSetting) -> None:
    arms = [method for method in setting.methods if method != FRESH]
    for number, method in enumerate(arms):
        for stage in _stages(setting):
            over = setting.over_fresh(method, stage)
            if over is not None:  # side by side, so that intervals do not hide each other
                place = stage + 0.5 * ((number + 0.5) / len(arms) - 0.5)
                look = method_style(method).mark(3)
                axes.errorbar([place], [over.value], yerr=[over.margin or 0.0], elinewidth=1, **look)
    axes.axhline(0, color=BLACK, linewidth=0.8)
    _label(axes, setting, f"points over {method_style(FRESH).label}")


def _stages(setting: StagedSetting) -> range:
    return range(1, setting.stages + 1)


def _label(axes: Axes, setting: StagedSetting, what: str) -> None:
    axes.set_title(setting.label)
    axes.set_xlabel("stage")
    axes.set_ylabel(what)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(0.6, setting.stages + 0.4)
