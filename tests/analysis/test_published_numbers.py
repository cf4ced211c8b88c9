"""The published tables as transcribed: complete, in range, empty only where results/paper/README.md says so."""

import runpy
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from reinit_bench.analysis.frame import paper
from reinit_bench.analysis.frame.collect import published_runs
from reinit_bench.analysis.tables import build_tables
from reinit_bench.analysis.tables.render.text import FORMATS
from reinit_bench.cli.compose import Composer
from reinit_bench.core.conf_dir import option_section, options

SCRIPT = Path(__file__).parents[2] / "results" / "paper_conclusions" / "core_study.py"


@pytest.mark.parametrize(("number", "empty"), [(2, 12), (6, 0), (7, 24)])
def test_accuracy_tables_hold_the_whole_grid_in_the_papers_order(number: int, empty: int) -> None:
    table = paper.published(number)
    cells = list(zip(table["dataset"], table["model"], table["method"], strict=True))
    assert cells == list(product(paper.DATASETS, paper.MODELS, paper.LETTERS))
    assert table["accuracy"].isna().sum() == empty
    legible = table["accuracy"].dropna()
    assert legible.between(2.0, 99.5).all()
    assert (legible * 10).round(6).mod(1).eq(0).all(), "the paper prints one decimal"


@pytest.mark.parametrize(("number", "count"), [(2, 8), (6, 0), (7, 20)])
def test_only_empty_cells_are_reconstructed_and_only_on_request(number: int, count: int) -> None:
    table = paper.published(number)
    found = table[table["reconstructed"].notna()]
    assert (len(found), found["accuracy"].notna().sum()) == (count, 0)
    plain, more = paper.published_accuracy(number), paper.published_accuracy(number, reconstructed=True)
    keys = found[["dataset", "model", "method"]].itertuples(index=False, name=None)
    assert {key for key in plain if plain[key] != more[key]} == set(keys)


@pytest.mark.parametrize(
    ("number", "dataset", "model", "printed", "reconstructed"),
    [
        (2, "OXFORD-IIIT", "resnet50", [29.7, 33.3, None, 31.0, 36.6, None], {"dsd": 30.1}),
        (6, "CARS196", "vgg16", [6.5, 5.5, 7.7, 7.0, 20.9, 9.9], {}),
        (7, "OXFORD-IIIT", "resnet50", [33.1, None, 41.2, None, None, None], {}),
        (7, "DOGS", "resnet50", None, {"lw": 40.1}),
        (7, "CASSAVA", "mobilenet", [68.5, 70.0, 78.6, 74.3, 73.7, 80.5], {}),
    ],
)
def test_rows_of_the_accuracy_tables(
    number: int, dataset: str, model: str, printed: list[float | None] | None, reconstructed: dict[str, float]
) -> None:
    found = [
        {method: cells[dataset, model, method] for method in paper.LETTERS}
        for cells in (paper.published_accuracy(number), paper.published_accuracy(number, reconstructed=True))
    ]
    if printed is not None:
        assert list(found[0].values()) == printed
    assert reconstructed.items() <= found[1].items()
    assert not any(found[0][method] for method in reconstructed)


@pytest.mark.parametrize("name", ["3", "gains", "ranks", "tree"])
def test_the_committed_conclusions_are_what_the_published_numbers_give(name: str) -> None:
    """`reinit-bench tables NAME --from paper`, to the byte; what they are is found in results/paper_conclusions."""
    table = build_tables(published_runs(), [name])[name]
    for ending, text in FORMATS.items():
        assert text(table) == SCRIPT.with_name(f"{table.name}.{ending}").read_text(encoding="utf-8")


def test_table_1_lacks_one_cell() -> None:
    table = paper.published(1).set_index(["alpha", "method"])
    assert len(table) == 18
    assert list(table.index[table["mean"].isna() | table["std"].isna()]) == [(0.5, "bl")]
    assert tuple(table.loc[(1.0, "lw")]) == (72.3, 3.6)


def test_table_3_has_35_marks_and_none_in_both_directions() -> None:
    table = paper.published(3)
    assert len(table) == 100
    marks = table.set_index(["model", "row", "column"])["mark"].to_dict()
    assert table["mark"].value_counts().to_dict() == {"": 65, "circle": 30, "star": 5}
    assert not any(mark and marks.get((model, column, row)) for (model, row, column), mark in marks.items())
    assert all(row not in ("lw", column) for _, row, column in marks)
    some = [("scnn", "dsd", "welsr"), ("resnet50", "fc", "wels"), ("resnet50", "wels", "lw")]
    assert [marks[one] for one in some] == ["star", "circle", ""]
    marked = table[table["mark"] != ""].groupby("model").size()
    assert marked.to_dict() == {"scnn": 9, "vgg16": 11, "mobilenet": 7, "resnet50": 8}


def test_table_4_is_complete_and_in_fractions() -> None:
    table = paper.published(4).set_index(["l2", "method"])["accuracy"]
    assert len(table) == 18
    assert table.between(0.19, 0.89).all()
    assert (table[0.01, "rescaling"], table[0.1, "baseline"]) == (0.89, 0.59)


def test_table_5_agrees_with_the_datasets_as_they_are_prepared() -> None:
    table = paper.published(5)
    assert tuple(table["dataset"]) == paper.DATASETS
    by_label = table.set_index("dataset")
    sections = [option_section("dataset", name) or {} for name in options("dataset")]
    known = {one["_label_"]: one for one in sections if "train_count" in one and one["_label_"] in paper.DATASETS}
    assert set(known) == set(paper.DATASETS)
    for label, option in known.items():
        assert (option["train_count"], option["test_count"]) == tuple(by_label.loc[label, ["train", "test"]])
    # What README.md says of Table 5: two class counts are not the data's.
    unlike = {label for label, option in known.items() if option["num_classes"] != by_label.loc[label, "classes"]}
    assert unlike == {"CASSAVA", "CALTECH101"}


@pytest.mark.slow
def test_the_core_study_is_what_its_rule_chooses(hydra_composer: Composer) -> None:
    script = runpy.run_path(str(SCRIPT))
    grid, total = script["published_grid"]()
    study = script["choose"](grid, 0.05 * total)
    chosen = {
        (model, grid.datasets[dataset], *paper.CONDITIONS[script["CONDITIONS"][condition]].settings.values(), method)
        for model in grid.ranks
        for dataset, condition in np.argwhere(grid.blocks[-1 if model in study.whole else study.block])
        for method in paper.LETTERS
    }
    planned = [one.experiment for one in hydra_composer.planned(hydra_composer.jobs(["study=core"]))]
    runs = {
        (
            *(run.model["name"], run.dataset["_label_"], run.augmentation["name"], run.dropout["rate"]),
            *(run.initializer["name"], run.method["name"]),
        )
        for run in planned
    }
    assert (runs, len(planned)) == (chosen, len(chosen))
