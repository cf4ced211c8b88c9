"""Whatever a store has or lacks: every table, every figure and the report come out, or say in words what is missing."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pytest
from fake_measurements import curve, measure
from fake_store import FakeStore
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib import pyplot

from reinit_bench.analysis.figures import KnownFigure, NothingToDraw, known_figures
from reinit_bench.analysis.frame.collect import Collection, collect
from reinit_bench.analysis.report.page import build_page
from reinit_bench.analysis.report.page_html import html
from reinit_bench.analysis.tables import build_tables, known_tables
from reinit_bench.analysis.tables.render.text import FORMATS
from reinit_bench.cli.main import main

ACCURACIES = st.sampled_from([0.0, 0.5, 0.5, 0.9, 1.0]) | st.floats(0, 1)
CONDITIONS: list[dict[str, Any]] = [
    {"augmentation__name": "none"},
    {"augmentation__name": "mild"},
    {"augmentation__name": "mild", "dropout__name": "p25", "dropout__rate": 0.25},
    {"augmentation__name": "mild", "initializer__name": "xavier_uniform"},
    {"augmentation__name": "none", "method__repeats": 3},
    {"augmentation__name": "mild", "dataset__train_examples": 50, "model__width": 0.25, "image_size": 8},
]
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
            "harm": st.sampled_from(
                ["", "", "", "", "unfinished", "corrupt", "emptied history", "foreign history", "torn diagnostics"]
            ),
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
        harm(result, run["harm"])
    return collect(folder)


def harm(result: Path, kind: str) -> None:
    if kind == "unfinished":
        result.unlink()
    elif kind == "corrupt":
        result.write_text(result.read_text()[:-20])
    elif kind == "emptied history":
        result.with_name("history.jsonl").write_text("")
    elif kind == "foreign history":
        result.with_name("history.jsonl").write_text('{"total_step": 1, "train_accuracy": 0.5}\n')
    elif kind == "torn diagnostics":
        result.with_name("diagnostics.npz").write_bytes(b"PK torn")


@pytest.mark.slow
@given(runs=RUNS)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_table_of_any_store(runs: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        collection = fill(Path(folder), runs)
        assert len(collection.frame) == sum(run["harm"] not in ("unfinished", "corrupt") for run in runs)
        assert len(collection.corrupt) == sum(run["harm"] == "corrupt" for run in runs)
        for table in build_tables(collection, list(known_tables())).values():
            assert all(FORMATS[ending](table).strip() for ending in ("md", "tex"))
            FORMATS["csv"](table)


@pytest.mark.slow
@given(runs=RUNS)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_figure_and_the_report_of_any_store(runs: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a torn file is warned of, and left out
        collection = fill(Path(folder), runs)
        for known in known_figures().values():
            with contextlib.suppress(NothingToDraw):
                known.draw(collection)
            pyplot.close("all")
        assert "</html>" in html(build_page(collection))


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize(
    "name",
    [
        *("<script>alert(1)</script>", "a&b", "_x^2%$#{}~\\", "ünï 🦔", "a|b", "x[/y]", "=cmd()", "a](b)`c`"),
        *("../" * 100 + "etc", "y" * 5000),
    ],
    ids=lambda name: repr(name[:8]),
)
def test_odd_names_are_written_as_text(name: str, tmp_path: Path) -> None:
    """Also as a study's name, which is no path of a file."""
    store = FakeStore(tmp_path)
    for method in ("bl", "lw"):
        shown = name[:80]
        store.add("digits", "scnn", method, 0.9, study=name, dataset___label_=shown, model__name=shown)
    collection = collect(tmp_path)
    for table in build_tables(collection).values():
        texts = {ending: text(table) for ending, text in FORMATS.items()}
        assert "<script" not in texts["md"].replace("\\<", "")
        assert "\n=" not in texts["csv"]
    page = html(build_page(collection))
    assert "<script>alert" not in page


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


@pytest.mark.parametrize("study", ["x" * 400, "../study/demo", "\x1b[2J<b>", "\ud800"])
def test_a_stored_study_is_neither_path_nor_markup(study: str, tmp_path: Path) -> None:
    store = FakeStore(tmp_path)
    for method in ("bl", "lw"):
        store.add("digits", "scnn", method, 0.5, study=study)
    collection = collect(tmp_path)
    assert len(collection.frame) == 2
    page = html(build_page(collection, draw=lambda found: []))
    assert "\x1b" not in page
    page.encode()


def test_a_figure_that_fails_is_named_and_the_page_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(found: Collection) -> Any:
        raise ZeroDivisionError("by nothing")

    known = {"figure2": KnownFigure(fails, caption="A figure.", from_paper=False)}
    monkeypatch.setattr("reinit_bench.analysis.report.page.known_figures", lambda: known)
    assert "Not drawn: figure2: ZeroDivisionError: by nothing" in html(build_page(collect(tmp_path)))


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
