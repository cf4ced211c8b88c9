"""Figures: found by being there, written whole, and a store without their runs says which command makes them."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest
from fake_store import FakeStore

from reinit_bench.analysis import figures
from reinit_bench.analysis.figures import NothingToDraw, known_figures, table1, write_figure
from reinit_bench.analysis.frame.collect import Collection, collect
from reinit_bench.analysis.tables.table import Table
from reinit_bench.cli.main import main
from reinit_bench.core.settings import ConfigError


def test_an_unknown_figure_names_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"there is no figure 'nope'; the figures are .*table1"):
        known_figures(["nope"])
    assert list(known_figures()) == [
        *("ablation", "by_round"),
        *(f"figure{number}" for number in range(2, 13)),
        *("gains", "ranks", "table1"),
        *("verdict", "verdict_noise", "verdict_sensitivity", "verdict_sizes"),
    ]


def test_a_new_file_is_a_new_figure_and_may_bring_variants(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(
        '"""Mine,\nin short.\n\nAt length."""\n'
        "FROM_PAPER = True\n"
        "def draw(collection): return 'mine'\n"
        "def whole(collection):\n    'The whole of it.'\n    return 'whole'\n"
        "VARIANTS = {'mine2': whole}\n"
    )
    monkeypatch.setattr(figures, "__path__", [*figures.__path__, str(tmp_path)])
    found = known_figures()
    assert {"mine", "mine2"} < set(known_figures(from_paper=True)) < set(found)
    sys.modules.pop("reinit_bench.analysis.figures.mine")
    assert (found["mine"].caption, found["mine2"].caption) == ("Mine, in short.", "The whole of it.")
    assert (found["mine"].draw(None), found["mine2"].draw(None)) == ("mine", "whole")  # type: ignore[arg-type, comparison-overlap]


def test_every_figure_has_a_caption() -> None:
    for name, figure in known_figures().items():
        assert figure.caption.endswith("."), name
        number = name.removeprefix("figure")
        assert figure.caption.startswith(f"Figure {number}") or not number.isdigit(), name


@pytest.mark.parametrize("name", list(known_figures()))
def test_too_few_runs_are_said_in_one_line_with_a_command(name: str, fake_store: FakeStore) -> None:
    draw = known_figures([name])[name].draw
    for _ in range(2):  # an empty store, then one with a run that has nothing to show
        with pytest.raises(NothingToDraw, match=rf"^{name}: [^\n]*; reinit-bench -m study=[^\n]*$"):
            draw(collect(fake_store.results_dir))
        if collect(fake_store.results_dir).frame.empty:
            fake_store.add("digits", "scnn", "lw", 0.5)


def test_what_the_paper_says_is_kept_apart_from_what_runs_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("tables gains --from paper", "tables gains", "figures gains ranks --from paper"):
        assert main([*command.split(), f"results_dir={tmp_path}"]) == 0
        assert ("50,000–60,000" in capsys.readouterr().out) == (command == "tables gains --from paper")
    assert {path.name for path in tmp_path.iterdir()} == {"paper_conclusions", "tables"}
    assert {path.name for path in (tmp_path / "paper_conclusions").iterdir()} == {
        *("gains.csv", "gains.md", "gains.tex"),
        *(f"{name}.{ending}" for name in ("gains", "ranks") for ending in figures.FORMATS),
    }
    assert list(known_figures(from_paper=True)) == ["figure3", "gains", "ranks"]


def test_ours_and_the_papers_values_stand_where_they_belong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("lw", 3, 73.0, 3.5, 72.3, 3.6), ("bl", 3, 52.0, 4.0, None, None), ("fc", 0, None, None, 68.6, 2.1)]
    data = pd.DataFrame(rows, columns=["method", "n", "mean", "std", "published", "published_std"]).assign(alpha=1.0)

    def build(collection: Collection, names: list[int]) -> dict[str, Table]:
        return {"1": Table(name="t", caption="", data=data)}

    monkeypatch.setattr(table1, "build_tables", build)
    figure = table1.draw(collect(tmp_path))
    (axes,) = figure.axes
    ours, published = (container.lines[0] for container in axes.containers)
    by_method = dict(zip((t.get_text() for t in axes.get_xticklabels()), ours.get_ydata(), strict=True))
    assert (by_method["LW"], by_method["BL"]) == (73.0, 52.0)
    assert pd.isna(by_method["FC"])
    assert published.get_ydata()[5] == 72.3
    paths = write_figure(tmp_path / "figures", "table1", figure)
    assert [path.read_bytes()[:4] for path in paths] == [b"\x89PNG", b"%PDF"]
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        f"table1.{ending}" for ending in figures.FORMATS
    }
