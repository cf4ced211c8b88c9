"""Figures: found by being there, written whole, and a store without their runs says which command makes them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from reinit_bench.analysis import figures
from reinit_bench.analysis.collect import Collection, collect
from reinit_bench.analysis.figures import NothingToDraw, drawers, table1, write
from reinit_bench.analysis.layout import Table
from reinit_bench.core.settings import ConfigError


def test_an_unknown_figure_names_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"there is no figure 'nope'; the figures are .*table1"):
        drawers(["nope"])
    assert "table1" in drawers()


def test_an_empty_store_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(NothingToDraw, match=r"no finished runs in .*; reinit-bench -m study=table1"):
        table1.draw(collect(tmp_path))


def test_ours_and_the_papers_values_stand_where_they_belong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("lw", 3, 73.0, 3.5, 72.3, 3.6), ("bl", 3, 52.0, 4.0, None, None), ("fc", 0, None, None, 68.6, 2.1)]
    data = pd.DataFrame(rows, columns=["method", "n", "mean", "std", "published", "published_std"]).assign(alpha=1.0)

    def table(collection: Collection) -> Table:
        return Table(name="t", caption="", headings=(), columns=(), rows=(), best="", notes=(), data=data)

    monkeypatch.setitem(table1.TABLES, 1, table)
    figure = table1.draw(collect(tmp_path))
    (axes,) = figure.axes
    ours, published = (container.lines[0] for container in axes.containers)
    by_method = dict(zip((t.get_text() for t in axes.get_xticklabels()), ours.get_ydata(), strict=True))
    assert (by_method["LW"], by_method["BL"]) == (73.0, 52.0)
    assert pd.isna(by_method["FC"])
    assert published.get_ydata()[5] == 72.3
    paths = write(figure, "table1", tmp_path / "figures")
    assert [path.read_bytes()[:4] for path in paths] == [b"\x89PNG", b"%PDF"]
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        f"table1.{ending}" for ending in figures.FORMATS
    }
