"""Tables as text and as files: exact Markdown, LaTeX, CSV and terminal output; discovery and writing."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from rich.console import Console

from reinit_bench import analysis
from reinit_bench.analysis import render
from reinit_bench.analysis.collect import collect
from reinit_bench.analysis.layout import Cell, Row, Table
from reinit_bench.analysis.tables import build_tables, builders, write
from reinit_bench.analysis.terminal import show
from reinit_bench.core.settings import ConfigError
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
    assert render.markdown(small) == (
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
    assert render.latex(small) == (
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


def test_csv(small: Table) -> None:
    assert render.csv(small) == (
        "dataset,model,method,n,mean,std,published\n"
        "OXFORD-IIIT,scnn,bl,3,71.2333,0.4,15.1\n"
        "OXFORD-IIIT,scnn,welsr,0,,,\n"
    )


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


def test_a_narrow_terminal_cuts_no_number(small: Table) -> None:
    text = on_terminal([small], 20)
    assert "…" not in text
    for number in ("71.2±0.4", "*81.2±1.0 (2)", "100.0"):
        assert number in text


def test_notes_that_all_tables_carry_are_printed_once(small: Table) -> None:
    other = Table("table6", "Table 6", ("Dataset",), ("B",), (), "", ("run a_b*", "only here"), small.data)
    text = on_terminal([small, other], 80)
    assert text.count("run a_b*") == 1
    assert text.index("only here") < text.index("run a_b*")
    assert text.index("mean ± std") < text.index("Table 6")


def test_tables_from_the_store_in_every_format(shelf: Any, tmp_path: Path) -> None:
    for method, accuracies in {"bl": (0.80, 0.82), "welsr": (0.875,), "lw": (0.87, 0.88)}.items():
        for seed, accuracy in enumerate(accuracies):
            shelf.add("cifar10", "scnn", method, accuracy, seed=seed)
    (built,) = build_tables(collect(shelf.results_dir), [2])
    paths = write(built, tmp_path / "out" / "tables")
    assert [path.name for path in paths] == ["table2.md", "table2.tex", "table2.csv"]
    markdown, latex, long = (path.read_text(encoding="utf-8") for path in paths)
    assert markdown == (
        "**Table 2: test accuracy [%] with augmentation, without dropout (He normal initializer)**\n"
        "\n"
        "| Dataset | Model | n | B | R | D | W | F | L |\n"
        "| :-- | :-- | :-- | --: | --: | --: | --: | --: | --: |\n"
        "| CIFAR10 | scnn | 2 | 81.0 ± 1.4 | **87.5 (1)** | — | — | — | **87.5 ± 0.7** |\n"
        "|  | *paper* |  | 82.7 | 84.2 | 82.5 | 83.7 | **84.9** | 84.3 |\n"
        "\n"
        "- bold: the best of its row as printed, where there are two or more\n"
        "- B: BL (the baseline), R: WELSR, D: DSD, W: WELS, F: FC, L: LW; test accuracy [%], "
        "mean ± standard deviation over n seeds, or (fewer); —: missing\n"
        "- rows named paper: its published values, — where our copy of the paper is damaged\n"
        "- 285 of 288 published cells have no run yet\n"
    )
    assert (
        "CIFAR10 & scnn & 2 & 81.0{\\scriptsize$\\,\\pm\\,$1.4} & \\textbf{87.5} (1) & --- & --- & --- "
        "& \\textbf{87.5}{\\scriptsize$\\,\\pm\\,$0.7} \\\\\n"
        " & \\textit{paper} &  & 82.7 & 84.2 & 82.5 & 83.7 & \\textbf{84.9} & 84.3 \\\\\n"
    ) in latex
    assert [line for line in long.splitlines() if line.startswith("CIFAR10,scnn,")] == [
        "CIFAR10,scnn,bl,2,81.0,1.4142,82.7",
        "CIFAR10,scnn,welsr,1,87.5,,84.2",
        "CIFAR10,scnn,dsd,0,,,82.5",
        "CIFAR10,scnn,wels,0,,,83.7",
        "CIFAR10,scnn,fc,0,,,84.9",
        "CIFAR10,scnn,lw,2,87.5,0.7071,84.3",
    ]
    assert len(long.splitlines()) == 1 + 288


def test_writing_again_replaces_the_files_and_leaves_nothing_else(small: Table, tmp_path: Path) -> None:
    (tmp_path / "table2.md").write_text("old")
    write(small, tmp_path)
    write(small, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table2.csv", "table2.md", "table2.tex"]
    assert (tmp_path / "table2.md").read_text(encoding="utf-8") == render.markdown(small)


def test_a_folder_that_cannot_be_made_is_named(small: Table, tmp_path: Path) -> None:
    (tmp_path / "tables").write_text("")
    with pytest.raises(StoreError, match=r"cannot make .*tables: .*; give the tables another folder"):
        write(small, tmp_path / "tables")


def test_tables_come_in_the_order_asked_for_and_unknown_ones_are_named(shelf: Any) -> None:
    collection = collect(shelf.results_dir)
    assert [built.name for built in build_tables(collection, [7, 2, 7])] == ["table7", "table2"]
    assert [built.name for built in build_tables(collection)][:3] == [
        f"table{number}" for number in list(builders().usual)[:3]
    ]
    with pytest.raises(ConfigError, match=r"there is no table 5; the tables are .*2.*6.*7"):
        build_tables(collection, [2, 5])


def test_a_new_file_is_a_new_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "table_of_mine.py").write_text("TABLES = {99: lambda collection: 'mine'}\n")
    monkeypatch.setattr(analysis, "__path__", [*analysis.__path__, str(tmp_path)])
    found = builders().usual
    sys.modules.pop("reinit_bench.analysis.table_of_mine")
    assert {"2", "6", "7", "99"} <= set(found)
    assert found["99"](None) == "mine"  # type: ignore[arg-type]


def test_the_command_writes_and_prints_all_tables_or_only_writes_them(shelf: Any) -> None:
    shelf.add("cifar10", "scnn", "bl", 0.815)
    words = [sys.executable, "-m", "reinit_bench", "tables", f"results_dir={shelf.results_dir}"]
    # In a process of its own, where runs are read beside the imports.
    loud, quiet = (subprocess.run([*words, *more], capture_output=True, text=True) for more in ([], ["--quiet"]))
    assert (loud.returncode, quiet.returncode, quiet.stdout, loud.stderr, quiet.stderr) == (0, 0, "", "", "")
    assert "81.5" in loud.stdout
    assert "| CIFAR10 | scnn | 1 | 81.5 |" in (shelf.results_dir / "tables" / "table2.md").read_text()
    (shelf.results_dir / "runs" / "torn").mkdir()
    (shelf.results_dir / "runs" / "torn" / "result.json").write_text("{")
    torn = subprocess.run([*words, "--quiet"], capture_output=True, text=True)
    assert torn.returncode == 1
    assert torn.stderr.startswith("error: ")
    assert "torn/result.json is corrupt" in torn.stderr
    assert torn.stderr.count("\n") == 1
