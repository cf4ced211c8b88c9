"""The layers in C are used where they were measured to be faster: once a machine, whatever happens to the file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import compiled_layers
import pytest
import torch
from filelock import FileLock

from reinit_bench.core.machine import processor
from reinit_bench.kernels import choice, library
from reinit_bench.kernels.choice import KINDS, Choice
from reinit_bench.models.layers import Conv

Inject = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def own_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    reason = compiled_layers.obstacle()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture
def inject(monkeypatch: pytest.MonkeyPatch) -> Inject:
    """Replaces the timing: convolution and norm take so many seconds, torch's one second each; lists the calls."""

    def injected(convolution: float, norm: float) -> list[str]:
        calls = []

        def measure() -> dict[str, tuple[float, float]]:
            calls.append("measured")
            return {"convolution": (convolution, 1.0), "norm": (norm, 1.0)}

        monkeypatch.setattr(choice, "measure", measure)
        return calls

    return injected


def choose() -> Choice:
    """What a new process chooses."""
    return choice.choice_here.__wrapped__()


@pytest.mark.parametrize(
    ("convolution", "norm", "kinds"),
    [(0.5, 0.8, set(KINDS)), (0.5, 2.0, {"convolution"}), (1.5, 0.5, {"norm"}), (0.95, 1.0, set())],
)
def test_what_is_clearly_faster_is_used(inject: Inject, convolution: float, norm: float, kinds: set[str]) -> None:
    inject(convolution, norm)
    assert choose().kinds == kinds


def test_a_layer_is_computed_as_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = compiled_layers.use_compiled_layers(monkeypatch)
    layer, x = Conv(32, 32, 3, padding=1), torch.randn(8, 32, 8, 8)
    layer(x)
    assert calls == {"winograd": 1}
    assert library.used() == sorted(KINDS)
    library.use(["norm"])
    layer(x)
    assert calls == {"winograd": 1}
    # The next run asks the machine, whose answer is that of before.
    library.use(None)
    assert library.used() is None
    layer(x)
    assert calls == {"winograd": 2}


def test_it_is_measured_once_and_kept(inject: Inject, tmp_path: Path) -> None:
    calls = inject(0.5, 2.0)
    first = choose()
    assert first.path is not None
    assert first.path.is_relative_to(tmp_path)
    inject(2.0, 0.5)
    assert choose() == first
    assert calls == ["measured"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"convolution": [1, 2]}',
        b'{"convolution": [1, 2], "norm": [1]}',
        b'{"convolution": [1, 2], "norm": [1, "x"]}',
        b'{"convolution": [1, 2], "norm": [0, 1]}',
        b'{"convolution": [1, 2], "norm": [NaN, 1]}',
    ],
)
def test_a_corrupt_file_is_measured_again(inject: Inject, content: bytes) -> None:
    inject(0.5, 0.5)
    path = choose().path
    assert path is not None
    path.write_bytes(content)
    calls = inject(2.0, 0.5)
    assert choose().kinds == {"norm"}
    assert choose().kinds == {"norm"}
    assert calls == ["measured"]


