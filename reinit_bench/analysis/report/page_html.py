"""The page as one HTML file: nothing in it is loaded from elsewhere, and every name is escaped."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reinit_bench.analysis.figures.style import BLUE, GRAY, ORANGE
from reinit_bench.analysis.report.page import Page
from reinit_bench.analysis.tables.render.html import html_table, long_table
from reinit_bench.store.files import make_folder, write_text

_FOLDER = Path(__file__).parent


def html(page: Page) -> str:
    """The whole file."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Compact, since thousands of curves are in it; a NaN would be no JSON, and must not get that far.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False, "allow_nan": False}
    # Ours, and free of markup: they go into the page as they are.
    style, script = (Markup((_FOLDER / name).read_text(encoding="utf-8")) for name in ("style.css", "script.js"))
    renderers = {"html_table": html_table, "long_table": long_table}
    looks = {"lw": ORANGE, "train": GRAY, "validation": BLUE}  # as in the figures
    template = environment.get_template("template.html")
    return template.render(page=page, style=style, script=script, looks=looks, **renderers)


def write_report(page: Page, folder: Path) -> Path:
    """Write `report.html` into `folder` in one step; returns its path.

    Raises:
        StoreError: the folder cannot be made or written.
    """
    make_folder(folder)
    path = folder / "report.html"
    write_text(path, html(page))
    return path
