"""A simulated SLURM cluster: stubs of its commands on PATH, and a virtual clock by which tasks run, are preempted and
fail.

The code that plans, submits, cuts arrays and reads the queue is the project's own, on a real store. What happens on the
nodes is simulated: a run's work is a number of seconds instead of a training.
"""

from __future__ import annotations

import heapq
import math
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from reinit_bench.core.config import Experiment
from reinit_bench.store.files import write_json
from reinit_bench.store.store import Store
from reinit_bench.sweep.slurm.batch import batches_dir, read_batch
from reinit_bench.sweep.slurm.commands import MARK

HEADER = f"{MARK}|JOBID|NAME|STATE|REASON|COMMENT\n"

STUBS = {
    "sbatch": 'n=$(ls "{0}/jobs" | wc -l); n=$((n + 1)); cp "$1" "{0}/jobs/$n"; echo "Submitted batch job $n"',
    "squeue": 'cat "{0}/queue"',
    "scontrol": 'echo "MaxArraySize = {1}"',
    "sinfo": "echo gpu",
    "srun": "exit 1",
}


@dataclass(frozen=True, kw_only=True)
class Weather:
    """How often the cluster disturbs a running task, in events an hour of one GPU, and what each costs in seconds."""

    preempted_per_hour: float = 0.05
    """SIGTERM with time to write a checkpoint: nothing of the training is lost."""
    killed_per_hour: float = 0.005
    """A node fails, or memory runs out: all since the last checkpoint is lost."""
    checkpoint_seconds: float = 300.0
    """Between two checkpoints of a run."""
    start_seconds: float = 60.0
    """Of a task: imports, the data, compilation."""
    queue_again_seconds: float = 120.0
    """Until SLURM begins a requeued task at the earliest."""


@dataclass
class SimulatedTask:
    """One array task."""

    job: str
    name: str
    runs: list[str]
    limit_seconds: float
    throttle: int
    restarts: int = 0
    max_requeues: int = 50
    state: str = "PENDING"
    began: float = 0.0


