"""Tables as text and as files: exact Markdown, LaTeX, CSV and terminal output; discovery and writing."""

import io
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from reinit_bench.analysis import synthetic, tables
from reinit_bench.analysis.frame.collect import collect
from reinit_bench.analysis.tables import build_tables, known_tables, write_table
from reinit_bench.analysis.tables.render import text
from reinit_bench.analysis.tables.render.html import html_table
from reinit_bench.analysis.tables.render.terminal import show
from reinit_bench.analysis.tables.table import Cell, Row, Table
from reinit_bench.cli.main import main
from reinit_bench.store.files import StoreError


@pytest.fixture
def small() -> Table:
    """Ties, a missing cell, one seed, several seeds, fewer seeds, two settings and a published row."""
    return Table(
        name="table2",
        caption="Table 2: accuracy [%]",
        headings=("Dataset", "Model", "n"),
        columns=("B", "R", "L"),
        rows=(
            Row(("OXFORD-IIIT", "scnn", "3"), (Cell("71.2", "0.4"), Cell(), Cell("81.2", "1.0", 2, True))),
            Row(("OXFORD-IIIT", "scnn [a_b=64]", "1"), (Cell("50.0", best=True), Cell("50.0", best=True), Cell("9.9"))),
            Row(("OXFORD-IIIT", "paper", ""), (Cell("15.1"), Cell(), Cell("")), published=True),
            Row(("A|B & C (200)", "vgg16", "1"), (Cell("100.0"), Cell(), Cell())),
        ),
        best="the best of its row",
        notes=("mean ± std; —: missing", "run a_b*"),
        data=pd.DataFrame(
            [
                ("OXFORD-IIIT", "scnn", "bl", 3, 71.2333, 0.4, 15.1),
                ("OXFORD-IIIT", "scnn", "welsr", 0, None, None, None),
            ],
            columns=["dataset", "model", "method", "n", "mean", "std", "published"],
        ),
    )


def test_markdown(small: Table) -> None:
    assert text.markdown(small) == (
        "**Table 2: accuracy [%]**\n"
        "\n"
        "| Dataset | Model | n | B | R | L |\n"
        "| :-- | :-- | :-- | --: | --: | --: |\n"
        "| OXFORD-IIIT | scnn | 3 | 71.2 ± 0.4 | — | **81.2 ± 1.0 (2)** |\n"
        "|  | scnn [a_b=64] | 1 | **50.0** | **50.0** | 9.9 |\n"
        "|  | *paper* |  | 15.1 | — |  |\n"
        "| A\\|B & C (200) | vgg16 | 1 | 100.0 | — | — |\n"
        "\n"
        "- bold: the best of its row\n"
        "- mean ± std; —: missing\n"
        "- run a_b\\*\n"
    )


def test_latex(small: Table) -> None:
    assert text.latex(small) == (
        "% needs \\usepackage{booktabs}\n"
        "\\begin{table*}\n"
        "\\centering\n"
        "\\caption{Table 2: accuracy {[}\\%{]}}\n"
        "\\label{tab:table2}\n"
        "\\begin{tabular}{lllrrr}\n"
        "\\toprule\n"
        "Dataset & Model & n & B & R & L \\\\\n"
        "\\midrule\n"
        "OXFORD-IIIT & scnn & 3 & 71.2{\\scriptsize$\\,\\pm\\,$0.4} & --- "
        "& \\textbf{81.2}{\\scriptsize$\\,\\pm\\,$1.0} (2) \\\\\n"
        " & scnn {[}a\\_b=64{]} & 1 & \\textbf{50.0} & \\textbf{50.0} & 9.9 \\\\\n"
        " & \\textit{paper} &  & 15.1 & --- &  \\\\\n"
        "\\midrule\n"
        "A|B \\& C (200) & vgg16 & 1 & 100.0 & --- & --- \\\\\n"
        "\\bottomrule\n"
        "\\end{tabular}\n"
        "\n"
        "{\\footnotesize bold: the best of its row\\par}\n"
        "{\\footnotesize mean $\\pm$ std; ---: missing\\par}\n"
        "{\\footnotesize run a\\_b*\\par}\n"
        "\\end{table*}\n"
    )


def test_html(small: Table) -> None:
    rows = str(html_table(replace(small, condition="<mild>"))).splitlines()
    assert rows[:2] == ['<table class="sortable">', '<caption class="unseen">Table 2: accuracy [%]</caption>']
    filters = 'data-dataset="OXFORD-IIIT" data-model="scnn" data-condition="&lt;mild&gt;"'
    assert rows[rows.index("<tbody>") + 2 :][:2] == [
        f"<tr {filters}><td>OXFORD-IIIT</td><td>scnn [a_b=64]</td><td>1</td>"
        '<td class="number best">50.0</td><td class="number best">50.0</td><td class="number">9.9</td></tr>',
        f'<tr class="published" {filters}><td>OXFORD-IIIT</td><td>paper</td><td></td>'
        '<td class="number">15.1</td><td class="number">—</td><td class="number"></td></tr>',
    ]
    assert "<td>A|B &amp; C (200)</td>" in rows[-2]


