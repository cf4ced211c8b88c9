"""What is shown while runs train: lines, and on a terminal a progress bar below them; of one run, or of a sweep."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, Task, TextColumn
from rich.text import Text

from reinit_bench.training.observer import EpochEnd, Observer, RoundEnd, RunEnd, RunStart

SECONDS_BETWEEN_EPOCH_LINES = 10.0
SECONDS_BETWEEN_REDRAWS = 0.25
GAP = "  "


def duration(seconds: float) -> str:
    """Seconds in words: `8.1 s`, `43 s`, `3 min 20 s`, `2 h 05 min`, `3 d 04 h`."""
    whole = round(seconds)
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"


def accuracies(**fractions: float | None) -> list[str]:
    """Each accuracy by its name, in percent; those that are None are left out."""
    return [f"{name} {fraction:.1%}" for name, fraction in fractions.items() if fraction is not None]


class Bar(Progress):
    """Lines of text with a progress bar below them; shows nothing where the output is no terminal.

    Args:
        lines: gives the lines above the bar, each time it is drawn.
        count: how the bar says what is done, such as `{task.percentage:.0f}%`.
        refreshes: how often a thread redraws it in a second; 0: it is redrawn by `refresh` only.
    """

    def __init__(
        self,
        console: Console,
        clock: Callable[[], float],
        *,
        lines: Callable[[], Iterable[str]],
        count: str,
        refreshes: float = 0,
    ) -> None:
        self._lines = lines  # first: rich draws once in its constructor
        super().__init__(
            BarColumn(),
            TextColumn(count),
            TextColumn("{task.fields[left]}"),
            console=console,
            auto_refresh=refreshes > 0,
            refresh_per_second=refreshes or 1,
            speed_estimate_period=math.inf,
            transient=True,
            get_time=clock,
            disable=not console.is_terminal or console.is_dumb_terminal,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        yield from [Text(line, no_wrap=True, overflow="ellipsis") for line in self._lines()]
        yield self.make_tasks_table(self.tasks)

    def say(self, line: str) -> None:
        """Print one line above, as it is: not wrapped, not coloured."""
        self.console.out(line, highlight=False)


class RunConsole(Observer):
    """A line when the run starts, when a round ends and when the run ends; in between a bar, or a line now and then.

    The bar is redrawn from `step_done` itself, a few times a second: no thread draws while the training runs, and a
    step that does not redraw costs under a microsecond. Call `close` if an exception ends the training, to restore the
    terminal.
    """

    def __init__(self, console: Console | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        # Set explicitly, because rich takes the variable FORCE_COLOR to mean a terminal, even when it writes to a file.
        console = console or Console(force_terminal=sys.stdout.isatty())
        self.title = "run"
        self.total_step = 0
        self._steps_per_round = self._rounds = 1
        self._words: list[str] = []
        self._accuracies: list[str] = []
        self._drawn_at = self._epoch_line_at = 0.0
        self.clock = clock
        self.bar = Bar(console, clock, lines=self._lines, count="{task.percentage:.0f}%")

    def run_started(self, event: RunStart) -> None:
        """Say what starts, and from which step a resumed run continues."""
        self.close()
        self.title, self.total_step = event.title, event.first_step
        self._rounds, self._steps_per_round = event.rounds, event.steps_per_round
        self._words, self._accuracies = ["preparing"], []
        self._drawn_at, self._epoch_line_at = -math.inf, self.clock()
        rounds = f"{event.rounds} round{'s' if event.rounds > 1 else ''} of at most {event.steps_per_round} steps"
        resumes = f", resumes from step {event.first_step}" if event.first_step else ""
        self.bar.say(f"{event.title}: run {event.run_id}, {rounds}{resumes}")
        for task in self.bar.task_ids:
            self.bar.remove_task(task)
        self.bar.add_task("", total=event.rounds * event.steps_per_round, completed=event.first_step, left="")
        self.bar.start()

    def step_done(self, round_index: int, step: int) -> None:
        self.total_step += 1
        if self.clock() - self._drawn_at >= SECONDS_BETWEEN_REDRAWS:
            self._words = [f"round {round_index}/{self._rounds}", f"step {step}/{self._steps_per_round}"]
            self._draw()

    def epoch_ended(self, event: EpochEnd) -> None:
        self.total_step = event.total_step  # the exact count, even if steps were not reported one by one
        self._accuracies = accuracies(train=event.train_accuracy, validation=event.validation_accuracy)
        now = self.clock()
        if now - self._drawn_at >= SECONDS_BETWEEN_REDRAWS:
            self._draw()
        if self.bar.disable and now - self._epoch_line_at >= SECONDS_BETWEEN_EPOCH_LINES:
            self._epoch_line_at = now
            step = f"step {event.step}/{self._steps_per_round}"
            loss = f"loss {sum(event.losses) / len(event.losses):.4f}" if event.losses else ""  # the epoch's mean
            words = [f"round {event.round}/{self._rounds}", f"epoch {event.epoch}", step, loss, *self._accuracies]
            self.bar.say(GAP.join(filter(None, [*words, _at_most(self.bar.tasks[0])])))

    def round_ended(self, event: RoundEnd) -> None:
        """A round's results; block 0, of methods that do not go block by block, is left out."""
        self._accuracies = []
        # The steps that a converged round did not need are no longer ahead.
        for task in self.bar.tasks:
            task.total = (task.total or 0) - (self._steps_per_round - event.steps)
        found = accuracies(train=event.train_accuracy, validation=event.validation_accuracy, test=event.test_accuracy)
        block = f"block {event.block}" if event.block else ""
        words = [f"round {event.round}/{event.rounds}", block, f"{event.steps} steps", *found, duration(event.seconds)]
        self.bar.say(GAP.join(filter(None, words)))

    def run_ended(self, event: RunEnd) -> None:
        """Say the accuracies and the folder, or the step to resume from; the command line says what went wrong."""
        self.close()
        if event.state == "interrupted":
            self.bar.say(f"{self.title}: interrupted at step {self.total_step}; the same command resumes from there")
        elif event.state != "failed":
            found = {name: event.summary.get(f"{name}_accuracy") for name in ("test", "validation", "train")}
            first, *words = accuracies(**found) or [event.state]
            self.bar.say(GAP.join([f"{self.title}: {first}", *words, event.directory]))

    def close(self) -> None:
        """Restore the terminal; may be called at any time, and more than once."""
        self.bar.stop()

    def _lines(self) -> list[str]:
        return [GAP.join([self.title, *self._words, *self._accuracies])]

    def _draw(self) -> None:
        self._drawn_at = self.clock()
        [task] = self.bar.tasks
        self.bar.update(task.id, completed=self.total_step)
        self.bar.update(task.id, left=_at_most(task), refresh=True)


def _at_most(task: Task) -> str:
    """`at most 3 min 20 s left`: rounds may end early, so the estimate is an upper bound. Empty before two steps."""
    seconds = task.time_remaining
    return "" if seconds is None else f"at most {duration(seconds)} left"


class SweepConsole:
    """A line per finished run of a sweep, below them the running ones; a context manager that restores the terminal.

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
        elif kind in ("done", "failed", "interrupted", "held"):
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
