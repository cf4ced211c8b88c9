"""The command as a user types it, in an empty folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from factories import TINY, tiny_experiment, write_result
from hydra.core.global_hydra import GlobalHydra

from reinit_bench.cli.commands import doctor
from reinit_bench.cli.main import main
from reinit_bench.store.store import Store
from reinit_bench.sweep import local

COMMAND = [sys.executable, "-m", "reinit_bench"]


def run(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environment}
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, cwd=cwd, env=env, timeout=240)


BAD_INPUT = [
    (["method=lww"], "method=lww: there is no such method; did you mean lw? choose one of ban, bl, "),
    (["dataset=nope"], "dataset=nope: there is no such dataset; choose one of caltech101, "),
    (["dropout=0.3.1"], "dropout=0.3.1: there is no such dropout; choose one of none, p25, p50"),
    (["study=nope", "-m"], "study=nope: there is no such study; did you mean none? choose one of "),
    (["image_size=7", "model=vgg16"], "model vgg16 needs image_size of at least 32; got 7"),
    (["trainer.lr=-1"], "trainer.lr must be a number above 0; got -1"),
    (["seed=x"], "seed must be a whole number of at least 0; got 'x'"),
    (["trainer.lrr=1"], "there is no field trainer.lrr; the fields there are optimizer, lr, momentum, "),
    (["+nope=1"], "there is no field 'nope'"),
    (["method=wels", "method.fraction=2"], "method.fraction must be a number above 0 and at most 1; got 2"),
    (["study=demo"], "study=demo is many runs; add -m to run them all"),
    (["device=cuda"], "device=cuda, but torch finds no CUDA device here; use device=auto or device=cpu"),
    (["tabels"], "there is no sub-command 'tabels'; did you mean tables? choose one of cancel, datasets, doctor, "),
    (["tables", "9"], "there is no table 9; the tables are "),
    (["figures", "figur3"], "there is no figure 'figur3'; the figures are "),
    (
        ["tables", "3", "--from", "papers"],
        "--from must be runs (finished runs), paper (the published tables) or a bundle's file; got ",
    ),
    (["tables", "two"], "there is no table two; the tables are 1, 1-readings, 1-readings-cells, 2, 3, "),
    (["plan", "study=nope"], "study=nope: there is no such study; did you mean none? choose one of "),
    (["plan", "method=lww"], "method=lww: there is no such method"),
    (["-m", "method=lw,fc", "method.selection=network"], "method lw has no field 'selection'; its fields are "),
    (["-m", "method=welsr,lw", "method.fraction=0.3"], "method lw has no field 'fraction'; its fields are "),
    (["method=welsr,lw"], "method=welsr,lw is several values, and one run takes one; for a run with each: -m "),
    (["seed=0", "seed=1"], "seed is given twice: seed=0 seed=1; for a run with each: -m seed=0,1"),
    (["plan", "method=bl", "-m", "method=lw"], "method is given twice: method=bl method=lw; for a run with each: -m "),
    (["study=demo", "study=core"], "study is given twice: study=demo study=core"),
    (["-m", "dataset.name="], "dataset.name= has no value; null is no value, and 'dataset.name=\"\"' is empty text"),
    (["plan", "dataset.name=''"], "dataset.name is empty; give it a name"),
    (["-m", "study=demo", "trainer.lr=-1"], "trainer.lr must be a number above 0; got -1"),
    (["plan", "hydra.launcher.workers=0"], "hydra.launcher.workers must be a whole number of at least 1 (or null); "),
    (["plan", "hydra.launcher.wrkers=1"], "there is no field hydra.launcher.wrkers; the fields there are workers, "),
]


@pytest.fixture
def in_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that call `main` in this process: an empty current folder and none of the user's settings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("REINIT_BENCH_RESULTS", raising=False)
    monkeypatch.setattr(GlobalHydra.instance(), "hydra", None)  # other tests of this process keep one open


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(("words", "message"), BAD_INPUT, ids=[" ".join(words) for words, _ in BAD_INPUT])
def test_bad_input_is_one_clear_line(
    words: list[str], message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 1
    out, err = capfd.readouterr()
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1
    assert "Traceback" not in out + err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("in_process")
def test_an_option_that_there_is_not_is_an_invalid_command_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["tables", "3", "--form", "paper"]) == 2
    assert capfd.readouterr().err == (
        "error: No such option: --form; for a sub-command's arguments and options: reinit-bench NAME --help\n"
    )


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("word", ["-m", "--multirun", "--multi", "hydra.mode=MULTIRUN", "+hydra.mode='MULTIRUN'"])
def test_a_sweep_is_asked_for_in_many_ways(word: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for seed in range(2):
        write_result(tmp_path / "results", tiny_experiment("method=bl", f"seed={seed}"))
    assert main(["method=bl", word, *TINY, "seed=0,1"]) == 0
    assert capfd.readouterr().out == "2 runs: 2 done\n"
    assert main(["study=demo", word, "hydra/sweeper=basic"]) == 1
    assert "hydra/sweeper=basic cannot run a study" in capfd.readouterr().err


SINGLE_VALUES = ["null", "true", "[0.5,1.0]", "{a:1}", "${seed}", "'7'", '"a b"', "1e-3"]


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("value", SINGLE_VALUES)
def test_a_single_value_means_the_same_in_a_sweep(
    value: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A run with it is planned under the same id: the field is added, so that it may hold anything."""
    (tmp_path / "conf" / "augmentation").mkdir(parents=True)
    target = "_target_: reinit_bench.data.augment.Augmentation"
    (tmp_path / "conf" / "augmentation" / "odd.yaml").write_text(f"{target}\nname: none\nodd: 0\n")
    words = ["--config-dir", "conf", *TINY, "augmentation=odd", f"augmentation.odd={value}"]
    told = []
    for more in ([], ["-m"], ["-m", "seed=0,0"]):
        assert main(["plan", *words, "--json", *more]) == 0
        told.append([run["run_id"] for run in json.loads(capfd.readouterr().out)["each"]])
    assert told[0] == told[1] == told[2]
    assert len(told[0]) == 1


