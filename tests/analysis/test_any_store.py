"""What is read of a store: each finished run once; and whatever it has or lacks, every table, figure and the report."""

from __future__ import annotations

import json
import re
import tempfile
import warnings
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pytest
from fake_store import FakeStore, curve, measure
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reinit_bench.analysis.figures import known_figures
from reinit_bench.analysis.frame.collect import Collection, collect
from reinit_bench.analysis.report.page import build_page, html
from reinit_bench.analysis.stats import tree
from reinit_bench.analysis.tables import build_tables, known_tables
from reinit_bench.analysis.tables.render.text import FORMATS
from reinit_bench.cli.main import main
from reinit_bench.core.errors import plain
from reinit_bench.core.settings import ConfigError


def test_a_finished_run_is_one_row_with_every_setting(fake_store: Any) -> None:
    path = fake_store.add("digits", "scnn", "welsr", 0.75, dataset__train_examples=200, trainer__max_steps=60, seed=3)
    collection = collect(fake_store.results_dir)
    assert (collection.unfinished, collection.corrupt) == (0, ())
    (run,) = collection.frame.to_dict("records")
    assert run["run_id"] == path.parent.name
    columns = ["dataset", "dataset_label", "train_examples", "model", "width", "seed", "image_size", "precision"]
    assert [run[name] for name in columns] == ["digits", "DIGITS", 200, "scnn", 1.0, 3, 224, "fp32"]
    columns = ["method", "method_label", "method_letter", "method.fraction", "trainer.max_steps", "trainer.lr"]
    assert [run[name] for name in columns] == ["welsr", "WELSR", "R", 0.2, 60, 0.003]
    columns = ["augmentation", "dropout", "dropout_rate", "initializer", "version", "git_commit", "device"]
    assert [run[name] for name in columns] == ["mild", "none", 0.0, "he_normal", "0.1.0", "a" * 40, "cpu"]
    columns = ["test_accuracy", "train_accuracy", "rounds", "steps", "wall_seconds"]
    assert [run[name] for name in columns] == [0.75, 1.0, 4, 400, 1.5]
    assert pd.isna([run["validation_accuracy"], run["study"]]).all()
    assert not [name for name in run if "_target_" in name or name.startswith("dataset._")]


@pytest.mark.parametrize(
    ("good", "damaged", "why"),
    [
        ("}", "", "is corrupt: not JSON"),
        ('"test_accuracy": 0.6', '"test_accuracy": 75.0', "is corrupt: test_accuracy is 75.0, not a fraction"),
        ('"seed": 1', '"seed": 99', r"cannot be used: its configuration has the run id \w+ \(edited, or an older pro"),
        ('"lr": 0.003', '"lr": -1', r"cannot be used: .*trainer\.lr must be a number above 0; got -1"),
    ],
)
def test_a_damaged_result_among_good_ones_is_named_with_what_to_do(
    fake_store: Any, good: str, damaged: str, why: str
) -> None:
    fake_store.add("digits", "scnn", "bl", 0.5)
    path = fake_store.add("digits", "scnn", "bl", 0.6, seed=1)
    assert good in path.read_text()
    path.write_text(path.read_text().replace(good, damaged))
    collection = collect(fake_store.results_dir)
    assert (list(collection.frame["test_accuracy"]), collection.unfinished) == ([0.5], 0)
    (line,) = collection.corrupt
    assert re.fullmatch(rf"{re.escape(str(path))} {why}.*delete it and run the experiment again", line), line


def test_a_result_that_cannot_be_read_is_named(fake_store: Any) -> None:
    path = fake_store.results_dir / "runs" / "odd" / "result.json"
    path.mkdir(parents=True)
    assert collect(fake_store.results_dir).corrupt == (f"{path} cannot be read: Is a directory; make it readable",)


def test_a_store_that_does_not_exist_is_empty_and_a_file_is_an_error(tmp_path: Path) -> None:
    collection = collect(tmp_path / "nowhere")
    assert collection.frame.empty
    assert {"dataset", "method", "test_accuracy", "dropout_rate"} < set(collection.frame.columns)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "runs").write_text("")
    with pytest.raises(ConfigError, match="is not a folder"):
        collect(tmp_path / "results")


