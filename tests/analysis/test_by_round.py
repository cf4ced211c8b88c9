"""The figures by round: exact data, which runs stand in which panel, Appendix F's variants with and without norm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_measurements import rounds
from fake_store import FakeStore
from matplotlib.figure import Figure

from reinit_bench.analysis.figures import by_round
from reinit_bench.analysis.frame.collect import Collection, collect

NONE: dict[str, Any] = {"augmentation__name": "none", "trainer__momentum": 0.0}


def lines(figure: Figure, cell: int) -> dict[str, tuple[list[float], list[float]]]:
    return {
        str(line.get_label()): (list(line.get_xdata()), [round(y, 6) for y in line.get_ydata()])
        for line in figure.axes[cell].lines
    }


def titles(figure: Figure) -> list[str]:
    return [title for axes in figure.axes if (title := axes.get_title())]


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
    data = by_round.accuracy_by_round(vgg16, by_round.method_panels(vgg16, "by_round"))
    lw = data[data["method"] == "lw"]
    assert lw[["round", "n"]].to_numpy().tolist() == [[1, 2], [2, 2]]


def test_another_dataset_is_named_where_there_is_no_cifar100(fake_store: FakeStore) -> None:
    for changes in ({}, {"method__rescale": False}):
        rounds(fake_store.add("digits", "scnn", "lw", 0.5, **changes, **NONE), [(0.4, 0.5), (0.5, 0.6)])
    figure = by_round.parts(collect(fake_store.results_dir))
    assert "DIGITS (the paper shows CIFAR100)" in figure.legends[0].get_title().get_text()
