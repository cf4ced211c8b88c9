"""Submission to SLURM, without a cluster: fields and their errors, tasks, arrays, the script, squeue's answers."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from factories import METHODS, TINY, write_result
from rich.console import Console
from stub_cluster import StubCluster

from reinit_bench.cli.compose import Composer
from reinit_bench.core.config import Experiment
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.files import write_json
from reinit_bench.store.store import Store
from reinit_bench.sweep.plan import Plan, PlannedRun, make_plan
from reinit_bench.sweep.slurm.array_task import TaskRunner
from reinit_bench.sweep.slurm.batch import batches, tidy
from reinit_bench.sweep.slurm.commands import SlurmError, job_state
from reinit_bench.sweep.slurm.options import Options
from reinit_bench.sweep.slurm.queue import cancel, queued_runs, slurm_trouble
from reinit_bench.sweep.slurm.submit import plan_tasks, run_on_slurm
from reinit_bench.training.interrupt import EXIT_INTERRUPTED, Interrupt


@pytest.fixture
def configs(hydra_composer: Composer, tmp_path: Path) -> list[dict[str, Any]]:
    """Six methods on digits, scnn, in the test's results folder."""
    folder = f"results_dir={tmp_path / 'results'}"
    return [dict(hydra_composer.compose([*TINY, f"method={name}", folder])) for name in METHODS]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubCluster:
    """Stubs of SLURM's commands on PATH."""
    made = StubCluster(tmp_path / "cluster", tmp_path / "results", max_array_size=3)
    monkeypatch.setenv("PATH", made.path)
    return made


def submit(configs: Sequence[dict[str, Any]], **fields: Any) -> str:
    """Submit as the launcher does, and return what it printed."""
    printed = io.StringIO()
    run_on_slurm(map(PlannedRun.from_dict, configs), Options.from_fields(fields), Console(file=printed, width=200))
    return printed.getvalue()


def test_arrays_are_cut_to_the_clusters_size(cluster: StubCluster, hydra_composer: Composer, tmp_path: Path) -> None:
    """Seven sizes of image share nothing: seven tasks, where MaxArraySize, which bounds the index, is 3."""
    words = [*TINY, f"results_dir={tmp_path / 'results'}"]
    submit([dict(hydra_composer.compose([*words, f"image_size={size}"])) for size in range(8, 15)], max_parallel=4)
    arrays = [re.findall(r"--array=(\S+)", script) for script in cluster.scripts]
    assert arrays == [["0-2%2"], ["0-1%1"], ["0-1%1"]]  # four tasks at once, shared out by the arrays' lengths
    assert sorted(len(batch.tasks) for batch in batches(cluster.results_dir)) == [2, 2, 3]


def test_the_script_asks_for_what_the_fields_say(cluster: StubCluster, configs: list[dict[str, Any]]) -> None:
    submit(
        configs,
        partition="gpu",
        account="me",
        qos="high",
        constraint="a100",
        gres="gpu:a100:1",
        cpus=6,
        mem_gb=20,
        minutes=90,
        target_minutes=60,
        signal_seconds=100,
        setup=["module load cuda"],
        extra={"exclude": "node7"},
    )
    (script,) = cluster.scripts
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)=?(.*)$", script, re.MULTILINE))
    (batch,) = batches(cluster.results_dir)
    wanted = {
        "partition": "gpu",
        "account": "me",
        "qos": "high",
        "constraint": "a100",
        "gres": "gpu:a100:1",
        "cpus-per-task": "6",
        "mem": "20480MB",
        "time": "90",
        "signal": "USR2@100",
        "exclude": "node7",
        "requeue": "",
        "open-mode": "append",
        "job-name": batch.name,
    }
    assert {key: options.get(key) for key in wanted} == wanted
    assert "gpus-per-node" not in options
    lines = script.splitlines()
    # The trap comes before anything that a signal could kill; srun is told the cores, which SLURM does not pass on.
    assert lines.index("module load cuda") > next(i for i, line in enumerate(lines) if line.startswith("trap"))
    assert "srun --cpus-per-task=6" in script
    assert f"reinit_bench.sweep.slurm.array_task {batch.folder}" in script