@dataclass
class SimulatedCluster:
    """One GPU a task, `gpus` of them; first come, first served.

    Args:
        folder: for the stubs and their state.
        work: a run's seconds on one GPU, by run id.
        experiments: what each run is, for its result.
    """

    folder: Path
    results_dir: Path
    gpus: int
    work: Mapping[str, float]
    experiments: Mapping[str, Experiment]
    weather: Weather = field(default_factory=Weather)
    max_array_size: int = 1001
    seed: int = 0
    now: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    """Submissions, tasks, preemptions, kills, time limits, most tasks in the queue at once."""
    lost_seconds: float = 0.0
    busy_seconds: float = 0.0
    done_at: dict[str, float] = field(default_factory=dict)
    begun: Counter[str] = field(default_factory=Counter)
    """By run id, how often a task began it."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._left = dict(self.work)
        self._tasks: list[SimulatedTask] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._number = 0
        (self.folder / "jobs").mkdir(parents=True)
        for name, body in STUBS.items():
            stub = self.folder / name
            stub.write_text("#!/bin/sh\n" + body.format(self.folder, self.max_array_size) + "\n")
            stub.chmod(0o755)
        self._show_queue()

    @property
    def path(self) -> str:
        """A PATH on which the stubs come first."""
        return f"{self.folder}:{os.environ['PATH']}"

    @property
    def queue(self) -> list[SimulatedTask]:
        """The tasks that wait or run."""
        return [task for task in self._tasks if task.state in ("PENDING", "RUNNING")]

    def run_until(self, end: float) -> None:
        """Take what was submitted, and let the clock run to `end` or until nothing is left to happen."""
        self._take_submissions()
        self._start_tasks()
        while self._events and self._events[0][0] <= end:
            self.now, _, happen = heapq.heappop(self._events)
            happen()
            self._start_tasks()
        self.now = max(self.now, end) if self._events else self.now
        self._show_queue()

    def _take_submissions(self) -> None:
        taken = {int(task.job.partition("_")[0]) for task in self._tasks}
        for path in sorted((self.folder / "jobs").iterdir(), key=lambda path: int(path.name)):
            if int(path.name) not in taken:
                self.counts["submissions"] += 1
                self._take(path.name, path.read_text())
        self.counts["most in the queue"] = max(self.counts["most in the queue"], len(self.queue))

    def _take(self, job: str, script: str) -> None:
        options = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", script, re.MULTILINE))
        last, _, throttle = options["array"].partition("-")[2].partition("%")
        assert int(last) < self.max_array_size, "MaxArraySize bounds the index"
        batch = read_batch(batches_dir(self.results_dir) / options["job-name"])
        for index in range(int(last) + 1):
            self.counts["tasks"] += 1
            self._tasks.append(
                SimulatedTask(
                    job=f"{job}_{index}",
                    name=batch.name,
                    runs=list(batch.tasks[index]),
                    limit_seconds=60.0 * int(options["time"]) - 120.0,
                    throttle=int(throttle),
                    max_requeues=batch.max_requeues,
                )
            )

    def _start_tasks(self) -> None:
        running = Counter(task.name for task in self._tasks if task.state == "RUNNING")
        free = self.gpus - sum(running.values())
        for task in self._tasks:
            if not free:
                return
            if task.state == "PENDING" and task.began <= self.now and running[task.name] < task.throttle:
                running[task.name] += 1
                free -= 1
                self._start(task)

    def _start(self, task: SimulatedTask) -> None:
        task.state, task.began = "RUNNING", self.now
        todo = [run for run in task.runs if run not in self.done_at]
        self.begun.update(run for run in todo[:1])
        needs = self.weather.start_seconds + sum(self._left[run] for run in todo)
        preempted, killed = self._until(self.weather.preempted_per_hour), self._until(self.weather.killed_per_hour)
        lasts, ending = min(
            (needs, "completed"), (task.limit_seconds, "time limit"), (preempted, "preempted"), (killed, "killed")
        )
        self._at(self.now + lasts, lambda: self._end(task, lasts, ending))

    def _end(self, task: SimulatedTask, lasted: float, ending: str) -> None:
        self.busy_seconds += lasted
        self.counts[ending] += 1
        self._advance(task, max(0.0, lasted - self.weather.start_seconds), ending)
        if ending == "completed":
            task.state = "COMPLETED"
            return
        task.restarts += 1
        if ending != "killed" and task.restarts > task.max_requeues:
            task.state = "FAILED"
            return
        task.state, task.began = "PENDING", self.now + self.weather.queue_again_seconds
        self._at(task.began, lambda: None)

    def _advance(self, task: SimulatedTask, seconds: float, ending: str) -> None:
        """Subtract the work done from the task's runs, one after the other."""
        current = None
        for run in [run for run in task.runs if run not in self.done_at]:
            if ending != "completed" and seconds < self._left[run]:
                current = run
                break
            seconds -= self._left[run]
            self._finish(run)
        if current is None:
            return
        lost = self._random.uniform(0.0, min(seconds, self.weather.checkpoint_seconds)) if ending == "killed" else 0.0
        self.lost_seconds += lost
        self._left[current] -= seconds - lost

    def _finish(self, run: str) -> None:
        assert run not in self.done_at, f"{run} ran twice"
        self.done_at[run] = self.now
        folder = Store(self.results_dir).run(run)
        folder.create()
        accuracies = dict.fromkeys(("test_accuracy", "validation_accuracy", "train_accuracy"), 0.5)
        rest = {"rounds": 1, "steps": 1, "wall_seconds": 1.0, "versions": {}, "git_commit": None, "device": "simulated"}
        config = self.experiments[run].to_dict()
        write_json(folder.path / "result.json", {"run_id": run, **accuracies, **rest, "config": config})

    def _until(self, per_hour: float) -> float:
        """Seconds until the next event of this rate."""
        return self._random.expovariate(per_hour / 3600) if per_hour else math.inf

    def _at(self, when: float, happen: Callable[[], None]) -> None:
        self._number += 1
        heapq.heappush(self._events, (when, self._number, happen))

    def _show_queue(self) -> None:
        lines = [f"{MARK}|{task.job}|{task.name}|{task.state}|None|\n" for task in self._tasks]
        (self.folder / "queue").write_text("".join([HEADER, *lines]))
