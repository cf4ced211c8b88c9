"""How all figures look: one style for print, told apart by every eye and in black and white.

Colours are Okabe and Ito's; each method has its own colour, line and marker, LW the orange that it has in the paper.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib

TEXT_WIDTH, COLUMN_WIDTH = 7.0, 3.3
"""Widths of the page and of a column in inches: figures are drawn at the size at which they are printed."""

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GRAY = "#767676"

METHODS = ("bl", "welsr", "dsd", "wels", "fc", "lw")
"""The methods in the paper's order."""

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
}

styled = matplotlib.rc_context(RC)
"""Decorates a figure's `draw`: what it makes has this style; `figures.write` uses it too, for ticks come late."""


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
        return {**looks, **changes}


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


def ordered(methods: Iterable[str]) -> list[str]:
    """Distinct methods: the paper's in its order, then a user's own by name."""
    found = set(methods)
    return [name for name in METHODS if name in found] + sorted(found.difference(METHODS))


def method_style(name: str, label: str | None = None) -> MethodStyle:
    """How a method is drawn; a user's own gets one of three looks by its name, and its label."""
    if name in _STYLES:
        return _STYLES[name]
    color, linestyle, marker = _OTHERS[sum(name.encode()) % len(_OTHERS)]
    return MethodStyle(label or name.upper(), color, linestyle, marker)