def test_few_files_however_many_runs(cluster: StubCluster, configs: list[dict[str, Any]]) -> None:
    submit(configs)
    (batch,) = batches(cluster.results_dir)
    files = sorted(path.name for path in batch.folder.rglob("*") if path.is_file())
    assert files == ["1_submission.sh", "batch.json", "tasks.jsonl"]
    frozen = [config for index in range(len(batch.tasks)) for config in batch.configs(index)]
    assert [Experiment.from_dict(config).run_id for config in frozen] == [run for task in batch.tasks for run in task]
    assert {config["results_dir"] for config in frozen} == {str(cluster.results_dir)}


def test_the_same_command_again_submits_only_what_is_missing(
    cluster: StubCluster, configs: list[dict[str, Any]]
) -> None:
    assert "2 runs: 2 missing" in submit(configs[:2])
    cluster.show_all("PENDING")
    printed = submit(configs)
    assert "6 runs: 2 queued, 4 missing" in printed
    assert "1 task, 4 runs" in printed
    cluster.show_all("RUNNING")
    assert "6 runs: 6 queued" in submit(configs)
    for config in configs:
        write_result(cluster.results_dir, Experiment.from_dict(config))
    assert "6 runs: 6 done" in submit(configs)
    assert len(cluster.scripts) == 2


def test_a_failed_run_that_its_old_task_still_lists_is_submitted_once(
    cluster: StubCluster, configs: list[dict[str, Any]]
) -> None:
    """Two runs in a task: one has failed, the other is at work. The failed one is tried again, by one later task."""
    submit(configs[:2])
    cluster.show_all("RUNNING")
    failed = Store(cluster.results_dir).run(Experiment.from_dict(configs[0]).run_id)
    failed.create()
    write_json(failed.path / "status.json", {"state": "failed", "slurm_job": "1_0"})
    assert "2 runs: 1 queued, 1 failed" in submit(configs[:2])
    for _ in range(2):
        cluster.show_all("RUNNING")
        assert "2 runs: 2 queued" in submit(configs[:2])
    write_json(failed.path / "status.json", {"state": "failed", "slurm_job": "2_0"})
    assert "2 runs: 1 queued, 1 failed" in submit(configs[:2])
    assert len(cluster.scripts) == 3


def test_a_cancelled_task_is_told_before_the_signal(cluster: StubCluster, configs: list[dict[str, Any]]) -> None:
    submit(configs)
    cluster.show_all("RUNNING")
    chosen = Experiment.from_dict(configs[0]).run_id
    (task,) = cancel(cluster.results_dir, {chosen})
    assert chosen in task.run_ids
    assert (cluster.folder / "cancelled").read_text().split() == [task.entry.job]
    (batch,) = batches(cluster.results_dir)
    assert batch.cancelled() == {task.index}


def test_a_machine_without_slurm_is_an_error_in_one_line(
    configs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SlurmError, match=r"needs SLURM, and there is no sbatch on this machine; .*login node"):
        submit(configs)


def test_a_refusal_leaves_no_batch(cluster: StubCluster, configs: list[dict[str, Any]]) -> None:
    cluster.stub("sbatch", "echo 'sbatch: error: invalid partition specified: x' >&2\nexit 1")
    with pytest.raises(SlurmError, match=r"sbatch refuses: invalid partition specified: x; partitions here: gpu$"):
        submit(configs)
    assert not list(batches(cluster.results_dir))


def test_a_silent_squeue_stops_a_submission_and_only_warns_a_reader(
    cluster: StubCluster, configs: list[dict[str, Any]]
) -> None:
    """Submitting again without knowing what is queued could run things twice."""
    submit(configs)
    cluster.stub("squeue", "echo 'slurm_load_jobs error: timed out' >&2\nexit 1")
    with pytest.raises(SlurmError, match="squeue failed: slurm_load_jobs error: timed out"):
        submit(configs)
    with pytest.warns(UserWarning, match="timed out; which runs are queued is unknown"):
        assert make_plan(map(PlannedRun.from_dict, configs), partial(queued_runs, strict=False)).counts["unknown"] == 6
    assert len(list(batches(cluster.results_dir))) == 1


