"""Many methods: their order, headings and looks, tables broken into parts, and what stays the paper's."""

from __future__ import annotations

import io
from itertools import combinations, product

import pytest
from factories import METHOD_FILES
from fake_runs import collection_of, fake_grid, fake_run
from rich.console import Console

from reinit_bench.analysis.figures import known_figures
from reinit_bench.analysis.figures.style import MethodStyle, method_style
from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import Collection
from reinit_bench.analysis.frame.methods import FAMILIES, ordered_methods
from reinit_bench.analysis.report.paper_claim import paper_claim
from reinit_bench.analysis.tables import build_tables
from reinit_bench.analysis.tables.render.html import html_table
from reinit_bench.analysis.tables.render.terminal import show
from reinit_bench.analysis.tables.render.text import latex, markdown
from reinit_bench.analysis.tables.table import Table

ORDER = ordered_methods(METHOD_FILES)
LETTERS = list("BRDWFLCPGSTHINKEO2AV")
"""Of the twenty methods that the tables here are made of."""
TWENTY = [name for name in ORDER if METHOD_FILES[name]["_letter_"] in LETTERS]


@pytest.fixture(scope="module")
def all_methods() -> Collection:
    return collection_of(
        [
            fake_run(dataset, "scnn", method, 60.0 + number + seed, seed=seed, augmentation="mild")
            for dataset in ("CIFAR10", "DIGITS")
            for number, method in enumerate(TWENTY)
            for seed in (0, 1)
        ]
    )


def on_terminal(table: Table, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    show([table], console)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def built(collection: Collection, name: str) -> Table:
    return build_tables(collection, [name])[name]


def test_table_2_has_the_papers_columns_then_all_others_and_says_their_letters(all_methods: Collection) -> None:
    table = built(all_methods, "2")
    assert list(table.columns) == LETTERS
    assert any(
        note.startswith("B: BL (the baseline), R: WELSR, D: DSD, W: WELS, F: FC, L: LW, C: Cold, P: Restart, G:")
        and ", S: S&P, " in note
        for note in table.notes
    )


@pytest.mark.parametrize(("width", "count"), [(80, 4), (120, 2), (300, 1)])
def test_the_terminal_gets_as_many_parts_as_it_needs(all_methods: Collection, width: int, count: int) -> None:
    lines = on_terminal(built(all_methods, "2"), width)
    assert max(map(len, lines)) <= width
    assert [line for line in lines if line.startswith(" Dataset")] == [" Dataset"] * count
    heads = [line.split()[2:] for line in lines if line.startswith("  Model")]
    assert [letter for head in heads for letter in head] == LETTERS
    assert max(map(len, heads)) - min(map(len, heads)) <= count - 1
    assert sum(line.startswith("  scnn") for line in lines) == 2 * count
    assert sum(line.startswith("  paper") for line in lines) == sum(bool({*head} & {*LETTERS[:6]}) for head in heads)


def test_latex_breaks_a_wide_table_and_escapes_the_ampersand(all_methods: Collection) -> None:
    table = built(all_methods, "2")
    text = latex(table)
    heads = [line for line in text.splitlines() if line.startswith("Dataset & Model & n &")]
    assert [head.count("&") - 2 for head in heads] == [7, 7, 6]
    assert "S: S\\&P" in text
    assert "S&P" not in text
    assert text.count("\\textit{paper}") == 1
    assert "S\\&P & " in latex(built(all_methods, "3"))
    assert "S&amp;P" in html_table(built(all_methods, "3"))
    assert "S&P" not in html_table(built(all_methods, "3"))
    assert "| S&P |" in markdown(built(all_methods, "3"))


def test_a_letter_that_two_methods_have_heads_one_column() -> None:
    named = (("bl", "B", "BL"), ("mine", "B", "Mine"), ("own", "X", "Own"), ("too", "X", "Own"))
    rows = [
        fake_run("DIGITS", "scnn", method, 50.0, augmentation="mild", method_letter=letter, method_label=label)
        for method, letter, label in named
    ]
    assert built(collection_of(rows), "2").columns == (*"BRDWFL", "Mine", "X", "Own")


def test_what_is_said_of_the_papers_claims_is_of_its_own_methods() -> None:
    """Another method is better than all; the marks of the paper's methods are corrected over these alone."""

    percents = {"bl": 50.0, "fc": [51.0, 52.0] * 3, "lw": 60.0}
    six = fake_grid(["CIFAR10", "DIGITS"], ["scnn"], percents)
    more = fake_grid(["CIFAR10", "DIGITS"], ["scnn"], {**percents, "cold": 70.0, "sp": 70.0, "swr": 70.0})
    assert paper_claim(more).sentence == paper_claim(six).sentence
    assert paper_claim(more).second == "agrees"
    assert "the paper's claim is about its own methods; for Cold, S&P, SWR see Table 3, gains and ranks" in (
        paper_claim(more).caveats
    )
    said = [[note for note in built(one, "3").notes if "published cells" in note] for one in (six, more)]
    assert said[0] == said[1]
    assert any(note.endswith("pairs alone") for note in built(more, "3").notes)
    assert not any(note.endswith("pairs alone") for note in built(six, "3").notes)


@pytest.mark.parametrize("name", ["gains", "ranks"])
def test_nothing_of_a_figure_of_twenty_methods_lies_outside_it(name: str) -> None:
    percents = {method: [50.0 + len(method) + number for number in range(6)] for method in ORDER}
    grid = fake_grid(["CIFAR10", "CIFAR100", "DOGS"], ["scnn", "vgg16"], percents)
    figure = known_figures([name])[name].draw(grid)
    figure.draw_without_rendering()
    box = figure.get_tightbbox().padded(-0.01)
    assert min(box.x0, box.y0) >= 0
    assert max(box.x1 - figure.get_figwidth(), box.y1 - figure.get_figheight()) <= 0


OWN = [method_style(name) for name in ("mine", "own", "my_method", "next", "a", "b", "c", "d")]


def mark(look: MethodStyle) -> tuple[str, str]:
    return look.marker, look.fill


@pytest.mark.parametrize("name", ORDER)
def test_a_packaged_method_has_a_place_and_a_look(name: str) -> None:
    assert METHOD_FILES[name]["_family_"] in FAMILIES
    assert method_style(name).color == METHOD_FILES[name]["_color_"]
    assert method_style(name).label == METHOD_FILES[name]["_label_"]


def test_two_packaged_methods_look_different_in_each_way() -> None:
    """In colour, and in black and white: by the mark alone and by the line alone."""
    for one, other in combinations(ORDER, 2):
        left, right = method_style(one), method_style(other)
        alike = left.color == right.color, mark(left) == mark(right), left.linestyle == right.linestyle
        assert alike == (False, False, False), (one, other)
        assert left.label != right.label


def test_a_users_own_method_looks_like_no_packaged_one() -> None:
    assert len({mark(look) for look in OWN}) == 4
    for name, look in product(ORDER, OWN):
        assert mark(look) != mark(method_style(name))
        assert look.color != method_style(name).color


def test_the_letters_that_head_columns_are_unique() -> None:
    letters = {name: str(option["_letter_"]) for name, option in METHOD_FILES.items()}
    assert len(set(letters.values())) == len(letters), letters
    assert paper.LETTERS.items() <= letters.items()
