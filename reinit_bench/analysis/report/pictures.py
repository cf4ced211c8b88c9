"""All figures for the page: the same drawers as `reinit-bench figures`, as PNG in base64."""

from __future__ import annotations

import base64

from matplotlib.figure import Figure

from reinit_bench.analysis.figures import image, known_figures
from reinit_bench.analysis.figures.in_processes import drawn
from reinit_bench.analysis.report.page import Picture
from reinit_bench.analysis.runs.collect import Collection
from reinit_bench.core.settings import ConfigError

DPI = 150
"""A figure of the page's width is 1,050 pixels wide."""


def pictures(collection: Collection) -> tuple[Picture, ...]:
    """Every figure, or why it cannot be drawn."""
    known = known_figures()
    return tuple(_picture(name, known[name].caption, made) for name, made in drawn(known, collection, _png))


def _png(name: str, figure: Figure) -> str:
    return base64.b64encode(image(figure, "png", DPI)).decode()


def _picture(name: str, caption: str, made: str | ConfigError) -> Picture:
    if isinstance(made, ConfigError):
        return Picture(name=name, caption=caption, png=None, missing=str(made))
    return Picture(name=name, caption=caption, png=made, missing="")