def test_runs_of_a_task_share_their_data_and_model(hydra_composer: Composer, tmp_path: Path) -> None:
    words = [f"results_dir={tmp_path}", "model.width=0.25"]
    combos = [f"model={model} method={method} image_size=8" for model in ("scnn", "mobilenet") for method in METHODS]
    plan = make_plan(hydra_composer.planned([*combo.split(), *words] for combo in combos), queued_runs)
    ((_, tasks),) = plan_tasks(plan.runs, Options(target_minutes=10), lambda run, on: 250.0)
    assert [len(task.runs) for task in tasks] == [2] * 6
    assert all(len({run.experiment.model["name"] for run in task.runs}) == 1 for task in tasks)
    assert all(task.seconds == 500.0 for task in tasks)


def test_a_run_longer_than_the_target_is_alone_and_the_longest_come_first(plan_six: Plan) -> None:
    seconds = dict(zip(METHODS, (100.0, 900.0, 100.0, 100.0, 100.0, 100.0), strict=True))
    ((_, tasks),) = plan_tasks(
        plan_six.runs, Options(target_minutes=5), lambda run, on: seconds[run.experiment.method["name"]]
    )
    assert [[run.experiment.method["name"] for run in task.runs] for task in tasks] == [
        ["welsr"],
        ["dsd", "wels", "fc"],
        ["bl"],
        ["lw"],
    ]
    ((_, tasks),) = plan_tasks(plan_six.runs, Options(target_minutes=5), lambda run, on: 900.0)
    assert [len(task.runs) for task in tasks] == [1] * 6


@pytest.fixture
def plan_six(configs: list[dict[str, Any]]) -> Plan:
    return make_plan(map(PlannedRun.from_dict, configs), lambda results_dir: {})


