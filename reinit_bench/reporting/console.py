"""What a run shows while it trains: a live display on a terminal, log lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from reinit_bench.reporting.lines import GAP, accuracies, end_line, epoch_line, round_line, start_line, time_left
from reinit_bench.reporting.pace import Pace
from reinit_bench.training.observer import EpochEnd, Observer, RoundEnd, RunEnd, RunStart

SECONDS_BETWEEN_EPOCH_LINES = 10.0
SECONDS_BETWEEN_REDRAWS = 0.25


def console_observer(
    console: Console | None = None, *, clock: Callable[[], float] = time.monotonic
) -> LogLines | LiveProgress:
    """The display that fits `console` (default: standard output).

    Call its `close` if an exception ends the training, to restore the terminal.
    """
    # Set explicitly, because rich takes the variable FORCE_COLOR to mean a terminal, even when it writes to a file.
    console = console or Console(force_terminal=sys.stdout.isatty())
    live = console.is_terminal and not console.is_dumb_terminal
    return LiveProgress(console, clock) if live else LogLines(console, clock)


class LogLines(Observer):
    """A line when the run starts, when a round ends and when the run ends, and now and then one for an epoch."""

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        self.console = console
        self.clock = clock
        self.title = "run"
        self.total_step = 0
        self.pace = Pace(1, 1, clock)
        self._last_epoch_line = 0.0

    def run_started(self, event: RunStart) -> None:
        self.title = event.title
        self.total_step = event.first_step
        self.pace = Pace(event.rounds, event.steps_per_round, self.clock)
        self._last_epoch_line = self.clock()
        self.say(start_line(event))

    def step_done(self, round_index: int, step: int) -> None:
        self.total_step += 1
        self.pace.advance(round_index, step)

    def epoch_ended(self, event: EpochEnd) -> None:
        self.total_step = event.total_step  # the exact count, even if steps were not reported one by one
        now = self.clock()
        if now - self._last_epoch_line >= SECONDS_BETWEEN_EPOCH_LINES:
            self._last_epoch_line = now
            self.say(epoch_line(event, self.pace))

    def round_ended(self, event: RoundEnd) -> None:
        self.say(round_line(event))

    def run_ended(self, event: RunEnd) -> None:
        self.close()
        # The command line reports what went wrong, on standard error.
        if event.state != "failed":
            self.say(end_line(event, self.title, self.total_step))

    def close(self) -> None:
        """Restore the terminal; may be called at any time, and more than once."""

    def say(self, line: str) -> None:
        """Print one line as it is: not wrapped, not coloured."""
        self.console.out(line, highlight=False)


class LiveProgress(LogLines):
    """Two lines that follow the training, below the lines of what is finished.

    Redrawn from `step_done` itself, a few times a second: no thread draws while the training runs, and a step that does
    not redraw costs under a microsecond.
    """

    def __init__(self, console: Console, clock: Callable[[], float]) -> None:
        super().__init__(console, clock)
        self._live: Live | None = None
        self._epoch: EpochEnd | None = None
        self._drawn_at = 0.0

    def run_started(self, event: RunStart) -> None:
        self.close()
        super().run_started(event)
        self._epoch = None
        self._live = Live(self._picture(), console=self.console, auto_refresh=False, transient=True)
        self._live.start(refresh=True)

    def step_done(self, round_index: int, step: int) -> None:
        self.total_step += 1
        self.pace.advance(round_index, step)
        if self.clock() - self._drawn_at >= SECONDS_BETWEEN_REDRAWS:
            self._draw()

    def epoch_ended(self, event: EpochEnd) -> None:
        self.total_step = event.total_step
        self._epoch = event
        if self.clock() - self._drawn_at >= SECONDS_BETWEEN_REDRAWS:
            self._draw()

    def round_ended(self, event: RoundEnd) -> None:
        self._epoch = None
        super().round_ended(event)

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self) -> None:
        self._drawn_at = self.clock()
        if self._live is not None:
            self._live.update(self._picture(), refresh=True)

    def _picture(self) -> RenderableType:
        pace = self.pace
        words = [self.title, f"round {pace.round}/{pace.rounds}", f"step {pace.step}/{pace.steps_per_round}"]
        if pace.taken == 0:
            words = [self.title, "preparing"]
        if self._epoch is not None:
            words += accuracies(train=self._epoch.train_accuracy, validation=self._epoch.validation_accuracy)
        below = Table.grid(padding=(0, 2))
        below.add_row(ProgressBar(1.0, pace.fraction, width=40), f"{pace.fraction:.0%}", time_left(pace))
        return Group(Text(GAP.join(words), no_wrap=True, overflow="ellipsis"), below)
