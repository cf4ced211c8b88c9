"""The report: what a results folder holds on one HTML page that needs no network.

`build.py` makes the page's content from a collection, `page_html.py` writes it down.
"""

from __future__ import annotations

from reinit_bench.analysis.report.build import build_page
from reinit_bench.analysis.report.page_html import html, write_report

__all__ = ["build_page", "html", "write_report"]
