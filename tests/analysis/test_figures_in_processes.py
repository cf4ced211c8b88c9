"""Figures drawn in several processes: the same answers in the same order, and one line for what goes wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from reinit_bench.analysis.figures import KnownFigure, NothingToDraw, in_processes
from reinit_bench.analysis.figures.in_processes import drawn
from reinit_bench.analysis.runs.collect import Collection, collect
from reinit_bench.core.settings import ConfigError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes that begin as a copy of this one")


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_processes, "cores", lambda: 2)


def known(draw: object) -> KnownFigure:
    return KnownFigure(draw, caption="", from_paper=False)  # type: ignore[arg-type]


def titled(collection: Collection) -> Figure:
    warnings.warn("a line of the history is torn", stacklevel=1)
    figure = Figure()
    figure.suptitle("drawn")
    return figure


def nothing(collection: Collection) -> Figure:
    raise NothingToDraw("nothing: no runs")


def title_and_process(name: str, figure: Figure) -> tuple[str, str, int]:
    return name, figure.get_suptitle(), os.getpid()


def test_each_figure_or_its_reason_comes_back_in_order(tmp_path: Path) -> None:
    figures = {"c": known(titled), "a": known(nothing), "b": known(titled)}
    with pytest.warns(UserWarning, match="a line of the history is torn") as warned:
        answers = dict(drawn(figures, collect(tmp_path), title_and_process))
    assert len(warned) == 2
    assert list(answers) == ["c", "a", "b"]
    assert isinstance(answers["a"], NothingToDraw)
    assert str(answers["a"]) == "nothing: no runs"
    for name in ("c", "b"):
        found = answers[name]
        assert not isinstance(found, ConfigError)
        assert found[:2] == (name, "drawn")
        assert found[2] != os.getpid()


def test_a_killed_process_is_one_line(tmp_path: Path) -> None:
    def dies(collection: Collection) -> Figure:
        os.kill(os.getpid(), signal.SIGKILL)
        return Figure()

    with pytest.raises(ConfigError, match=r"a process that draws figures has ended \(out of memory, or killed by hand"):
        list(drawn({"a": known(dies), "b": known(dies)}, collect(tmp_path), title_and_process))


INTERRUPTED = """
import os, signal, sys, time
from pathlib import Path
from matplotlib.figure import Figure
from reinit_bench.analysis.figures import KnownFigure, in_processes
from reinit_bench.analysis.runs.collect import collect

def draw(collection):
    os.killpg(os.getpgid(0), signal.SIGINT)  # as Ctrl-C in a terminal: all processes get it
    time.sleep(0.5)
    return Figure()

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs in the background
in_processes.cores = lambda: 2
known = KnownFigure(draw, caption="", from_paper=False)
try:
    list(in_processes.drawn({str(n): known for n in range(40)}, collect(Path(sys.argv[1])), lambda name, figure: name))
except KeyboardInterrupt:
    print("stopped")
"""


def test_ctrl_c_stops_them_without_a_word_of_theirs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)],
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("stopped\n", "")


KILLED = """
import os, signal, sys, time
from pathlib import Path
from matplotlib.figure import Figure
from reinit_bench.analysis.figures import KnownFigure, in_processes
from reinit_bench.analysis.runs.collect import collect

in_processes.cores = lambda: 2
known = KnownFigure(lambda collection: Figure(), caption="", from_paper=False)
def make(name, figure):
    os.write(1, b"%d\\n" % os.getpid())
    return bytes(2**20)  # more than a pipe holds

for name, made in in_processes.drawn({str(n): known for n in range(40)}, collect(Path(sys.argv[1])), make):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nobody_is_left_when_the_first_process_is_killed(tmp_path: Path) -> None:
    # Its output ends when the last process that could write to it has ended.
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, "")
    assert len(set(done.stdout.split())) == 2
