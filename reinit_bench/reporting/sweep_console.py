"""What a sweep shows: a line per finished run; on a terminal also the running ones, live."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.progress import Task

from reinit_bench.reporting.console import Bar
from reinit_bench.reporting.lines import GAP, accuracies, duration

ENDED = ("done", "failed", "interrupted", "held")


class SweepConsole:
    """Follows the runs of a sweep; a context manager that leaves the terminal as it was.

    Args:
        total: how many runs this sweep trains.
    """

    def __init__(self, total: int, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self.clock = total, clock
        self.running: dict[str, str] = {}
        self._rounds: dict[str, int] = {}
        self._began: dict[str, float] = {}
        self.bar = Bar(
            console or Console(),
            clock,
            lines=lambda: list(self.running.values()),
            count="{task.completed}/{task.total} runs",
            refreshes=2,  # by a thread: the training is in other processes
        )
        self._task = self.bar.add_task("", total=total, left="")

    def __enter__(self) -> SweepConsole:
        self.bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.stop()

    def on_event(self, run_id: str, title: str, kind: str, values: Mapping[str, Any]) -> None:
        """Handle one event of one run."""
        if kind == "started":
            self._begin(run_id, title, values)
        elif kind == "epoch":
            words = [title, f"round {values['round']}/{self._rounds.get(run_id, 1)}", f"step {values['step']}"]
            self.running[run_id] = GAP.join([*words, *accuracies(validation=values["accuracy"])])
        elif kind == "warning":
            self.bar.say(f"{title}: {values['text']}")
        elif kind in ENDED:
            self._end(run_id, title, kind, values)

    def _begin(self, run_id: str, title: str, values: Mapping[str, Any]) -> None:
        self._rounds[run_id], self._began[run_id] = values["rounds"], self.clock()
        self.running[run_id] = title
        if values["first_step"]:
            self.bar.say(f"{title}: resumes from step {values['first_step']}")

    def _end(self, run_id: str, title: str, kind: str, values: Mapping[str, Any]) -> None:
        self.running.pop(run_id, None)
        if kind == "interrupted":
            self.bar.say(f"{title}: interrupted, its checkpoint is written")
            return
        self.bar.advance(self._task)
        self.bar.update(self._task, left=_time_left(self.bar.tasks[0]))
        now = self.clock()
        seconds = duration(now - self._began.get(run_id, now))
        if kind == "done":
            what = accuracies(test=values["test_accuracy"], validation=values["validation_accuracy"])
        else:
            what = [f"{kind}: {values['why']}", f"run {run_id}"]
        finished = int(self.bar.tasks[0].completed)
        self.bar.say(GAP.join([f"[{finished}/{self.total}]", title, *what, seconds]))


def _time_left(task: Task) -> str:
    """By the pace of all finished runs so far: several end at once, so rich's own estimate would jump."""
    if not task.completed or task.elapsed is None or task.remaining is None:
        return ""
    return f"about {duration(task.elapsed / task.completed * task.remaining)} left"
