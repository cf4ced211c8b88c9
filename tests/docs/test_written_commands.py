"""Every command that the pages show can be typed: it names sub-commands, options, groups and fields that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from factories import tiny_experiment, write_result
from reference_pages import click_command
from written import DOCS, PAGES, REPOSITORY, commands, place, refusals

from reinit_bench.cli.commands import summaries
from reinit_bench.cli.compose import Composer
from reinit_bench.cli.main import main
from reinit_bench.core.conf_dir import conf_dir
from reinit_bench.core.config import Experiment
from reinit_bench.store.bundle import pack
from reinit_bench.store.store import Store
from reinit_bench.sweep.slurm.options import Options

FLAGS = {"--help", "--cfg", "--hydra-help", "-sc"}
ANSWERING = {"plan", "status", "tables", "figures", "report", "verify", "why", "doctor", "export", "import"}
"""Sub-commands that read a results folder and train nothing."""

_STUDY = r"study=\w+( [\w.]+=[\w.,]+)*"
"""As the message of a figure without runs ends."""

REFUSED = [case for page in PAGES for case in refusals(page)]
COMMANDS = [
    (page, words) for page in PAGES for words in commands(page) if words not in [refused for refused, _ in REFUSED]
]


def names_of(command: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The tables or figures that there are, as the refusal of a wrong name lists them."""
    assert main([command, "no-such-name"]) == 1
    return capsys.readouterr().err.strip().partition(f" the {command} are ")[2].split(", ")


def test_the_pages_show_commands() -> None:
    assert len(COMMANDS) > 100
    assert {words[0] for _, words in COMMANDS if words and words[0].isalpha()} == set(summaries())


@pytest.mark.parametrize(
    ("page", "words"), COMMANDS, ids=[f"{place(page)}: {' '.join(words)}" for page, words in COMMANDS]
)
def test_the_command_can_be_typed(
    page: Path, words: list[str], hydra_composer: Composer, capsys: pytest.CaptureFixture[str]
) -> None:
    if not words or words[0] in FLAGS:
        return
    if re.fullmatch(r"[a-z][a-z-]*", words[0]):
        with click_command(words[0]).make_context(words[0], list(words[1:])) as context:
            given = list(context.params.get("words") or [])
        if words[0] in ("tables", "figures"):
            names = [word for word in given if "=" not in word]
            assert set(names) <= set(names_of(words[0], capsys))
            return
        if words[0] in ("prepare", "log", "report", "doctor", "import"):
            return
        words = [word for word in given if not word.endswith(".tar.gz")]
    if "--config-dir" in words:
        return  # of the reader's own files, which test_written_code writes
    check_launcher([word for word in words if word.startswith("hydra")])
    overrides = [word for word in words if "=" in word and not word.startswith(("hydra", "results_dir="))]
    jobs = hydra_composer.jobs(overrides)
    Experiment.from_dict(hydra_composer.compose(jobs[0]))


@pytest.fixture(scope="module")
def folder_with_two_runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A working directory with a results folder and a bundle, and the ids of its runs."""
    folder = tmp_path_factory.mktemp("work")
    experiments = [tiny_experiment("method=lw"), tiny_experiment("method=bl")]
    for experiment in experiments:
        write_result(folder / "results", experiment)
    store = Store(folder / "results")
    (folder / "demo.tar.gz").write_bytes(pack(store, store.run_ids()).content)
    for bundle in REPOSITORY.glob("results/*/*.tar.gz"):
        copy = folder / bundle.relative_to(REPOSITORY)
        copy.parent.mkdir()
        shutil.copy(bundle, copy)
    return folder, [experiment.run_id for experiment in experiments]


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    sorted(
        {
            tuple(words)
            for _, words in COMMANDS
            if words and words[0] in ANSWERING and "--watch" not in words and "results_dir" not in " ".join(words)
        }
    ),
    ids=" ".join,
)
def test_a_command_that_reads_results_runs_as_printed(
    words: tuple[str, ...],
    folder_with_two_runs: tuple[Path, list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Or says in one line which study a figure waits for."""
    folder, run_ids = folder_with_two_runs
    ids = iter(run_ids)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("REINIT_BENCH_RESULTS", raising=False)
    code = main([next(ids) if word.startswith("RUN") else word for word in words])
    error = capsys.readouterr().err
    waits = words[0] == "figures" and re.fullmatch(rf"error: .*; reinit-bench -m {_STUDY}(, or {_STUDY})?\n", error)
    lacks = words[0] == "export" and error.startswith("error: there is nothing to export: ")
    assert code == 0 or waits or lacks, error


def check_launcher(words: list[str]) -> None:
    """The words choose a launcher that there is, and set its fields."""
    for word in words:
        key, _, value = word.partition("=")
        if key == "hydra/launcher":
            assert (conf_dir() / "hydra" / "launcher" / f"{value}.yaml").exists()
        else:
            assert key.removeprefix("hydra.launcher.") in {spec.name for spec in fields(Options)}


@pytest.mark.parametrize(("words", "error"), [case for case in REFUSED if "--config-dir" not in case[0]])
def test_what_is_refused_is_refused_in_these_words(words: list[str], error: str) -> None:
    done = subprocess.run([sys.executable, "-m", "reinit_bench", *words], capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (1, error)


@pytest.mark.parametrize("command", ["tables", "figures"])
def test_every_table_and_figure_is_described(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    page = (DOCS / "reference" / "tables-and-figures.md").read_text()
    section = page.partition(f"\n## {command.title()}\n")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE)) == sorted(names_of(command, capsys))