def test_each_class_of_resources_is_an_array(cluster: StubCluster, configs: list[dict[str, Any]]) -> None:
    classes = [{"when": {"method": ["lw", "fc"]}, "mem_gb": 64}, {"when": {"method": "lw"}, "mem_gb": 1}]
    submit(configs, classes=classes, cpus=6)
    memory = sorted(re.findall(r"--mem=(\S+)", "".join(cluster.scripts)))
    assert memory == ["32768MB", "65536MB"]
    assert re.findall(r"#SBATCH --cpus-per-task=(\S+)", "".join(cluster.scripts)) == ["6", "6"]
    by_size = {len([run for task in batch.tasks for run in task]) for batch in batches(cluster.results_dir)}
    assert by_size == {2, 4}


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"partitoin": "x"}, "hydra.launcher has no field 'partitoin'; its fields are"),
        ({"gpus": -1}, "hydra.launcher.gpus must be"),
        ({"minutes": 30}, "hydra.launcher.target_minutes (120) must not be above hydra.launcher.minutes (30)"),
        ({"setup": "module load"}, "hydra.launcher.setup must be a list of shell lines; got 'module load'"),
        ({"extra": ["x"]}, "hydra.launcher.extra must map sbatch options to values; got ['x']"),
        ({"classes": [{"mem_gb": 3}]}, "hydra.launcher.classes must be a list like"),
        (
            {"classes": [{"when": {"model": "x"}, "men_gb": 3}]},
            "launcher.classes has no field 'men_gb'; its fields are when, ",
        ),
        (
            {"classes": [{"when": {"modle": "x"}}]},
            "classes has no field 'modle'; its fields are dataset, ",
        ),
    ],
)
def test_a_wrong_field_is_one_clear_line(fields: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Options.from_fields(fields)
    assert line in str(raised.value)
    assert "\n" not in str(raised.value)


def test_another_array_of_the_same_name_is_not_ours(cluster: StubCluster, configs: list[dict[str, Any]]) -> None:
    submit(configs[:2])
    cluster.show_all("PENDING")
    assert {job for jobs in queued_runs(cluster.results_dir).values() for job in jobs} == {"1_0"}
    queue = cluster.folder / "queue"
    queue.write_text(queue.read_text().replace("|1_0|", "|7_0|"))
    assert queued_runs(cluster.results_dir) == {}


def test_a_task_that_ended_queues_nothing(cluster: StubCluster, configs: list[dict[str, Any]]) -> None:
    """SLURM still shows it for some minutes."""
    submit(configs[:2])
    cluster.show_all("NODE_FAIL")
    assert queued_runs(cluster.results_dir) == {}


def test_a_banner_before_squeues_answer_is_passed_over(cluster: StubCluster, configs: list[dict[str, Any]]) -> None:
    submit(configs[:2])
    cluster.show_all("PENDING")
    cluster.stub("squeue", f"echo 'Maintenance on | Friday | all | day | long'; cat {cluster.folder}/queue")
    assert len(queued_runs(cluster.results_dir)) == 2


@pytest.mark.parametrize("said", ["", "error: cannot contact the controller"])
def test_an_answer_of_squeue_that_cannot_be_read_is_no_answer(
    cluster: StubCluster, configs: list[dict[str, Any]], said: str
) -> None:
    """Some wrappers, and a controller that is starting, exit with 0 all the same."""
    submit(configs)
    cluster.stub("squeue", f"echo '{said}'")
    told = said or "nothing, not even its header"
    with pytest.raises(SlurmError, match=f"squeue's answer cannot be read; .*it was: {told}"):
        submit(configs)
    assert len(cluster.scripts) == 1


def test_a_task_asks_for_its_own_state(cluster: StubCluster, configs: list[dict[str, Any]]) -> None:
    """By its number in SLURM_JOB_ID, one task of an array would be shown all of them."""
    submit(configs)
    cluster.show({"1_0": "PENDING", "1_1": "RUNNING"})
    assert [job_state(job) for job in ("1_0", "1_1", "1_2")] == ["PENDING", "RUNNING", ""]


def test_the_signal_comes_in_the_last_quarter_of_the_limit_at_the_earliest(
    cluster: StubCluster, configs: list[dict[str, Any]]
) -> None:
    submit(configs, minutes=2, target_minutes=1, signal_seconds=120)
    assert {re.search(r"--signal=USR2@(\d+)", script).group(1) for script in cluster.scripts} == {"30"}  # type: ignore[union-attr]


def test_a_held_job_is_shown_with_slurms_reason(cluster: StubCluster, configs: list[dict[str, Any]]) -> None:
    submit(configs)
    cluster.show_all("PENDING", reason="JobHeldUser")
    assert slurm_trouble(cluster.results_dir) == ["job 1: 1 tasks wait: JobHeldUser"]


def test_a_death_before_the_first_run_is_told_until_the_runs_are_submitted_again_or_done(
    cluster: StubCluster, configs: list[dict[str, Any]]
) -> None:
    def die(job: str) -> None:
        batch = next(batch for batch in batches(cluster.results_dir) if batch.job == job)
        batch.log(f"{job}_0").write_text("srun: starting\npython: error while loading libssl.so.3\n")

    submit(configs)
    die("1")  # and squeue shows nothing any more
    line = "1 of 1 tasks ended before they came to a run; python: error while loading libssl.so.3"
    assert slurm_trouble(cluster.results_dir) == [f"job 1: {line}"]
    submit(configs)
    cluster.show({"2_0": "RUNNING"})
    assert slurm_trouble(cluster.results_dir) == []
    die("2")
    cluster.show({})
    assert slurm_trouble(cluster.results_dir) == [f"job 2: {line}"]
    assert slurm_trouble(cluster.results_dir, [Experiment.from_dict(config).run_id for config in configs]) == []


def test_a_task_that_is_told_to_stop_while_it_plans_begins_no_run(
    cluster: StubCluster, configs: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    submit(configs)
    (batch,) = batches(cluster.results_dir)
    interrupt = Interrupt()
    interrupt.request("SIGTERM")
    assert TaskRunner(batch, 0, interrupt).run() == EXIT_INTERRUPTED
    assert "stopped, and not queued again: this is not a SLURM job" in capsys.readouterr().out
    assert Store(cluster.results_dir).run_ids() == []


def test_the_oldest_batches_go_but_not_those_in_the_queue(cluster: StubCluster, configs: list[dict[str, Any]]) -> None:
    for number in range(4):
        submit(configs[number : number + 1])
    names = [batch.name for batch in batches(cluster.results_dir)]
    tidy(cluster.results_dir, in_use={names[0]}, most=1)
    assert [batch.name for batch in batches(cluster.results_dir)] == [names[0], names[3]]
