from __future__ import annotations

import io
import re
import sys
from dataclasses import replace

import pytest
from fake_events import RUN_ID, FakeClock, epoch_end, round_end, run_end, run_start
from rich.console import Console

from reinit_bench.reporting.console import RunConsole, duration

SHOW_CURSOR = "\x1b[?25h"


def log_lines(clock: FakeClock | None = None) -> tuple[RunConsole, io.StringIO]:
    out = io.StringIO()
    return RunConsole(Console(file=out, width=40), clock=clock or FakeClock()), out


def on_terminal(clock: FakeClock, width: int = 100) -> tuple[RunConsole, io.StringIO]:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, _environ={"TERM": "xterm"})
    return RunConsole(console, clock=clock), out


def plain(text: str) -> str:
    """Without the terminal's control sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_log_lines_are_exact_unwrapped_and_without_control_characters() -> None:
    clock = FakeClock()
    observer, out = log_lines(clock)
    observer.run_started(run_start(first_step=120))
    clock.now += 60.0  # loading and compiling are no part of the pace
    for step in range(1, 121):
        clock.now += 0.5
        observer.step_done(2, step)
    observer.epoch_ended(epoch_end(round_index=2, epoch=7, step=120, total_step=240))
    observer.round_ended(round_end())
    observer.run_ended(run_end())
    assert out.getvalue().splitlines() == [
        f"digits scnn lw seed 0: run {RUN_ID}, 4 rounds of at most 120 steps, resumes from step 120",
        "round 2/4  epoch 7  step 120/120  loss 1.1667  train 91.0%  validation 90.2%  at most 2 min 00 s left",
        "round 2/4  block 2  120 steps  train 99.1%  validation 95.0%  test 93.2%  8.1 s",
        f"digits scnn lw seed 0: test 93.2%  validation 95.0%  train 99.1%  results/runs/{RUN_ID}",
    ]
    assert out.getvalue().replace("\n", "").isprintable()


def test_an_epoch_line_comes_at_most_every_ten_seconds() -> None:
    clock = FakeClock()
    observer, out = log_lines(clock)
    observer.run_started(run_start())
    for epoch in range(1, 31):
        clock.now += 1.0
        observer.epoch_ended(epoch_end(epoch=epoch))
    assert re.findall(r"epoch (\d+)", out.getvalue()) == ["10", "20", "30"]


def test_a_run_cut_again_says_from_which_step_and_where_it_goes_on() -> None:
    observer, out = log_lines()
    observer.run_started(run_start(rounds=1, first_step=70))
    observer.step_done(1, 71)
    observer.step_done(1, 72)
    observer.run_ended(run_end("interrupted"))
    assert out.getvalue().splitlines() == [
        f"digits scnn lw seed 0: run {RUN_ID}, 1 round of at most 120 steps, resumes from step 70",
        "digits scnn lw seed 0: interrupted at step 72; the same command resumes from there",
    ]


def test_a_failed_run_leaves_the_error_to_the_command_line() -> None:
    observer, out = log_lines()
    observer.run_started(run_start())
    observer.run_ended(run_end("failed", error="the loss is NaN at step 3 of round 2"))
    assert len(out.getvalue().splitlines()) == 1


def test_what_does_not_exist_is_left_out() -> None:
    observer, out = log_lines()
    observer.round_ended(replace(round_end(index=1, block=0), validation_accuracy=None))
    observer.run_ended(run_end(validation_accuracy=None))
    assert out.getvalue().splitlines() == [
        "round 1/4  120 steps  train 99.1%  test 93.2%  8.1 s",
        f"run: test 93.2%  train 99.1%  results/runs/{RUN_ID}",
    ]


def test_a_terminal_follows_the_steps_and_keeps_a_line_for_each_round() -> None:
    clock = FakeClock()
    observer, out = on_terminal(clock)
    observer.run_started(run_start())
    assert "preparing" in plain(out.getvalue())
    for step in range(1, 21):
        clock.now += 1.0
        observer.step_done(1, step)
    clock.now += 0.5
    observer.epoch_ended(epoch_end(step=20, total_step=20))
    assert "digits scnn lw seed 0  round 1/4  step 20/120  train 91.0%  validation 90.2%" in plain(out.getvalue())
    observer.round_ended(round_end(index=1, steps=20, total_step=20))
    clock.now += 0.5
    observer.step_done(2, 1)
    # The round converged early: 21 of 20 + 3 x 120 steps.
    assert " 6% at most 5 min 59 s left" in plain(out.getvalue())
    observer.round_ended(round_end())
    observer.run_ended(run_end())
    lines = [line.strip() for line in plain(out.getvalue()).splitlines()]
    assert "round 2/4  block 2  120 steps  train 99.1%  validation 95.0%  test 93.2%  8.1 s" in lines
    assert lines[-1] == f"digits scnn lw seed 0: test 93.2%  validation 95.0%  train 99.1%  results/runs/{RUN_ID}"


def test_steps_redraw_at_most_four_times_a_second() -> None:
    clock = FakeClock()
    observer, out = on_terminal(clock)
    observer.run_started(run_start(steps_per_round=10_000))
    for step in range(1, 1001):
        clock.now += 1 / 1024
        observer.step_done(1, step)
    assert len(set(re.findall(r"step (\d+)/10000", plain(out.getvalue())))) == 4
    observer.close()


def test_a_narrow_terminal_cuts_lines_instead_of_wrapping_them() -> None:
    observer, out = on_terminal(FakeClock(), width=20)
    observer.run_started(run_start())
    observer.step_done(1, 1)
    observer.close()
    drawn = [line for line in plain(out.getvalue()).splitlines() if "rounds of at most" not in line]
    assert len(drawn) >= 4
    assert max(map(len, drawn)) <= 20


@pytest.mark.parametrize("state", ["done", "failed", "interrupted", None])
def test_the_terminal_is_restored_however_the_run_ends(state: str | None) -> None:
    """Also after an exception, of which only `close` tells; that may be called again."""
    before = sys.stdout, sys.stderr
    observer, out = on_terminal(FakeClock())
    observer.run_started(run_start())
    observer.step_done(1, 1)
    if state is not None:
        observer.run_ended(run_end(state))
    observer.close()
    observer.close()
    assert (sys.stdout, sys.stderr) == before
    assert out.getvalue().count(SHOW_CURSOR) == 1
    assert out.getvalue().rindex(SHOW_CURSOR) > out.getvalue().rindex("\x1b[?25l")
    length = len(out.getvalue())
    observer.step_done(1, 2)
    assert len(out.getvalue()) == length


def test_a_dumb_terminal_gets_lines() -> None:
    out = io.StringIO()
    RunConsole(Console(file=out, force_terminal=True, _environ={"TERM": "dumb"})).run_started(run_start())
    assert "\x1b" not in out.getvalue()


def test_a_file_gets_lines_also_where_colours_are_forced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    observer = RunConsole()
    observer.run_started(run_start())
    observer.close()
    assert capsys.readouterr().out == f"digits scnn lw seed 0: run {RUN_ID}, 4 rounds of at most 120 steps\n"


def test_durations_are_readable() -> None:
    seconds = (0.04, 9.94, 9.95, 59.6, 200, 3599.6, 7505, 273_600)
    words = ["0.0 s", "9.9 s", "10 s", "1 min 00 s", "3 min 20 s", "1 h 00 min", "2 h 05 min", "3 d 04 h"]
    assert list(map(duration, seconds)) == words
