"""`export`, `import`, and the commands that read a bundle: what one machine sends is what another sees."""

from __future__ import annotations

import filecmp
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from factories import METHODS, TINY, tiny_experiment, write_result

from reinit_bench.cli.main import main

Say = Callable[..., str]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """Runs a command in a folder and returns what it printed; temporary folders must be gone afterwards."""
    monkeypatch.delenv("REINIT_BENCH_RESULTS", raising=False)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))

    def run(*words: str, cwd: Path, code: int = 0) -> str:
        cwd.mkdir(exist_ok=True)
        monkeypatch.chdir(cwd)
        assert main(list(words)) == code
        assert os.listdir(temporary) == []
        said = capsys.readouterr()
        assert code or not said.err
        return said.err if code else said.out

    return run


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with a store of finished runs."""
    for method in METHODS:
        for seed in range(2):
            accuracy = 0.8 + 0.01 * METHODS.index(method) + 0.001 * seed
            write_result(
                tmp_path / "a" / "results", tiny_experiment(f"method={method}", f"seed={seed}"), test_accuracy=accuracy
            )
    return tmp_path / "a"


def same_files(first: Path, second: Path) -> bool:
    names = sorted(path.name for path in first.iterdir())
    assert names
    assert names == sorted(path.name for path in second.iterdir())
    return filecmp.cmpfiles(first, second, names, shallow=False) == (names, [], [])


@pytest.mark.slow
def test_a_kill_leaves_no_unpacked_bundle(say: Say, here: Path, tmp_path: Path) -> None:
    file, temporary = tmp_path / "runs.tar.gz", tmp_path / "unpacked"
    say("export", str(file), cwd=here)
    temporary.mkdir()
    words = [sys.executable, "-m", "reinit_bench", "report", "--from", str(file)]
    process = subprocess.Popen(
        words, cwd=tmp_path, env={**os.environ, "TMPDIR": str(temporary)}, stderr=subprocess.PIPE
    )
    while not list(temporary.glob("*/runs")):
        assert process.poll() is None
        time.sleep(0.01)
    process.terminate()
    assert process.communicate()[1] == b"terminated\n"
    assert process.returncode == 143
    assert os.listdir(temporary) == []


@pytest.mark.slow
def test_tables_are_the_same_on_another_machine(say: Say, here: Path, tmp_path: Path) -> None:
    file, there = tmp_path / "runs.tar.gz", tmp_path / "b"
    first, second = say("export", str(file), cwd=here).splitlines()
    assert first == f"12 runs of results in {file} (0.0 MB)"
    assert second.startswith("SHA-256 ")
    say("tables", "--quiet", cwd=here)
    say("tables", "--quiet", "--from", str(file), cwd=there)
    assert sorted(path.name for path in (there / "results").iterdir()) == ["bundles"]
    assert same_files(here / "results" / "tables", there / "results" / "bundles" / "runs" / "tables")
    assert say("import", str(file), cwd=there) == f"runs of {file} in results: 12 imported\n"
    assert say("import", str(file), cwd=there) == f"runs of {file} in results: 12 there already\n"
    say("tables", "--quiet", cwd=there)
    assert same_files(here / "results" / "tables", there / "results" / "tables")
    again = tmp_path / "again.tar.gz"
    say("export", str(again), cwd=there)
    assert again.read_bytes() == file.read_bytes()


def test_a_part_of_the_store(say: Say, here: Path) -> None:
    words = ["method=lw,fc", "seed=0,1,2", *TINY]
    assert say("export", *words, "two.tar.gz", cwd=here).startswith("4 of 6 runs of results in two.tar.gz (0.0 MB)\n")
    said = say("export", "method=lw", "seed=9", *TINY, "none.tar.gz", cwd=here, code=1)
    assert said == "error: there is nothing to export: none of 1 of the runs in results is finished\n"
    assert sorted(path.name for path in here.iterdir()) == ["results", "two.tar.gz"]


def test_export_overwrites_nothing_but_the_same(say: Say, here: Path) -> None:
    say("export", "runs.tar.gz", cwd=here)
    assert say("export", "runs.tar.gz", cwd=here).startswith("12 runs")
    write_result(here / "results", tiny_experiment("seed=7"))
    refused = "error: runs.tar.gz exists and holds something else; give another name, or --force to overwrite it\n"
    assert say("export", "runs.tar.gz", cwd=here, code=1) == refused
    assert say("export", "runs.tar.gz", "--force", cwd=here).startswith("13 runs")
    assert sorted(path.name for path in here.iterdir()) == ["results", "runs.tar.gz"]


def test_a_bad_bundle_is_one_line_and_leaves_nothing(say: Say, here: Path, tmp_path: Path) -> None:
    say("export", "runs.tar.gz", cwd=here)
    bad, there = tmp_path / "bad.tar.gz", tmp_path / "b"
    bad.write_bytes((here / "runs.tar.gz").read_bytes()[:-200])
    for command in (["import", str(bad)], *([name, "--from", str(bad)] for name in ("tables", "figures", "report"))):
        assert (
            say(*command, cwd=there, code=1)
            == f"error: {bad} cannot be used: it is no gzipped tar archive, or a damaged one\n"
        )
    assert list(there.iterdir()) == []


def test_a_conflict_is_one_line_and_can_be_resolved(say: Say, here: Path, tmp_path: Path) -> None:
    say("export", "runs.tar.gz", cwd=here)
    experiment = tiny_experiment("method=lw", "seed=0")
    there = tmp_path / "b"
    write_result(there / "results", experiment)
    said = say("import", str(here / "runs.tar.gz"), cwd=there, code=1)
    assert said.startswith(f"error: run {experiment.run_id} (digits scnn lw seed 0) has another result here: test ")
    assert said.count("\n") == 1
    assert os.listdir(there / "results" / "runs") == [experiment.run_id]
    said = say("import", str(here / "runs.tar.gz"), "--keep", cwd=there)
    assert said.endswith(" in results: 11 imported, 1 left as they are here\n")


def test_two_sources_side_by_side(say: Say, here: Path, tmp_path: Path) -> None:
    say("export", "runs.tar.gz", cwd=here)
    said = say("tables", "--compare", "runs.tar.gz", "results", cwd=here)
    assert "Two sources compared: A is runs.tar.gz, B is results" in said
    assert "6 cells: " in said
    folder = here / "results" / "tables"
    assert sorted(path.name for path in folder.iterdir()) == ["compare.csv", "compare.md", "compare.tex"]
    say("tables", "--compare", "paper", "runs.tar.gz", "--out", str(tmp_path / "mine"), "--quiet", cwd=here)
    assert "no cell is in both" in (tmp_path / "mine" / "compare.md").read_text()


@pytest.mark.slow
def test_figures_and_the_report_of_a_bundle(say: Say, here: Path, tmp_path: Path) -> None:
    say("export", "runs.tar.gz", cwd=here)
    file, there = str(here / "runs.tar.gz"), tmp_path / "b"
    assert "results/bundles/runs/figures/ranks.png" in say("figures", "ranks", "--from", file, cwd=there)
    said = say("figures", "figure4", "--from", file, cwd=there, code=1)
    assert f"in {file}" in said
    assert "results/bundles/runs/report.html (" in say("report", "--from", file, cwd=there)
    page = (there / "results" / "bundles" / "runs" / "report.html").read_text()
    assert f"12 finished runs in <code>{file}</code>" in page
    assert str(tmp_path / "tmp") not in page
