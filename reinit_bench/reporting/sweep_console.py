"""What a sweep shows: a line per finished run; on a terminal also the running ones, live."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from reinit_bench.reporting.lines import GAP, accuracies, duration

ENDED = ("done", "failed", "interrupted", "held")


class SweepDisplay:
    """Follows the runs of a sweep; a context manager that leaves the terminal as it was.

    Args:
        total: how many runs this sweep trains.
    """

    def __init__(self, total: int, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.console = console or Console()
        self.total, self.clock = total, clock
        self.finished = 0
        self.running: dict[str, str] = {}
        self._titles: dict[str, str] = {}
        self._rounds: dict[str, int] = {}
        self._began: dict[str, float] = {}
        self._started = clock()
        self._live: Live | None = None

    def __enter__(self) -> SweepDisplay:
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            # Drawn by a thread, twice a second: the training is in other processes.
            self._live = Live(
                console=self.console, refresh_per_second=2, transient=True, get_renderable=lambda: self._picture()
            )
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._live is not None:
            self._live.stop()

    def on_event(self, run_id: str, title: str, kind: str, values: Mapping[str, Any]) -> None:
        """Handle one event of one run."""
        if kind == "started":
            self._begin(run_id, title, values)
        elif kind == "epoch":
            words = [title, f"round {values['round']}/{self._rounds.get(run_id, 1)}", f"step {values['step']}"]
            self.running[run_id] = GAP.join([*words, *accuracies(validation=values["accuracy"])])
        elif kind == "warning":
            self.say(f"{title}: {values['text']}")
        elif kind in ENDED:
            self._end(run_id, title, kind, values)

    def say(self, line: str) -> None:
        """Print one line as it is."""
        self.console.out(line, highlight=False)

    def _begin(self, run_id: str, title: str, values: Mapping[str, Any]) -> None:
        self._rounds[run_id], self._began[run_id] = values["rounds"], self.clock()
        self.running[run_id] = title
        if values["first_step"]:
            self.say(f"{title}: resumes from step {values['first_step']}")

    def _end(self, run_id: str, title: str, kind: str, values: Mapping[str, Any]) -> None:
        self.running.pop(run_id, None)
        if kind == "interrupted":
            self.say(f"{title}: interrupted, its checkpoint is written")
            return
        self.finished += 1
        now = self.clock()
        seconds = duration(now - self._began.get(run_id, now))
        if kind == "done":
            what = accuracies(test=values["test_accuracy"], validation=values["validation_accuracy"])
        else:
            what = [f"{kind}: {values['why']}", f"run {run_id}"]
        self.say(GAP.join([f"[{self.finished}/{self.total}]", title, *what, seconds]))

    def _picture(self) -> RenderableType:
        lines = [Text(line, no_wrap=True, overflow="ellipsis") for line in list(self.running.values())]
        below = Table.grid(padding=(0, 2))
        took = self.clock() - self._started
        left = took / self.finished * (self.total - self.finished) if self.finished else None
        below.add_row(
            ProgressBar(max(self.total, 1), self.finished, width=40),
            f"{self.finished}/{self.total} runs",
            "" if left is None else f"about {duration(left)} left",
        )
        return Group(*lines, below)
