"""How all figures look: one style for print, whose methods every eye can tell apart, also in black and white.

Each method has its own colour and its own mark, LW the orange that it has in the paper; no two have the same mark and
line. The six of the paper have Okabe and Ito's colours. The marks tell the family: full for the paper's, gray crosses
for the controls, hollow for what changes the network at a round's start, half full for what acts while a round trains.
No eye tells so many colours apart: the further ones were chosen to be as far as can be from all others, for readers
with protanopia and deuteranopia too, and the marks do the rest.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.ticker import LogFormatter

from reinit_bench.analysis.frame.methods import method_file

TEXT_WIDTH, COLUMN_WIDTH = 7.0, 3.3
"""Widths of the page and of a column in inches: figures are drawn at the size at which they are printed."""

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GRAY = "#767676"

RC: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "figure.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.linewidth": 0.4,
    "grid.alpha": 0.6,
    "axes.linewidth": 0.8,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "text.parse_math": False,  # a name with a dollar is a name
    "pdf.fonttype": 42,  # text stays text: searchable, and editable by a journal
}

styled = matplotlib.rc_context(RC)
"""Decorates what makes or writes a figure: ticks come late."""

Fill = Literal["full", "none", "bottom"]


@dataclass(frozen=True)
class MethodStyle:
    """How one method is drawn everywhere."""

    label: str
    color: str
    linestyle: Any
    """A matplotlib line style: solid only for LW."""
    marker: str
    fill: Fill = "full"
    """How much of the marker is coloured."""

    def mark(self, size: float | None = None) -> dict[str, Any]:
        """Arguments of `Axes.plot` for the marker alone; a size is that of most markers."""
        # These look smaller than they are.
        larger = {"*": 1.7, "d": 1.25, "x": 1.2, "+": 1.4, "X": 1.2, "P": 1.2}.get(self.marker, 1.0)
        return {
            "color": self.color,
            "marker": self.marker,
            # A hollow marker hides the line behind it: its shape would be lost otherwise.
            "fillstyle": "full" if self.fill == "none" else self.fill,
            "markerfacecolor": "white" if self.fill == "none" else self.color,
            "markerfacecoloralt": "white",
            "markersize": larger * (size or RC["lines.markersize"]),
        }

    def line(self, **changes: Any) -> dict[str, Any]:
        """Arguments of `Axes.plot` for a curve with markers; `marker=""` leaves them out."""
        return {**self.mark(), "linestyle": self.linestyle, "label": self.label, **changes}


_FILLS: Mapping[str, Fill] = {"at rounds": "none", "while training": "bottom"}
"""How much of the marker is coloured, by the method's family."""

_OTHERS = (
    ("#E7298A", (0, (2, 3)), "P"),
    ("#00868B", (0, (6, 2, 2, 2)), "<"),
    ("#C8B400", (0, (8, 3)), ">"),
    ("#8A5FD6", (0, (3, 2)), "d"),
)
"""Looks of a user's own methods; no packaged one has such a mark."""

MANY = 10
"""More methods than these need more room than the paper's six."""

LONGEST = 30
"""Characters of a name in a figure."""


def short(name: str) -> str:
    """A name that a figure has room for."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def legend_rows(labels: Collection[str], width: float = TEXT_WIDTH) -> int:
    """Into how many lines a legend of this width in inches must be broken; a line has as many entries as fit."""
    inches = RC["legend.fontsize"] / 72
    entry = (3.2 + 0.8 + 1.2 + 0.5 * min(LONGEST, max(map(len, labels), default=0))) * inches  # line, gaps, and letters
    return math.ceil(len(labels) / max(1, int(width / entry)))


def legend_height(labels: Collection[str], width: float = TEXT_WIDTH) -> float:
    """What the lines of a legend after the first add to a figure's height, in inches."""
    return 0.17 * (legend_rows(labels, width) - 1)


def add_legend(figure: Figure, handles: Mapping[str, Any], **more: Any) -> Legend:
    """One legend for the whole figure, in as many lines as its width needs; the entries go from left to right."""
    labels = list(handles)
    columns = math.ceil(len(labels) / max(1, legend_rows(labels, figure.get_figwidth())))
    # matplotlib fills column after column.
    order = [label for start in range(columns) for label in labels[start::columns]]
    looks: dict[str, Any] = {
        "loc": "outside upper center",
        "ncols": max(1, columns),
        "handlelength": 3.2,
        "columnspacing": 1.2,
    }
    return figure.legend([handles[label] for label in order], order, **looks | more)


def legend_handles(cells: Iterable[Axes]) -> dict[str, Any]:
    """What the panels' legends would show, each name once."""
    shown = [zip(*axes.get_legend_handles_labels(), strict=True) for axes in cells]
    return {str(name): handle for pairs in shown for handle, name in pairs}


def say_no_runs(axes: Axes) -> None:
    """An empty panel; the x axis is that of the panels above and below."""
    axes.text(0.5, 0.5, "no runs", ha="center", va="center", color=GRAY, transform=axes.transAxes)
    axes.tick_params(left=False, labelleft=False)


class _PlainLog(LogFormatter):
    """Writes 0.001 where matplotlib would write a formula, which here stays text."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def plain_ticks(axis: Axis, linear_below: float | None = None) -> None:
    """Plain numbers along a logarithmic axis, or one that is linear near zero."""
    axis.set_major_formatter(_PlainLog(linthresh=linear_below))
    axis.set_minor_formatter(_PlainLog(labelOnlyBase=False, linthresh=linear_below))


def panels_in_columns(count: int, height: float, columns: int = 2) -> tuple[Figure, list[Axes]]:
    """A figure of the page's width with `count` panels of `height` inches, `columns` of them in a row."""
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(TEXT_WIDTH, rows * height + 0.5), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels[count:]:
        axes.axis("off")
    return figure, panels[:count]


def text_on(color: str) -> str:
    """Black or white, whichever can be read on this colour."""
    red, green, blue = to_rgb(color)
    return BLACK if 0.299 * red + 0.587 * green + 0.114 * blue > 140 / 255 else "white"


def method_style(name: str, label: str | None = None) -> MethodStyle:
    """How a method is drawn, by its option file; one whose file says no colour gets one of four looks by its name."""
    known = method_file(name)
    label = short(known.get("_label_") or label or name.upper())
    if "_color_" not in known:
        return MethodStyle(label, *_OTHERS[sum(name.encode()) % len(_OTHERS)])
    line = known.get("_line_", "solid")
    linestyle = line if isinstance(line, str) else (0, tuple(line))
    fill = _FILLS.get(known.get("_family_", ""), "full")
    return MethodStyle(label, known["_color_"], linestyle, known.get("_marker_", "o"), fill)
