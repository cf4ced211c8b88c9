"""How all figures look: one style for print, whose methods every eye can tell apart, also in black and white.

Colours are Okabe and Ito's; each method has its own colour, line and marker, LW the orange that it has in the paper.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
}

styled = matplotlib.rc_context(RC)
"""Decorates a figure's `draw`: what it makes has this style; `figures.image` uses it too, for ticks come late."""


@dataclass(frozen=True)
class MethodStyle:
    """How one method is drawn everywhere."""

    label: str
    color: str
    linestyle: Any
    """A matplotlib line style: solid only for LW."""
    marker: str

    def line(self, **changes: Any) -> dict[str, Any]:
        """Arguments of `Axes.plot` for a curve with markers; `marker=""` leaves them out."""
        looks = {"color": self.color, "linestyle": self.linestyle, "marker": self.marker, "label": self.label}
        size = {"markersize": 7.5} if self.marker == "*" else {}  # a star looks smaller than it is
        return {**looks, **size, **changes}


_STYLES = {
    "bl": MethodStyle("BL", BLACK, (0, (4, 1.5)), "o"),
    "welsr": MethodStyle("WELSR", SKY, (0, (1, 1)), "v"),
    "dsd": MethodStyle("DSD", GREEN, (0, (5, 1.5, 1, 1.5)), "^"),
    "wels": MethodStyle("WELS", PURPLE, (0, (3, 1, 1, 1, 1, 1)), "D"),
    "fc": MethodStyle("FC", BLUE, (0, (7, 1.5)), "s"),
    "lw": MethodStyle("LW", ORANGE, "-", "*"),
}
_OTHERS = (
    (VERMILION, (0, (2, 2)), "P"),
    (GRAY, (0, (6, 2, 2, 2)), "X"),
    (YELLOW, (0, (8, 2)), "h"),
)


def two_columns(count: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of the page's width with `count` panels, two in a row of `height` inches."""
    rows = (count + 1) // 2
    figure = Figure(figsize=(TEXT_WIDTH, rows * height + 0.5), layout="constrained")
    panels = list(figure.subplots(rows, 2, squeeze=False).flat)
    for axes in panels[count:]:
        axes.axis("off")
    return figure, panels[:count]


def method_style(name: str, label: str | None = None) -> MethodStyle:
    """How a method is drawn; a user's own gets one of three looks by its name, and its label."""
    if name in _STYLES:
        return _STYLES[name]
    color, linestyle, marker = _OTHERS[sum(name.encode()) % len(_OTHERS)]
    return MethodStyle(label or name.upper(), color, linestyle, marker)
