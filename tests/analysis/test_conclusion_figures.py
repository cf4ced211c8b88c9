"""Figures 2 and 3, ranks and gains: what is drawn where, and what is said where there is nothing to draw."""

from collections.abc import Callable

import pytest
from fake_runs import collection_of, fake_grid, fake_run
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from reinit_bench.analysis.figures import figure2, figure3, gains, ranks
from reinit_bench.analysis.figures.style import method_style
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.stats import tree

Draw = Callable[[Collection], Figure]


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
    collection = fake_grid(["DIGITS", "A"], ["scnn"], ["bl", "lw"], lambda d, m, method, n: 50.0 + (method == "lw"))
    figure = figure2.draw(collection)
    assert [axes.get_title() for axes in figure.axes] == ["A, scnn", "DIGITS, scnn"]
    assert "no runs of CIFAR10 or CIFAR100" in figure.get_supxlabel()
    assert texts(figure).splitlines() == ["LW better in 6 of 6"] * 2


def test_figure_3_draws_each_question_and_each_leaf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "REPEATS", 1)

    def percent(dataset: str, model: str, method: str, number: int) -> float:
        return 60.0 if method == ("bl" if model == "resnet50" else "lw") else 50.0

    figure = figure3.draw(fake_grid(("CIFAR10", "CIFAR100"), ["vgg16", "resnet50"], ["bl", "fc", "lw"], percent))
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
    def percent(dataset: str, model: str, method: str, number: int) -> float:
        return {"lw": 60.0, "bl": 50.0 + number % 2, "fc": 51.0 - number % 2}[method]

    figure = ranks.draw(fake_grid(["A", "B"], ["scnn"], ["bl", "fc", "lw"], percent))
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
