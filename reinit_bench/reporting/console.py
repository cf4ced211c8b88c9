"""What a run shows while it trains: lines, and on a terminal a progress bar below them."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, Task, TextColumn
from rich.text import Text

from reinit_bench.reporting.lines import GAP, accuracies, duration, end_line, epoch_line, round_line, start_line
from reinit_bench.training.observer import EpochEnd, Observer, RoundEnd, RunEnd, RunStart

SECONDS_BETWEEN_EPOCH_LINES = 10.0
SECONDS_BETWEEN_REDRAWS = 0.25


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


def time_left(task: Task) -> str:
    """`at most 3 min 20 s left`: rounds may end early, so the estimate is an upper bound. Empty before two steps."""
    seconds = task.time_remaining
    return "" if seconds is None else f"at most {duration(seconds)} left"


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
        self.close()
        self.title, self.total_step = event.title, event.first_step
        self._rounds, self._steps_per_round = event.rounds, event.steps_per_round
        self._words, self._accuracies = ["preparing"], []
        self._drawn_at, self._epoch_line_at = -math.inf, self.clock()
        self.bar.say(start_line(event))
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
            self.bar.say(epoch_line(event, self._rounds, self._steps_per_round, time_left(self.bar.tasks[0])))

    def round_ended(self, event: RoundEnd) -> None:
        self._accuracies = []
        # The steps that a converged round did not need are no longer ahead.
        for task in self.bar.tasks:
            task.total = (task.total or 0) - (self._steps_per_round - event.steps)
        self.bar.say(round_line(event))

    def run_ended(self, event: RunEnd) -> None:
        self.close()
        # The command line reports what went wrong, on standard error.
        if event.state != "failed":
            self.bar.say(end_line(event, self.title, self.total_step))

    def close(self) -> None:
        """Restore the terminal; may be called at any time, and more than once."""
        self.bar.stop()

    def _lines(self) -> list[str]:
        return [GAP.join([self.title, *self._words, *self._accuracies])]

    def _draw(self) -> None:
        self._drawn_at = self.clock()
        [task] = self.bar.tasks
        self.bar.update(task.id, completed=self.total_step)
        self.bar.update(task.id, left=time_left(task), refresh=True)