ACCURACIES = st.sampled_from([0.0, 0.5, 0.5, 0.9, 1.0]) | st.floats(0, 1)
CONDITIONS: list[dict[str, Any]] = [
    {"augmentation__name": "none"},
    {"augmentation__name": "mild"},
    {"augmentation__name": "mild", "dropout__name": "p25", "dropout__rate": 0.25},
    {"augmentation__name": "mild", "initializer__name": "xavier_uniform"},
    {"augmentation__name": "none", "method__repeats": 3},
    {"augmentation__name": "mild", "dataset__train_examples": 50, "model__width": 0.25, "image_size": 8},
]
HARMS = {
    "corrupt": ("result.json", b"{"),
    "emptied history": ("history.jsonl", b""),
    "foreign history": ("history.jsonl", b'{"total_step": 1, "train_accuracy": 0.5}\n'),
    "torn diagnostics": ("diagnostics.npz", b"PK torn"),
}
RUNS = st.lists(
    st.fixed_dictionaries(
        {
            "dataset": st.sampled_from(["oxford_iiit", "cifar10", "digits"]),
            "model": st.sampled_from(["scnn", "vgg16", "own_net"]),
            "method": st.sampled_from(["bl", "welsr", "lw", "fc", "own_method"]),
            "condition": st.sampled_from(CONDITIONS),
            "seed": st.integers(0, 2),
            "accuracy": ACCURACIES,
            "measured": st.booleans(),
            "harm": st.sampled_from(["", "", "", "", "unfinished", *HARMS]),
        }
    ),
    max_size=14,
    unique_by=lambda run: json.dumps([run[key] for key in ("dataset", "model", "method", "condition", "seed")]),
)


def fill(folder: Path, runs: list[dict[str, Any]]) -> Collection:
    store = FakeStore(folder)
    (folder / "runs").mkdir()
    for run in runs:
        changes = {**run["condition"], "seed": run["seed"]}
        result = store.add(run["dataset"], run["model"], run["method"], run["accuracy"], **changes)
        if run["measured"]:
            measure(result)
            curve(result, [[0.5, 0.9], [0.7, 1.0]])
        if run["harm"] == "unfinished":
            result.unlink()
        elif run["harm"]:
            name, content = HARMS[run["harm"]]
            result.with_name(name).write_bytes(content)
    return collect(folder)


def write_all(collection: Collection) -> None:
    for table in build_tables(collection, list(known_tables())).values():
        assert all(FORMATS[ending](table).strip() for ending in ("md", "tex"))
        FORMATS["csv"](table)


@pytest.mark.slow
@given(runs=RUNS)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_table_figure_and_the_report_of_any_store(runs: list[dict[str, Any]]) -> None:
    """The report draws every figure."""
    one_draw = patch.object(tree, "REPEATS", 1)  # of Figure 3's folds: ten take their time
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), one_draw:
        warnings.simplefilter("ignore", UserWarning)  # a torn file is warned of, and left out
        collection = fill(Path(folder), runs)
        assert len(collection.frame) == sum(run["harm"] not in ("unfinished", "corrupt") for run in runs)
        assert len(collection.corrupt) == sum(run["harm"] == "corrupt" for run in runs)
        write_all(collection)
        page = build_page(collection)
        assert {picture.name for picture in page.pictures} == set(known_figures())
        assert "</html>" in html(page)


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize(
    "name",
    [
        *("<script>alert(1)</script>&|[/y]", "_x^2%$#{}~\\](b)`c`", "ünï 🦔", "=cmd()", "\x1b[2J<b>", "\ud800"),
        *("../" * 100 + "etc", "y" * 5000),
    ],
    ids=lambda name: ascii(name[:8]),
)
def test_odd_names_are_written_as_text(name: str, tmp_path: Path) -> None:
    """Also as a study's name, which is no path of a file."""
    store = FakeStore(tmp_path)
    for method in ("bl", "lw"):
        shown = plain(name)[:80]  # what cannot be printed is refused there
        store.add("digits", "scnn", method, 0.9, study=name, dataset___label_=shown, model__name=shown)
    collection = collect(tmp_path)
    for table in build_tables(collection).values():
        texts = {ending: text(table) for ending, text in FORMATS.items()}
        assert "<script" not in texts["md"].replace("\\<", "")
        assert "\n=" not in texts["csv"]
    page = html(build_page(collection))
    assert "<script>alert" not in page
    assert "\x1b" not in page
    page.encode()


def test_a_setting_of_another_kind_is_named_and_stops_nothing(tmp_path: Path) -> None:
    store = FakeStore(tmp_path)
    store.add("digits", "scnn", "bl", 0.9)
    store.add("digits", "scnn", "bl", 0.9, dataset__train_examples="many")
    store.add("digits", "scnn", "bl", 0.9, dataset__num_classes=[1])
    collection = collect(tmp_path)
    assert len(collection.frame) == 1
    assert sorted(line.split("used: ", 1)[1] for line in collection.corrupt) == [
        "its dataset.num_classes is '[1]', not a number; delete it and run the experiment again",
        "its dataset.train_examples is 'many', not a number; delete it and run the experiment again",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("report --out there/x.html", r"--out names a folder, into which files of fixed names go; there/x\.html is"),
        ("figures ranks --from paper --out there/x.png", r"--out names a folder"),
        ("export x.zip", r"export writes a gzipped tar archive: end the name of x\.zip in \.tar\.gz"),
    ],
)
def test_a_name_that_would_mislead_is_refused(
    words: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    FakeStore(tmp_path).add("digits", "scnn", "bl", 0.5)
    assert main([*words.split(), f"results_dir={tmp_path}"]) == 1
    assert re.search(message, capsys.readouterr().err)
