"""One grammar: an odd value means the same in a single run, a sweep, plan, status, tables and prepare."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hydra.core.global_hydra import GlobalHydra

from reinit_bench.cli.compose import Composer
from reinit_bench.cli.main import main
from reinit_bench.cli.words import readable, results_dir_of
from reinit_bench.core.settings import ConfigError
from reinit_bench.sweep.studies import quoted

FOLDERS = [
    "plain",
    "two words",
    "ünï/cödé",
    "it's",
    'say "hi"',
    "a,b",
    "a=b",
    "2024",
    "1e3",
    "null",
    "true",
    "[a]",
    "{a}",
    "(a)",
    "100%",
    "a:b",
    "#1",
    "back\\slash",
    "tail\\",
    "*",
    "a b, c='d' \"e\"",
]
UNQUOTED = [name for name in FOLDERS if not re.search(r"[,\[\]{}#]|^null$", name)]
"""Folders that Hydra reads as text without quotes: not as a list, a mapping, a choice or null."""


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REINIT_BENCH_RESULTS", raising=False)
    monkeypatch.setattr(GlobalHydra.instance(), "hydra", None)  # other tests of this process keep one open


def typed(names: list[str], as_typed: list[str]) -> list[tuple[str, str]]:
    """Words that name a folder, in quotes or without, each with the folder."""
    return [(f"results_dir={quoted(name)}", name) for name in names] + [
        (f"results_dir={name}", name) for name in as_typed
    ]


QUICK = typed(["null", "tail\\", FOLDERS[-1]], ["two words", "2024"])


@pytest.mark.parametrize(
    ("word", "folder"),
    [case if case in QUICK else pytest.param(*case, marks=pytest.mark.slow) for case in typed(FOLDERS, UNQUOTED)],
)
def test_a_folder_is_the_same_in_a_run_a_sweep_and_any_other_command(
    word: str, folder: str, capsys: pytest.CaptureFixture[str], hydra_composer: Composer
) -> None:
    runs = list(hydra_composer.planned(hydra_composer.jobs(readable([word, "seed=0,1", "method=bl"]))))
    assert [run.execution.results_dir for run in runs] == [Path(folder)] * 2
    assert results_dir_of([word]) == Path(folder)
    assert main([word, "--cfg", "job"]) == 0
    assert str(yaml.safe_load(capsys.readouterr().out)["results_dir"]) == folder


@pytest.mark.parametrize(("word", "folder"), QUICK)
def test_status_and_tables_use_that_folder(word: str, folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", word]) == 0
    assert f"no runs in {folder}" in capsys.readouterr().out
    assert main(["tables", "2", "--print", word]) == 1
    assert capsys.readouterr().err.startswith(f"error: there is no results folder {folder}; ")


def test_an_odd_folder_that_exists_is_read() -> None:
    folder = FOLDERS[-1]
    Path(folder).mkdir(parents=True)
    assert main(["tables", "2", "--print", f"results_dir={quoted(folder)}"]) == 0


@pytest.mark.parametrize("name", ["photos", "my photos", "2024", "a,b", "ö"])
def test_the_name_of_a_dataset(name: str, hydra_composer: Composer) -> None:
    words = readable(["dataset=digits", f"dataset.name={quoted(name)}", "method=bl,lw"])
    runs = list(hydra_composer.planned(hydra_composer.jobs(words)))
    assert [run.experiment.dataset["name"] for run in runs] == [name, name]
    assert len({run.run_id for run in runs}) == 2


@pytest.mark.slow
def test_plan_reads_what_a_sweep_reads(capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "dataset=digits",
        "++seed=1,2",
        "method=glob([lw,fc])",
        "model=glob([scnn,mobilenet,resnet5*])",
        "results_dir='a b'",
    ]
    assert main(["plan", *words]) == 0
    assert "Plan: 12 runs" in capsys.readouterr().out


def test_a_home_folder_and_an_empty_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert results_dir_of(["results_dir=~/x"]) == tmp_path / "x"
    monkeypatch.setenv("REINIT_BENCH_RESULTS", "")
    assert results_dir_of([]) == Path("results")
    monkeypatch.setenv("REINIT_BENCH_RESULTS", "~/mine")
    assert results_dir_of([]) == tmp_path / "mine"


def test_a_variable_that_is_a_number(hydra_composer: Composer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LR", "0.25")
    words = readable(["trainer.lr=${oc.decode:${oc.env:LR}}", "method=bl"])
    (run,) = hydra_composer.planned(hydra_composer.jobs(words))
    assert run.experiment.trainer.lr == 0.25
    with pytest.raises(
        ConfigError, match=r"got '0\.25' \(text; of a variable: '\$\{oc\.decode:\$\{oc\.env:NAME\}\}'\)"
    ):
        list(hydra_composer.planned([["trainer.lr=${oc.env:LR}"]]))


@pytest.mark.slow
def test_every_command_uses_the_users_own_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    conf = tmp_path / "conf"
    (conf / "study").mkdir(parents=True)
    (conf / "mine.yaml").write_text("defaults: [config, _self_]\nresults_dir: elsewhere\n")
    (conf / "study" / "tiny.yaml").write_text(
        "name: tiny\ngrids: [{dataset: digits, method: [bl, lw], seed: [0, 1, 2]}]\n"
    )
    own = ["--config-dir", str(conf), "--config-name", "mine"]
    assert main(["plan", "study=tiny", *own]) == 0
    assert "Plan: 6 runs" in capsys.readouterr().out
    assert main(["status", *own]) == 0
    assert "no runs in elsewhere" in capsys.readouterr().out
    assert main(["status", "study=tiny", *own]) == 0
    assert main(["tables", "2", *own]) == 1
    assert "there is no results folder elsewhere" in capsys.readouterr().err
    assert main([*own, "--cfg", "job"]) == 0
    assert "results_dir: elsewhere" in capsys.readouterr().out
    assert main(["plan", "study=tiny"]) == 1  # the study is only there
    assert "study=tiny: there is no such study" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["method=[bl,lw]"],
            "error: method=[bl,lw]: one run has one method; for a run with each of them: -m method=bl,lw",
        ),
        (["-m", "dataset=[digits,cifar10]"], "error: dataset=[digits,cifar10]: one run has one dataset"),
        (["plan", "dropout=[none,p25]"], "error: dropout=[none,p25]: one run has one dropout"),
        (["hydra/launcher=slurm"], "error: hydra/launcher=slurm starts sweeps: add -m"),
        (["-m", "study=demo", "hydra/sweeper=basic"], "error: hydra/sweeper=basic cannot run a study; leave it out"),
        (["results_dir=null"], "error: results_dir must be a folder's path; got None"),
        (["trainer.lr=a b("], "error: cannot read 'trainer.lr=a b('; put values with special characters in quotes"),
        (["plan", "--config-dir"], "error: --config-dir needs a value: --config-dir DIR"),
        (["plan", "--config-dir", "nowhere"], "error: --config-dir must be a folder of groups"),
    ],
)
def test_words_that_make_no_sense_are_refused(
    words: list[str], message: str, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(words) == 1
    err = capfd.readouterr().err
    assert err.startswith(message)
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