@pytest.mark.slow
def test_python_s_own_modules_are_not_looked_for_in_the_folder(tmp_path: Path) -> None:
    for name in ("select", "random", "queue"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')")
    done = run("-m", *TINY, "method=bl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1 done"


def test_a_deleted_folder_is_one_line(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f"cd {gone} && rmdir {gone} && {sys.executable} -P -m reinit_bench plan"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: the folder in which this was typed has been deleted; change to another (cd)\n"


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize(
    ("files", "words", "message"),
    [
        ({"study/mine.yml": "name: mine\n"}, ["study=mine"], "conf/study/mine.yml must be called mine.yaml"),
        ({"study/mine.yaml": ""}, ["study=mine"], "study mine: its file is empty; it needs a name and grids"),
        ({"study/mine.yaml": "name: mine\ngrids: []\n"}, ["study=mine"], "study mine has no grids: it needs some, or "),
        (
            {"study/mine.yaml": "name: mine\ngrids: [{method: [bl, no]}]\n"},
            ["study=mine"],
            "study mine: method must have names; got False (YAML reads no, off, yes and on as truth values",
        ),
        (
            {"study/mine.yaml": "name: mine\ngrids: [{methd: [bl]}]\n"},
            ["study=mine"],
            "there is no field methd; the fields there are ",
        ),
        (
            {"study/mine.yaml": "name: mine\ngrids: [{method: [bl, lw]}]\nexclude: [{method: bll}]\n"},
            ["study=mine"],
            "study mine: exclude {'method': 'bll'} leaves nothing out: no point has these values (its axes are method)",
        ),
        ({"method/mine.yaml": b"name: K\xf6ln\n"}, ["method=mine"], "conf/method/mine.yaml is not UTF-8 text; save"),
    ],
)
def test_a_file_of_the_users_own_that_means_nothing_is_refused(
    files: dict[str, str | bytes],
    words: list[str],
    message: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, content in files.items():
        (tmp_path / "conf" / name).parent.mkdir(parents=True)
        (tmp_path / "conf" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["--config-dir", "conf", "plan", *words]) == 1
    err = capfd.readouterr().err.replace(f"{tmp_path}/", "")
    assert err.startswith(f"error: {message}")
    assert err.count("\n") == 1


@pytest.mark.usefixtures("in_process")
def test_a_sweep_may_set_a_field_that_the_default_method_does_not_have(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Both runs have results already, under the ids that the field gives them: the sweep only has to find them."""
    for method in ("welsr", "dsd"):
        write_result(tmp_path / "results", tiny_experiment(f"method={method}", "method.selection=network"))
    assert main(["-m", *TINY, "method=welsr,dsd", "method.selection=network"]) == 0
    assert capfd.readouterr().out == "2 runs: 2 done\n"


@pytest.mark.usefixtures("in_process")
@pytest.mark.parametrize("name", ["tables", "figures", "report"])
def test_without_finished_runs_one_line_says_what_to_run(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    start = "start with: reinit-bench -m study=demo"
    assert main([name]) == 1
    assert capfd.readouterr() == ("", f"error: there is no results folder results; {start}\n")
    (tmp_path / "results").mkdir()
    assert main([name]) == 1
    assert capfd.readouterr() == ("", f"error: there are no finished runs in results; {start}\n")
    assert list((tmp_path / "results").iterdir()) == []
    assert main(["status"]) == 0
    assert capfd.readouterr() == (f"no runs in results; {start}\n", "")


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_with_unfinished_runs_alone_the_report_says_what_became_of_them(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = Store(tmp_path / "results").run(tiny_experiment().run_id)
    folder.create()
    folder.write_config(tiny_experiment())
    for name in ("tables", "figures"):
        assert main([name]) == 1
        line = "error: there are no finished runs in results; 1 not finished: reinit-bench status\n"
        assert capfd.readouterr() == ("", line)
    assert main(["report"]) == 0
    assert "results/report.html" in capfd.readouterr().out


def last_lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    """What a command printed below its table."""
    return capfd.readouterr().out.rpartition("┘\n")[2].splitlines()


MODELLED = "the rest estimated by the model in reinit_bench/sweep/cost.py"


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_plan_tells_a_machine_without_gpus_its_own_time(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local, "visible_gpus", list)
    monkeypatch.setattr(local, "cores", lambda: 2)
    assert main(["plan", "study=table1"]) == 0
    assert last_lines(capfd) == [
        "about 42 minutes left with 2 processes here (1.4 CPU-hours); step times measured for 0 of 1,800 runs, "
        f"{MODELLED}"
    ]
    assert main(["plan", "study=table1", "hydra.launcher.workers=1"]) == 0
    assert last_lines(capfd)[0].startswith("about 84 minutes left with 1 process here (1.4 CPU-hours); ")
    assert main(["plan", "study=table2", "dataset=cifar10", "--json"]) == 0
    told = json.loads(capfd.readouterr().out)
    assert list(told["hours_left"]) == ["cpu"]
    assert told["wall_hours_left"] > 24 * 365
    # What no user would wait for is for a cluster, whose GPU-hours another command tells.
    assert main(["plan", "study=table2", "dataset=cifar10"]) == 0
    line, cluster = last_lines(capfd)
    assert "years left with 2 processes here" in line
    assert "GPU" not in line
    assert cluster == "on a cluster with GPUs: reinit-bench plan study=table2 dataset=cifar10 hydra/launcher=slurm"


@pytest.mark.slow
@pytest.mark.usefixtures("in_process")
def test_plan_counts_gpu_hours_where_gpus_will_run_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local, "visible_gpus", lambda: ["0", "1"])
    monkeypatch.setattr(local, "cores", lambda: 8)
    assert main(["plan", "study=table2", "dataset=cifar10"]) == 0
    assert last_lines(capfd)[0].startswith("about 3.6 days left with 2 processes here (175 GPU-hours); ")
    assert main(["plan", "study=table2", "dataset=cifar10", "hydra/launcher=slurm"]) == 0
    assert last_lines(capfd) == [f"about 175 GPU-hours left; step times measured for 0 of 24 runs, {MODELLED}"]
    assert main(["plan", "study=digits", "seed=0", "hydra/launcher=slurm_cpu"]) == 0
    assert "CPU-hours left; " in last_lines(capfd)[0]


@pytest.mark.slow
def test_a_sweep_without_its_data_says_how_to_get_them(tmp_path: Path) -> None:
    done = run("-m", "method=lw,fc", "dataset=cifar10", cwd=tmp_path, REINIT_BENCH_DATA=str(tmp_path / "data"))
    assert done.returncode == 1
    assert done.stderr == (
        f"error: 2 runs failed: dataset cifar10 is not prepared in {tmp_path / 'data'}; run: reinit-bench prepare "
        "dataset=cifar10, or add dataset.prepare=auto; see reinit-bench status\n"
    )
    assert not (tmp_path / "data").exists()


def test_the_traceback_is_shown_on_request(tmp_path: Path) -> None:
    done = run("trainer.lr=-1", cwd=tmp_path, HYDRA_FULL_ERROR="1")
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "ConfigError: trainer.lr must be a number above 0" in done.stderr


@pytest.mark.usefixtures("in_process")
def test_a_results_folder_that_is_a_file_is_an_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("mine")
    assert main(["results_dir=taken", *TINY]) == 1
    assert re.fullmatch(
        r"error: cannot create taken/runs/\w+: Not a directory; change results_dir\n", capfd.readouterr().err
    )
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.slow
def test_a_run_is_done_once_and_appears_in_its_table(tmp_path: Path) -> None:
    first = run(*TINY, cwd=tmp_path, REINIT_BENCH_RESULTS="mine")
    run_id = tiny_experiment().run_id
    assert first.returncode == 0, first.stderr
    assert first.stderr == ""
    last = first.stdout.splitlines()[-1]
    assert last.startswith("digits scnn lw seed 0: test ")
    assert last.endswith(f"mine/runs/{run_id}")
    assert {path.name for path in tmp_path.iterdir()} == {"mine"}
    again = run(*TINY, cwd=tmp_path, REINIT_BENCH_RESULTS="mine")
    assert again.returncode == 0
    assert again.stdout.startswith("digits scnn lw seed 0: already done:  test ")
    accuracy = json.loads((tmp_path / "mine" / "runs" / run_id / "result.json").read_text())["test_accuracy"]
    tables = run("tables", "6", "results_dir=mine", cwd=tmp_path)
    assert tables.returncode == 0, tables.stderr
    csv = (tmp_path / "mine" / "tables" / "table6.csv").read_text().splitlines()
    assert csv[0] == "dataset,model,method,n,mean,std,published"
    assert [line for line in csv if line.startswith("DIGITS (60)") and ",lw," in line] == [
        f"DIGITS (60),scnn,lw,1,{round(100 * accuracy, 4)},,"
    ]


@pytest.mark.slow
def test_output_that_cannot_be_shown_costs_nothing(tmp_path: Path) -> None:
    """Standard output closed, as by `>&-`; then in an encoding without the table's characters."""
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, *TINY, "method=bl", "logger=none"]
    done = subprocess.run(closed, cwd=tmp_path, stderr=subprocess.PIPE, text=True, timeout=240)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(Store(tmp_path / "results").run_ids()) == 1
    shown = run("tables", "6", cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith("Table 6: ")
    assert (tmp_path / "results/tables").is_dir()


@pytest.mark.slow
def test_repeating_a_sweep_runs_only_what_is_missing(tmp_path: Path) -> None:
    words = ["-m", *TINY, "method=lw,fc", "seed=0,1"]
    done = run(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "4 runs: 4 missing"
    assert done.stdout.splitlines()[-1] == "4 done"
    results = {path: path.read_bytes() for path in tmp_path.glob("results/runs/*/result.json")}
    assert len(results) == 4
    again = run(*words, cwd=tmp_path)
    assert again.stdout == "4 runs: 4 done\n"
    assert {path: path.read_bytes() for path in results} == results
    status = run("status", *words[1:], cwd=tmp_path)
    assert "4 runs" in status.stdout
    wider = run(*words[:-1], "seed=0,1,2", cwd=tmp_path)
    assert wider.stdout.splitlines()[0] == "6 runs: 4 done, 2 missing"


@pytest.mark.parametrize(
    ("obstacle", "text"),
    [
        (None, "convolution and norm on the CPU are ours, unless compiled_layers=false"),
        ("ours need a processor with avx2", "layers on the CPU are torch's: ours need a processor with avx2"),
    ],
)
def test_doctor_says_which_layers_compute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, obstacle: str | None, text: str
) -> None:
    monkeypatch.setattr(doctor, "obstacle", lambda: obstacle)
    monkeypatch.setattr(doctor, "output_of", lambda *words: "")
    (found,) = [finding for finding in doctor.findings(tmp_path) if finding.subject == "compiled"]
    assert (found.fine, found.text) == (obstacle is None, text)
