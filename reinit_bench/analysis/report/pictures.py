"""All figures for the page: the same drawers as `reinit-bench figures`, as PNG in base64."""

from __future__ import annotations

import base64

from reinit_bench.analysis.figures import KnownFigure, image, known_figures
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.report.page import Picture
from reinit_bench.core.settings import ConfigError

DPI = 150
"""A figure of the page's width is 1,050 pixels wide."""


def pictures(collection: Collection) -> tuple[Picture, ...]:
    """Every figure, or why it cannot be drawn."""
    return tuple(_picture(name, figure, collection) for name, figure in known_figures().items())


def _picture(name: str, figure: KnownFigure, collection: Collection) -> Picture:
    try:
        png = image(figure.draw(collection), "png", DPI)
    except ConfigError as error:  # nothing to draw, or a file that cannot be read: the others can still be drawn
        return Picture(name=name, caption=figure.caption, png=None, missing=str(error))
    return Picture(name=name, caption=figure.caption, png=base64.b64encode(png).decode(), missing="")