@pytest.mark.parametrize("what", ["processor", "torch", "library", "capability"])
def test_another_machine_or_version_is_measured_anew(
    inject: Inject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    inject(0.5, 0.5)
    before = choose()
    if what == "processor":
        monkeypatch.setattr(choice, "processor", lambda: {**processor(), "model name": "another"})
    elif what == "torch":
        monkeypatch.setattr(choice, "version", lambda name: "99.0")
    elif what == "capability":
        monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    else:
        changed = tmp_path / "libcompiled.so"
        changed.write_bytes(choice.COMPILED.read_bytes() + b"\0")
        monkeypatch.setattr(choice, "COMPILED", changed)
    inject(2.0, 2.0)
    after = choose()
    assert (before.kinds, after.kinds) == (set(KINDS), set())
    assert before.path != after.path


def test_without_a_folder_to_keep_it_in_every_process_measures(
    inject: Inject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    calls = inject(0.5, 2.0)
    for _ in range(2):
        assert (choose().kinds, choose().path) == ({"convolution"}, None)
    assert len(calls) == 4


def test_a_user_without_a_home_measures_too(inject: Inject, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    inject(0.5, 2.0)
    assert choose() == Choice({"convolution": (0.5, 1.0), "norm": (2.0, 1.0)})


def test_a_lock_that_nobody_releases_is_not_waited_for_forever(inject: Inject, monkeypatch: pytest.MonkeyPatch) -> None:
    inject(0.5, 0.5)
    path = choose().path
    assert path is not None
    path.unlink()
    monkeypatch.setattr(choice, "_SECONDS", 0.1)
    with FileLock(path.with_suffix(".lock")):
        assert choose().kinds == set(KINDS)


BEGIN_TOGETHER = """
import os, sys, time
from pathlib import Path
from reinit_bench.kernels import choice

def measure():
    time.sleep(0.5)
    Path(sys.argv[1], str(os.getpid())).touch()
    return {"convolution": (1.0, 1.0 + os.getpid()), "norm": (1.0 + os.getpid(), 1.0)}

choice.measure = measure
Path(sys.argv[2], str(os.getpid())).touch()
while len(os.listdir(sys.argv[2])) < 3:
    time.sleep(0.01)
print(sorted(choice.choice_here().seconds.items()))
"""


def test_processes_that_begin_at_once_agree(tmp_path: Path) -> None:
    folders = tmp_path / "measured", tmp_path / "begun"
    for folder in folders:
        folder.mkdir()
    words = [sys.executable, "-c", BEGIN_TOGETHER, *map(str, folders)]
    started = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0]
    assert len(set(said)) == 1
    assert len(list(folders[0].iterdir())) == 1


def test_a_library_that_this_processor_cannot_run_is_not_loaded(
    inject: Inject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(choice, "processor", lambda: {"model name": "old", "flags": "sse2 avx fma"})
    monkeypatch.setattr(choice.ctypes, "CDLL", lambda path: pytest.fail("it was loaded"))
    calls = inject(0.5, 0.5)
    assert (choose().kinds, choose().obstacle, calls) == (set(), "ours need a processor with avx2", [])
    assert library.library.__wrapped__() is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "ours were not compiled; installing them needs Linux and a C compiler"), (b"x", "ours cannot be loaded: ")],
)
def test_without_a_library_layers_are_torchs(
    inject: Inject, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "libcompiled.so").write_bytes(content)
    monkeypatch.setattr(choice, "COMPILED", tmp_path / "libcompiled.so")
    calls = inject(0.5, 0.5)
    found = choose()
    assert found.obstacle is not None
    assert found.obstacle.startswith(reason)
    assert (found.kinds, calls, library.library.__wrapped__()) == (set(), [], None)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "its process ended with code -4: it said nothing"),
        ("raise ValueError('odd')", "its process ended with code 1: ValueError: odd"),
        ("print('odd')", "its process ended with code 0: it said nothing"),
    ],
)
def test_if_the_timing_fails_layers_are_torchs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, reason: str
) -> None:
    """An illegal instruction ends the process that times, not the run; nothing is kept."""
    (tmp_path / "timing.py").write_text(program)
    monkeypatch.setattr(choice, "_TIMING", tmp_path / "timing.py")
    found = choose()
    assert (found.kinds, found.obstacle) == (set(), f"timing ours failed: {reason}")
    assert not list(tmp_path.rglob("*.json"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert "No such file" in str(choose().obstacle)


@pytest.mark.slow
def test_the_real_timing_measures_every_kind() -> None:
    found = choose()
    assert found.obstacle is None
    assert found.path is not None
    assert set(found.seconds) == set(json.loads(found.path.read_text())) == set(KINDS)
    assert all(0 < seconds < 10 for pair in found.seconds.values() for seconds in pair)