def on_terminal(tables: list[Table], width: int) -> str:
    stream = io.StringIO()
    show(tables, Console(file=stream, width=width, color_system=None, force_terminal=False))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def test_terminal(small: Table) -> None:
    assert on_terminal([small], 60) == (
        "Table 2: accuracy [%]\n"
        "\n"
        " Dataset\n"
        "  Model          n         B      R              L\n"
        " ─────────────────────────────────────────────────\n"
        " OXFORD-IIIT\n"
        "  scnn           3  71.2±0.4      —  *81.2±1.0 (2)\n"
        "  scnn [a_b=64]  1     *50.0  *50.0            9.9\n"
        "  paper                 15.1      —\n"
        "\n"
        " A|B & C (200)\n"
        "  vgg16          1     100.0      —              —\n"
        "\n"
        "  - *: the best of its row\n"
        "  - mean ± std; —: missing\n"
        "  - run a_b*\n"
        "\n"
    )


def test_notes_that_all_tables_carry_are_printed_once(small: Table) -> None:
    other = Table(name="table6", caption="Table 6", notes=("run a_b*", "only here"), data=small.data)
    shown = on_terminal([small, other], 80)
    assert shown.count("run a_b*") == 1
    assert shown.index("only here") < shown.index("run a_b*")
    assert shown.index("mean ± std") < shown.index("Table 6")


def test_a_table_is_written_in_every_format_over_the_one_before(small: Table, tmp_path: Path) -> None:
    for table in (replace(small, caption="before"), small):
        paths = write_table(table, tmp_path / "out" / "tables")
    assert [path.name for path in paths] == ["table2.md", "table2.tex", "table2.csv"]
    assert len(os.listdir(tmp_path / "out" / "tables")) == 3
    markdown, latex, long = (path.read_text(encoding="utf-8") for path in paths)
    assert (markdown, latex) == (text.markdown(small), text.latex(small))
    assert long == (
        "dataset,model,method,n,mean,std,published\n"
        "OXFORD-IIIT,scnn,bl,3,71.2333,0.4,15.1\nOXFORD-IIIT,scnn,welsr,0,,,\n"
    )


def test_a_folder_that_cannot_be_made_is_named(small: Table, tmp_path: Path) -> None:
    (tmp_path / "tables").write_text("")
    with pytest.raises(StoreError, match=r"cannot create .*tables: .*; change results_dir"):
        write_table(small, tmp_path / "tables")


def test_tables_come_in_the_order_asked_for(fake_store: Any) -> None:
    collection = collect(fake_store.results_dir)
    assert {name: built.name for name, built in build_tables(collection, [7, 2, 7]).items()} == {
        "7": "table7",
        "2": "table2",
    }
    assert list(build_tables(collection)) == [name for name, table in known_tables().items() if table.usual]


def test_numbers_come_before_words_and_before_their_variants() -> None:
    assert list(known_tables()) == [
        *("1", "1-readings", "1-readings-cells", "2", "3", "3-one-sided", "3-one-sided-ties-split", "3-ties-split"),
        *("4", "6", "7", "ablation", "ablation_synthetic", "gains", "ranks", "readings", "rows", "stages", "tree"),
        *("verdict", "verdict-choices", "verdict-rounds", "verdict-sensitivity", "verdict-settings"),
    ]


@pytest.mark.parametrize("package", [tables, synthetic], ids=["tables", "synthetic"])
def test_a_new_file_is_a_new_table(package: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "table_99.py").write_text(
        "TABLES = {99: lambda collection: 'mine'}\n"
        "BY_NAME = {'99-more': lambda collection: 'more'}\n"
        "FROM_PAPER = True\n"
    )
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    (mine,), (more,) = known_tables(["99"]).values(), known_tables(["99-more"]).values()
    sys.modules.pop(f"{package.__name__}.table_99")
    assert (mine.build(None), more.build(None)) == ("mine", "more")  # type: ignore[arg-type, comparison-overlap]
    assert (mine.usual, mine.from_paper, more.usual, more.from_paper) == (True, True, False, False)


STARTS = {
    **dict.fromkeys(("2", "6", "7"), "demo"),
    **dict.fromkeys(("1-readings", "1-readings-cells"), "readings"),
    "1": "table1",
    "4": "table4",
    "readings": "readings_digits",
    "ablation": "ablation_digits",
    "ablation_synthetic": "ablation_synthetic",
    **dict.fromkeys(("gains", "ranks", *(name for name in known_tables() if "3" in name)), "table3, or study=digits"),
    **dict.fromkeys((name for name in known_tables() if name.startswith("verdict")), "verdict_fraction"),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_table_without_its_runs_says_how_to_get_them(fake_store: Any, name: str) -> None:
    said = f"start with: reinit-bench -m study={STARTS[name]}"
    for _ in range(2):  # an empty store, then one with a run that has nothing to show there
        table = build_tables(collect(fake_store.results_dir), [name])[name]
        assert all(row.published for row in table.rows)
        assert any(note.endswith(said) for note in table.notes)
        if STARTS[name] != "demo" and not fake_store.results_dir.exists():
            fake_store.add("digits", "scnn", "lw", 0.5, study="demo")


@pytest.mark.slow
def test_the_command_prints_writes_or_does_both(
    fake_store: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_store.add("cifar10", "scnn", "bl", 0.815)
    written = fake_store.results_dir / "tables"
    tables = ["tables", f"results_dir={fake_store.results_dir}"]
    assert main([*tables, "2", "--print"]) == main([*tables, "2", "--out", str(tmp_path / "mine")]) == 0
    assert capsys.readouterr().out.count("81.5") == 2
    assert not written.exists()
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {"table2.md", "table2.tex", "table2.csv"}
    assert main([*tables, "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")
    assert "| CIFAR10 | scnn | 1 | 81.5 |" in (written / "table2.md").read_text()
    assert {"table7.md", "ranks.tex", "ablation.csv"} <= set(os.listdir(written))
