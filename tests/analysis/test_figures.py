"""Figures: found by being there, written whole, exact; a store without their runs says which command makes them."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest
from fake_runs import collection_of, fake_grid, fake_run, grid_rows
from fake_store import FakeStore
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reinit_bench.analysis import figures
from reinit_bench.analysis.figures import (
    NothingToDraw,
    figure2,
    figure3,
    gains,
    known_figures,
    ranks,
    table1,
    write_figure,
)
from reinit_bench.analysis.figures.style import method_style
from reinit_bench.analysis.frame.collect import Collection, collect
from reinit_bench.analysis.stats import tree
from reinit_bench.analysis.tables.table import Table
from reinit_bench.cli.main import main


def test_the_figures_that_there_are_and_their_captions() -> None:
    assert list(known_figures()) == [
        *("ablation", "by_round", *(f"figure{number}" for number in range(2, 13)), "gains", "ranks", "rows"),
        *("stages", "table1", "verdict", "verdict_noise", "verdict_sensitivity", "verdict_sizes"),
    ]
    for name, figure in known_figures().items():
        assert figure.caption.endswith("."), name
        number = name.removeprefix("figure")
        assert figure.caption.startswith(f"Figure {number}") or not number.isdigit(), name


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


def texts(figure: Figure) -> str:
    return "\n".join(text.get_text() for axes in figure.axes for text in axes.texts)


def points(axes: Axes) -> list[list[tuple[float, float]]]:
    """Of each scatter: with augmentation, then without."""
    return [[(float(x), float(y)) for x, y in found.get_offsets()] for found in axes.collections]  # type: ignore[attr-defined]


def test_figure_2_puts_the_baseline_on_x_and_lw_on_y_in_the_papers_panels() -> None:
    rows = [
        fake_run("CIFAR10", "vgg16", "bl", 60.0),
        fake_run("CIFAR10", "vgg16", "lw", 70.0),
        fake_run("CIFAR10", "vgg16", "bl", 61.0, trainer__lr=0.01, augmentation="mild", dropout_rate=0.5),
        fake_run("CIFAR10", "vgg16", "lw", 59.0, trainer__lr=0.01, augmentation="mild", dropout_rate=0.5),
        fake_run("CIFAR100", "mobilenet", "bl", 30.0),
        fake_run("CIFAR100", "mobilenet", "lw", 40.0, trainer__lr=0.01),  # no baseline at this rate: no point
    ]
    figure = figure2.draw(collection_of(rows))
    assert [axes.get_title() for axes in figure.axes] == [
        "CIFAR10, vgg16",
        "CIFAR10, mobilenet",
        "CIFAR100, vgg16",
        "CIFAR100, mobilenet",
    ]
    assert points(figure.axes[0]) == [[(61.0, 59.0)], [(60.0, 70.0)]]
    assert texts(figure).splitlines() == ["LW better in 1 of 2", "no runs", "no runs", "no runs"]
    assert figure.axes[0].get_xlim() == figure.axes[0].get_ylim()


def test_figure_2_without_cifar_draws_what_there_is_and_says_so() -> None:
    figure = figure2.draw(fake_grid(["DIGITS", "A"], ["scnn"], {"bl": 50.0, "lw": 51.0}))
    assert [axes.get_title() for axes in figure.axes] == ["A, scnn", "DIGITS, scnn"]
    assert "no runs of CIFAR10 or CIFAR100" in figure.get_supxlabel()
    assert texts(figure).splitlines() == ["LW better in 6 of 6"] * 2


def test_figure_3_draws_each_question_and_each_leaf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "REPEATS", 1)

    datasets = ("CIFAR10", "CIFAR100")
    vgg16 = grid_rows(datasets, ["vgg16"], {"bl": 50.0, "fc": 50.0, "lw": 60.0})
    resnet50 = grid_rows(datasets, ["resnet50"], {"bl": 60.0, "fc": 50.0, "lw": 50.0})
    figure = figure3.draw(collection_of(vgg16 + resnet50))
    (axes,) = figure.axes
    said = texts(figure)
    assert "n = 24, Gini 0.50" in said
    assert "BL 100%\nn = 12, Gini 0.00" in said
    assert "LW 100%\nn = 12, Gini 0.00" in said
    wide = [patch for patch in axes.patches if patch.get_width() > 0]  # type: ignore[attr-defined]
    assert {patch.get_facecolor() for patch in wide} == {(*rgb(method_style(name).color), 1.0) for name in ("bl", "lw")}
    assert "of settings (ten folds) not seen: 100%" in figure.get_supxlabel()


def rgb(color: str) -> tuple[float, ...]:
    return tuple(int(color[start : start + 2], 16) / 255 for start in (1, 3, 5))


def test_ranks_joins_what_the_critical_difference_does_not_tell_apart() -> None:
    # lw is always first, bl and fc change places: over 12 settings only lw stands apart.
    figure = ranks.draw(fake_grid(["A", "B"], ["scnn"], {"bl": [50.0, 51.0] * 3, "fc": [51.0, 50.0] * 3, "lw": 60.0}))
    assert figure.axes[0].get_title(loc="left").startswith("scnn: 12 settings, Friedman p = ")
    assert {"LW 1.00", "CD = 0.96"} <= set(texts(figure).splitlines())
    bars = [line for line in figure.axes[0].lines if line.get_linewidth() == 3]
    assert [sorted(map(float, bar.get_xdata())) for bar in bars] == [[2.45, 2.55]]  # type: ignore[arg-type]


def test_gains_are_drawn_at_their_means_with_their_intervals() -> None:
    rows = [
        fake_run(
            "DIGITS", "scnn", method, 80.0 + extra * (1 + number), train_examples=examples, initializer=initializer
        )
        for examples in (50, 200)
        for method, extra in (("bl", 0.0), ("lw", 2.0))
        for number, initializer in enumerate(("he_normal", "xavier_uniform"))
    ]
    (axes,) = [axes for axes in gains.draw(collection_of(rows)).axes if axes.get_title() == "scnn"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["50\n(2 settings)", "200\n(2 settings)"]
    (container,) = axes.containers
    assert [float(y) for y in container.lines[0].get_ydata()] == [3.0, 3.0]
    low, high = container.lines[2][0].get_segments()[0]
    # Gains of 2 and 4: the standard deviation is the root of 2; t with one degree of freedom is 12.706.
    assert high[1] - low[1] == pytest.approx(2 * 12.706, abs=0.01)
