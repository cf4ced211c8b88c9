"""Figures 4 to 12 and those by round: what each draws is exact, and which runs it takes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from fake_store import FakeStore, curve, measure, rounds
from matplotlib.figure import Figure

from reinit_bench.analysis.figures import by_round, figure4, figure5, figure6, figure7, figure8, known_figures
from reinit_bench.analysis.figures.panels import one_setting
from reinit_bench.analysis.frame.collect import Collection, collect

NONE: dict[str, Any] = {"augmentation__name": "none", "trainer__momentum": 0.0}


def heading(figure: Figure) -> str:
    return str(figure.legends[0].get_title().get_text())


def lines(figure: Figure, cell: int) -> dict[str, tuple[list[float], list[float]]]:
    return {
        str(line.get_label()): (list(line.get_xdata()), [round(y, 6) for y in line.get_ydata()])
        for line in figure.axes[cell].lines
    }


def titles(figure: Figure) -> list[str]:
    return [title for axes in figure.axes if (title := axes.get_title())]


def test_accuracy_by_budget_averages_seeds_and_nothing_else(fake_store: FakeStore) -> None:
    for budget, accuracies in ((100, (0.5, 0.7)), (1000, (0.8, 0.8))):
        fake_store.seeds("oxford_iiit", "scnn", "lw", accuracies, trainer__max_steps=budget)
    fake_store.add("oxford_iiit", "scnn", "bl", 0.4, trainer__max_steps=100)
    fake_store.add("oxford_iiit", "scnn", "lw", 0.1, method__rescale=False, trainer__max_steps=100)  # an ablation
    fake_store.add("oxford_iiit", "vgg16", "lw", 0.9, trainer__max_steps=100)  # one budget: nothing to see
    figure = figure4.draw(collect(fake_store.results_dir))
    assert heading(figure) == "Test accuracy by step budget: OXFORD-IIIT\naugmentation mild, no dropout, 2 seeds"
    assert titles(figure) == ["scnn"]
    assert lines(figure, 0) == {"BL": ([100], [40]), "LW": ([100, 1000], [60, 80])}


def test_budgets_are_shown_where_they_are_and_not_where_the_paper_would_have_them(fake_store: FakeStore) -> None:
    """Runs with augmentation, as in Table 2, have one budget here; those without have two."""
    fake_store.add("digits", "scnn", "lw", 0.5, trainer__max_steps=100)
    for budget in (50, 100):
        fake_store.add("digits", "scnn", "lw", 0.6, trainer__max_steps=budget, augmentation__name="none")
    assert lines(figure4.draw(collect(fake_store.results_dir)), 0) == {"LW": ([50, 100], [60, 60])}


def test_sharpness_is_the_change_averaged_over_draws_and_seeds(fake_store: FakeStore) -> None:
    for seed, lost in ((0, 0.2), (1, 0.4)):
        measure(fake_store.add("digits", "scnn", "lw", 0.9, seed=seed), lost=lost)
    measure(fake_store.add("digits", "scnn", "bl", 0.9), lost=0.6)
    fake_store.add("digits", "scnn", "fc", 0.9)  # was not measured
    figure = figure5.draw(collect(fake_store.results_dir))
    assert "DIGITS (the paper shows OXFORD-IIIT)" in heading(figure)
    sigmas = [0.01, 0.1]
    assert lines(figure, 0) == {"BL": (sigmas, [0, 60]), "LW": (sigmas, [0, 30])}
    assert lines(figure, 1) == {"BL": (sigmas, [0, 1.2]), "LW": (sigmas, [0, 0.6])}


def test_margins_are_medians_over_seeds_and_lw_and_bl_stand_alone_below(fake_store: FakeStore) -> None:
    for seed, margins in enumerate(((-0.2, 0.1, 0.5), (0.0, 0.3, 0.6), (-0.4, 0.2, 0.9))):
        measure(fake_store.add("oxford_iiit", "scnn", "lw", 0.9, seed=seed), margins=margins)
    measure(fake_store.add("oxford_iiit", "scnn", "bl", 0.9), margins=(0.01, 0.02, 0.03))
    measure(fake_store.add("oxford_iiit", "scnn", "dsd", 0.9), margins=(0.1, 0.2, 0.3))
    figure, every = figure6.draw(collect(fake_store.results_dir)), [1, 2, 3]
    bl = {"BL": (every, [0.01, 0.02, 0.03])}
    # A logarithmic axis begins after the margins below zero.
    assert lines(figure, 0) == {**bl, "DSD": (every, [0.1, 0.2, 0.3]), "LW": ([2, 3], [0.2, 0.6])}
    assert lines(figure, 1) == {**bl, "LW": (every, [-0.2, 0.2, 0.6])}


def test_ratios_pair_runs_with_the_baseline_of_their_own_setting_and_seed(fake_store: FakeStore) -> None:
    for seed, size in ((0, 2.0), (1, 4.0)):
        measure(fake_store.add("digits", "scnn", "bl", 0.9, seed=seed), sizes=size)
    measure(fake_store.add("digits", "vgg16", "bl", 0.9), sizes=10.0)
    measure(fake_store.add("digits", "scnn", "lw", 0.9, seed=0), sizes=2.2)
    measure(fake_store.add("digits", "scnn", "lw", 0.9, seed=1), sizes=3.6)
    measure(fake_store.add("digits", "vgg16", "lw", 0.9), sizes=11.0)
    measure(fake_store.add("digits", "vgg16", "lw", 0.9, seed=7), sizes=99.0)  # has no baseline
    measure(fake_store.add("digits", "scnn", "dsd", 0.9, seed=1), sizes=6.0)
    pairs = figure7.ratios(collect(fake_store.results_dir)).sort_values(["method", "model", "seed"])
    assert pairs[["method", "model", "seed"]].to_numpy().tolist() == [
        ["dsd", "scnn", 1],
        ["lw", "scnn", 0],
        ["lw", "scnn", 1],
        ["lw", "vgg16", 0],
    ]
    assert pairs["ratio"].tolist() == pytest.approx([1.5, 1.1, 0.9, 1.1])
    (axes,) = figure7.draw(collect(fake_store.results_dir)).axes
    peak = axes.lines[0].get_ydata().max()
    assert peak == pytest.approx(1 / (math.sqrt(0.04 / 3) * math.sqrt(2 * math.pi)))


def test_the_curves_are_those_of_lws_first_middle_and_last_round(fake_store: FakeStore) -> None:
    curve(fake_store.add("cifar10", "vgg16", "lw", 0.9, **NONE), [[0.1, 0.2], [0.0], [0.3, 0.5], [0.0], [0.7]])
    curve(fake_store.add("cifar10", "vgg16", "lw", 0.9, seed=1, **NONE), [[0.3], [0.0], [0.5], [0.0], [0.9]])
    curve(fake_store.add("cifar10", "vgg16", "lw", 0.9), [[0.0]])  # augmented, with momentum: not Appendix E's
    curve(fake_store.add("cifar10", "vgg16", "bl", 0.9, **NONE), [[0.0]])
    curve(fake_store.add("digits", "scnn", "lw", 0.9, **NONE), [[0.0]])
    figure = figure8.draw(collect(fake_store.results_dir))
    assert titles(figure) == ["CIFAR10"]
    assert lines(figure, 0) == {
        "first round": ([1, 2], [20, 20]),
        "middle round": ([1, 2], [40, 50]),
        "last round": ([1], [80]),
    }


def test_a_panel_shows_one_setting_the_papers_before_others(fake_store: FakeStore) -> None:
    for seed in range(3):
        fake_store.add("digits", "scnn", "lw", 0.5, seed=seed, augmentation__name="none")
    fake_store.add("digits", "scnn", "bl", 0.9)
    fake_store.add("digits", "scnn", "bl", 0.8, trainer__lr=0.1)
    fake_store.add("cifar10", "vgg16", "bl", 0.7)
    collection = collect(fake_store.results_dir)
    found = one_setting(collection, collection.frame)
    assert found[["dataset_shown", "model", "test_accuracy"]].to_numpy().tolist() == [
        ["CIFAR10", "vgg16", 0.7],
        ["DIGITS", "scnn", 0.9],
    ]


@pytest.mark.parametrize("name", ["figure9", "figure10", "figure11", "figure12"])
def test_figures_of_every_dataset_show_those_that_the_store_has(name: str, fake_store: FakeStore) -> None:
    """One dataset with vgg16, another with both architectures, runs that lack what is shown, and no other dataset."""
    for dataset, model in (("oxford_iiit", "vgg16"), ("cifar10", "vgg16"), ("cifar10", "scnn")):
        for method in ("bl", "lw", "mine"):
            for budget in (10, 100):
                path = fake_store.add(dataset, model, method, 0.5, trainer__max_steps=budget)
                measure(path, margins=(0.1, 0.2))
    fake_store.add("digits", "scnn", "lw", 0.5)
    figure = known_figures([name])[name].draw(collect(fake_store.results_dir))
    figure.draw_without_rendering()  # what cannot be laid out fails here
    cells = [axes for axes in figure.axes if axes.get_ylabel() or axes.texts or axes.lines]
    labels = [axes.get_ylabel().partition("\n")[0] for axes in cells if axes.get_ylabel()]
    assert labels == ["OXFORD-IIIT", "CIFAR10"]
    assert [axes.get_title() for axes in cells[:2]] == ["scnn", "vgg16"]
    assert [[text.get_text() for text in axes.texts] for axes in cells] == [["no runs"], [], [], []]
    assert list(lines(figure, 1)) == (["BL", "LW"] if name == "figure11" else ["BL", "LW", "MINE"])


@pytest.fixture
def vgg16(fake_store: FakeStore) -> Collection:
    """Appendix F's example: LW without its parts in a vgg16 with and without norm layers, on CIFAR100."""

    def add(method: str, test: tuple[float, ...], norm: str, seed: int = 0, **changes: Any) -> Path:
        path = fake_store.add("cifar100", "vgg16", method, test[-1], seed=seed, model__norm=norm, **changes, **NONE)
        rounds(path, [(accuracy, 1.0 - accuracy) for accuracy in test])
        return path

    for norm in ("group", "none"):
        add("bl", (0.34,), norm)
        add("lw", (0.2, 0.4), norm)
        add("lw", (0.4, 0.5), norm, seed=1)
        add("lw", (0.3, 0.24), norm, method__normalize=False)
    add("lw", (0.3, 0.01), "none", method__freeze=True)
    add("dsd", (0.3, 0.3), "group")  # no part of Appendix F
    return collect(fake_store.results_dir)


def test_the_parts_of_lw_by_round_have_a_column_for_each_norm(vgg16: Collection) -> None:
    figure = by_round.parts(vgg16)
    assert titles(figure) == ["vgg16", "vgg16 without norm"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["BL", "LW", "−norm", "+freeze"]
    assert lines(figure, 0) == {
        "BL": ([1, 2], [34, 34]),
        "LW": ([1, 2], [30, 45]),
        "−norm": ([1, 2], [30, 24]),
    }
    assert lines(figure, 1)["+freeze"] == ([1, 2], [30, 1])
    assert lines(figure, 2)["LW"] == ([1, 2], [70, 55])
    assert "paper shows" not in figure.legends[0].get_title().get_text()


def test_methods_by_round_are_the_methods_as_they_are(vgg16: Collection) -> None:
    figure = by_round.draw(vgg16)
    assert lines(figure, 0) == {"BL": ([1, 2], [34, 34]), "DSD": ([1, 2], [30, 30]), "LW": ([1, 2], [30, 45])}
