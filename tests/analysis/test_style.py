"""Every packaged method has a place in the order and a look that every eye can tell from all others."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import pytest
import yaml
from matplotlib.figure import Figure

from reinit_bench.analysis.figures import style
from reinit_bench.analysis.figures.style import MethodStyle, add_legend, legend_height, method_style
from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.methods import FAMILIES, ordered_methods
from reinit_bench.core.conf_dir import conf_dir

OPTIONS: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in (conf_dir() / "method").glob("*.yaml")
}
PACKAGED = sorted(OPTIONS)
ORDER = ordered_methods(OPTIONS)
OWN = [method_style(name) for name in ("mine", "own", "my_method", "next", "a", "b", "c", "d")]


def mark(look: MethodStyle) -> tuple[str, str]:
    return look.marker, look.fill


@pytest.mark.parametrize("name", PACKAGED)
def test_a_packaged_method_has_a_place_and_a_look(name: str) -> None:
    assert OPTIONS[name]["_family_"] in FAMILIES
    assert method_style(name).color == OPTIONS[name]["_color_"]
    assert method_style(name).label == OPTIONS[name]["_label_"]


def test_two_packaged_methods_look_different_in_each_way() -> None:
    """In colour, and in black and white: by the mark alone and by the line alone."""
    for one, other in combinations(PACKAGED, 2):
        left, right = method_style(one), method_style(other)
        alike = left.color == right.color, mark(left) == mark(right), left.linestyle == right.linestyle
        assert alike == (False, False, False), (one, other)
        assert left.label != right.label


def test_a_users_own_method_looks_like_no_packaged_one() -> None:
    assert len({mark(look) for look in OWN}) == 4
    for name, look in product(PACKAGED, OWN):
        assert mark(look) != mark(method_style(name))
        assert look.color != method_style(name).color


def test_the_letters_that_head_columns_are_unique() -> None:
    letters = {name: str(option["_letter_"]) for name, option in OPTIONS.items()}
    assert len(set(letters.values())) == len(letters), letters
    assert paper.LETTERS.items() <= letters.items()


def test_the_papers_come_first_and_a_users_own_last() -> None:
    assert ordered_methods(["zeta", "swr", "mine", "sp", "ban", "lw", "bl", "lw"]) == [
        *("bl", "lw", "ban", "sp", "swr", "mine", "zeta"),
    ]


@style.styled
def test_a_legend_is_broken_into_lines_that_are_read_from_left_to_right() -> None:
    figure = Figure(figsize=(style.TEXT_WIDTH, 3), layout="constrained")
    axes = figure.subplots()
    labels = [method_style(name).label for name in ORDER]
    handles = {label: axes.plot([0, 1], [0, 1])[0] for label in labels}
    legend = add_legend(figure, handles)
    figure.draw_without_rendering()
    places = {text.get_text(): text.get_window_extent() for text in legend.get_texts()}
    read = sorted(places, key=lambda label: (-round(places[label].y0 / 10), places[label].x0))
    assert read == labels
    assert len({round(box.y0 / 10) for box in places.values()}) == 3
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
    assert legend_height(labels) == pytest.approx(0.34)
    assert legend_height(["BL", "LW"]) == 0
