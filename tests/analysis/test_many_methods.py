"""Twenty methods: their columns' order and headings, tables that are broken into parts, and what stays the paper's."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd
import pytest
from fake_runs import collection_of, fake_grid, fake_run
from rich.console import Console

from reinit_bench.analysis.figures import known_figures
from reinit_bench.analysis.figures.style import method_style
from reinit_bench.analysis.frame.collect import Collection, collect
from reinit_bench.analysis.frame.methods import ordered_methods
from reinit_bench.analysis.report.paper_claim import paper_claim
from reinit_bench.analysis.tables import build_tables
from reinit_bench.analysis.tables.render.html import html_table
from reinit_bench.analysis.tables.render.terminal import show
from reinit_bench.analysis.tables.render.text import latex, markdown
from reinit_bench.analysis.tables.table import Cell, Row, Table, split_columns
from reinit_bench.core.conf_dir import options

ORDER = ordered_methods(options("method"))
LETTERS = list("BRDWFLCPGSTHINKEO2AV")


@pytest.fixture(scope="module")
def all_methods() -> Collection:
    return collection_of(
        [
            fake_run(
                dataset,
                "scnn",
                method,
                60.0 + place + seed,
                seed=seed,
                augmentation="mild",
                method_label=method_style(method).label,
                method_letter=letter,
            )
            for dataset in ("CIFAR10", "DIGITS")
            for place, (method, letter) in enumerate(zip(ORDER, LETTERS, strict=True))
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
    third = latex(built(all_methods, "3"))
    assert "S\\&P & " in third
    assert "S&amp;P" in html_table(built(all_methods, "3"))
    assert "S&P" not in html_table(built(all_methods, "3"))
    assert "| S&P |" in markdown(built(all_methods, "3"))


def test_a_letter_that_two_methods_have_heads_one_column() -> None:
    rows = [
        fake_run("DIGITS", "scnn", method, 50.0, augmentation="mild", method_letter=letter, method_label=label)
        for method, letter, label in (
            ("bl", "B", "BL"),
            ("mine", "B", "Mine"),
            ("own", "X", "Own"),
            ("too", "X", "Own"),
        )
    ]
    assert built(collection_of(rows), "2").columns == (*"BRDWFL", "Mine", "X", "Own")


def test_parts_are_even_where_they_can_be_and_never_empty() -> None:
    cells = tuple(map(Cell, "abcdefg"))
    table = Table(
        name="t",
        caption="",
        data=pd.DataFrame(),
        headings=("h",),
        columns=tuple("ABCDEFG"),
        rows=(Row(("ours",), cells), Row(("paper",), (*cells[:2], *[Cell("")] * 5), published=True)),
    )
    assert split_columns(table, [5] * 7, 35) == [table]
    assert [part.columns for part in split_columns(table, [5] * 7, 34)] == [tuple("ABCD"), tuple("EFG")]
    assert [len(part.rows) for part in split_columns(table, [5] * 7, 34)] == [2, 1]
    assert [part.columns for part in split_columns(table, [5] * 7, 3)] == [(letter,) for letter in "ABCDEFG"]
    wide_last = [part.columns for part in split_columns(table, [1, 1, 1, 1, 1, 1, 9], 10)]
    assert wide_last == [tuple("ABCDEF"), ("G",)]


def test_what_is_said_of_the_papers_claims_is_of_its_own_methods() -> None:
    """Another method is better than all; the marks of the paper's methods are corrected over these alone."""

    def percent(dataset: str, model: str, method: str, number: int) -> float:
        return {"bl": 50.0, "fc": 51.0 + number % 2, "lw": 60.0}.get(method, 70.0)

    six = fake_grid(["CIFAR10", "DIGITS"], ["scnn"], ["bl", "fc", "lw"], percent)
    more = fake_grid(["CIFAR10", "DIGITS"], ["scnn"], ["bl", "fc", "lw", "cold", "sp", "swr"], percent)
    assert paper_claim(more).sentence == paper_claim(six).sentence
    assert paper_claim(more).second == "agrees"
    assert "the paper's claim is about its own methods; for COLD, SP, SWR see Table 3, gains and ranks" in (
        paper_claim(more).caveats
    )
    said = [[note for note in built(one, "3").notes if "published cells" in note] for one in (six, more)]
    assert said[0] == said[1]
    assert any(note.endswith("pairs alone") for note in built(more, "3").notes)
    assert not any(note.endswith("pairs alone") for note in built(six, "3").notes)


def test_a_variant_is_never_taken_for_the_method(fake_store: Any) -> None:
    """Null where the default is a number, a switch, a list; and of a user's own method the rarer value."""
    fake_store.add("digits", "scnn", "bl", 0.1)
    fake_store.add("digits", "scnn", "dsd", 0.2)
    fake_store.add("digits", "scnn", "dsd", 0.9, method__fraction=None)
    fake_store.add("digits", "scnn", "fc", 0.9, method__layerwise=True)
    fake_store.add("digits", "scnn", "lw", 0.9, method__schedule=[1, 2])
    for seed in (0, 1):
        fake_store.add("digits", "scnn", "mine", 0.3, seed=seed, method__share=0.5)
    fake_store.add("digits", "scnn", "mine", 0.9, method__share=0.6)
    kept = collect(fake_store.results_dir).default_images
    assert sorted(kept["test_accuracy"]) == [0.1, 0.2, 0.3, 0.3]


@pytest.mark.parametrize("name", ["gains", "ranks"])
def test_nothing_of_a_figure_of_twenty_methods_lies_outside_it(name: str) -> None:
    grid = fake_grid(
        ["CIFAR10", "CIFAR100", "DOGS"], ["scnn", "vgg16"], ORDER, lambda d, m, method, n: 50.0 + len(method) + n
    )
    figure = known_figures([name])[name].draw(grid)
    figure.draw_without_rendering()
    box = figure.get_tightbbox().padded(-0.01)
    assert box.x0 >= 0
    assert box.x1 <= figure.get_figwidth()
    assert box.y0 >= 0
    assert box.y1 <= figure.get_figheight()
