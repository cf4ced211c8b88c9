"""All figures for the page: the same drawers as `reinit-bench figures`, as PNG in base64."""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Callable

import matplotlib

from reinit_bench.analysis.collect import Collection
from reinit_bench.analysis.figures import Drawer, drawers
from reinit_bench.analysis.figures.style import RC
from reinit_bench.analysis.report.page import Picture
from reinit_bench.core.settings import ConfigError

DPI = 150
"""A figure of the page's width is 1,050 pixels wide."""


def pictures(collection: Collection, told: Callable[[str], None] = lambda name: None) -> tuple[Picture, ...]:
    """Every figure, or why it cannot be drawn; `told` hears each one's name before it is drawn."""
    found = []
    for name, draw in drawers().items():
        told(name)
        found.append(_picture(name, draw, collection))
    return tuple(found)


def _picture(name: str, draw: Drawer, collection: Collection) -> Picture:
    png, missing = None, ""
    try:
        png = _png(draw, collection)
    except ConfigError as error:  # nothing to draw, or a file that cannot be read: the other figures can still be drawn
        missing = str(error)
    return Picture(name=name, caption=_caption(draw), png=png, missing=missing, command=f"reinit-bench figures {name}")


def _png(draw: Drawer, collection: Collection) -> str:
    content = io.BytesIO()
    with matplotlib.rc_context(RC):
        draw(collection).savefig(content, format="png", dpi=DPI)
    return base64.b64encode(content.getvalue()).decode()


def _caption(draw: Drawer) -> str:
    """The first paragraph of what the figure's file says of it."""
    text = sys.modules[draw.__module__].__doc__ or ""
    return " ".join(text.strip().partition("\n\n")[0].split())
