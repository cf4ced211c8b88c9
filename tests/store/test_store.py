"""The run store: nothing half-written, done only when it validates, every flipped bit named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from factories import tiny_experiment
from finished_runs import RESULT, store_of

from reinit_bench.store.checks import parsed_result
from reinit_bench.store.files import StoreError, remove_left, write_atomically, write_json
from reinit_bench.store.process import tag
from reinit_bench.store.store import CorruptResult, RunFolder, Store

RUN_ID = RESULT["run_id"]


def names(folder: RunFolder) -> set[str]:
    return {path.name for path in folder.path.iterdir()}


def test_a_write_that_fails_leaves_the_old_file_and_no_trace(folder: RunFolder) -> None:
    target = folder.path / "result.json"
    write_json(target, {"old": 1})

    def half(stream: Any) -> None:
        stream.write(b"half of it")
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match=r"cannot write .*result\.json: No space left on device"):
        write_atomically(target, half)
    assert json.loads(target.read_text()) == {"old": 1}
    assert names(folder) == {"result.json"}


def test_a_file_is_on_disk_before_it_gets_its_name(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a power failure could leave an empty file of that name."""
    happened = []
    sync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: (happened.append(os.fstat(number).st_size), sync(number)))
    monkeypatch.setattr(Path, "replace", lambda path, to: (happened.append(to.name), replace(path, to)))
    write_json(folder.path / "result.json", [1, 2])
    assert happened == [(folder.path / "result.json").stat().st_size, "result.json"]


def test_a_results_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    store = Store(tmp_path / "results")
    with pytest.raises(StoreError, match=r"cannot create .*: Not a directory; change results_dir"):
        store.run(RUN_ID).create()
    with pytest.raises(StoreError, match="is not a folder"):
        store.run_ids()


def test_a_result_is_read_if_there_is_one(folder: RunFolder, tmp_path: Path) -> None:
    assert Store(tmp_path).read_result(RUN_ID) is None
    write_json(folder.path / "result.json", RESULT)
    assert Store(tmp_path).read_result(RUN_ID) == RESULT


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "not JSON"),
        (json.dumps(RESULT)[:50], "not JSON"),
        ("[]", "not an object"),
        (json.dumps({**RESULT, "test_accuracy": 1.2}), "test_accuracy is 1.2, not a fraction"),
        (json.dumps({**RESULT, "test_accuracy": None}), "test_accuracy is None, not a fraction"),
        (json.dumps({**RESULT, "train_accuracy": True}), "train_accuracy is True, not a fraction"),
        (json.dumps({**RESULT, "run_id": "f" * 16}), "it belongs to run ffffffffffffffff"),
        (json.dumps({key: value for key, value in RESULT.items() if key != "steps"}), "no 'steps'"),
    ],
)
def test_a_result_that_does_not_validate_is_named(folder: RunFolder, content: str, why: str) -> None:
    (folder.path / "result.json").write_text(content)
    with pytest.raises(CorruptResult) as error:
        folder.result()
    assert str(error.value).startswith(f"{folder.path / 'result.json'} is corrupt: {why}")
    assert str(error.value).endswith("delete it and run the experiment again")
    assert "\n" not in str(error.value)


def test_other_files_and_folders_are_not_runs(tmp_path: Path) -> None:
    assert Store(tmp_path / "nowhere").run_ids() == []
    (tmp_path / "runs" / ".hidden").mkdir(parents=True)
    (tmp_path / "runs" / RUN_ID).mkdir()
    (tmp_path / "runs" / "notes.txt").write_text("")
    assert Store(tmp_path).run_ids() == [RUN_ID]


def done(folder: RunFolder) -> None:
    """A finished run with files of every kind."""
    folder.write_curve([{"index": 1, "steps": 80}], [{"epoch": 1, "train_loss": 0.5}])
    folder.write_diagnostics({"weights.size": [1.0, 2.0]})
    folder.write_result(RESULT)


def test_every_flipped_bit_of_a_result_is_named(folder: RunFolder) -> None:
    done(folder)
    path = folder.path / "result.json"
    whole = path.read_bytes()
    assert parsed_result(whole, RUN_ID)["test_accuracy"] == 0.9
    for position in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(ValueError, match=r"."):
            parsed_result(bytes(flipped), RUN_ID)


@pytest.mark.parametrize("name", ["rounds.jsonl", "history.jsonl", "diagnostics.npz"])
@pytest.mark.parametrize("harm", ["flipped", "cut", "emptied", "removed"])
def test_a_harmed_file_of_a_finished_run_is_named(folder: RunFolder, name: str, harm: str) -> None:
    done(folder)
    path = folder.path / name
    content = bytearray(path.read_bytes())
    assert folder.read(name) == bytes(content)
    if harm == "flipped":
        content[len(content) // 2] ^= 4
    path.write_bytes({"flipped": content, "cut": content[:-9], "emptied": b""}.get(harm, b""))
    if harm == "removed":
        path.unlink()
    why = "is missing" if harm == "removed" else "has changed since the run was done"
    with pytest.raises(StoreError, match=f"{name} {why}; delete result.json there to run the experiment again"):
        folder.read(name)


def test_a_result_without_hashes_is_read_as_it_was(folder: RunFolder) -> None:
    write_json(folder.path / "result.json", RESULT)
    (folder.path / "rounds.jsonl").write_text("{}\n")
    assert folder.result() == RESULT
    assert folder.read("rounds.jsonl") == b"{}\n"


def test_what_a_kill_at_the_very_end_left_is_tidied(folder: RunFolder) -> None:
    done(folder)
    for name in ("checkpoint.pt", "checkpoint.previous.pt", ".rounds.jsonl.12-ab.tmp"):
        (folder.path / name).write_bytes(b"left")
    folder.tidy()
    assert names(folder) == {"result.json", "rounds.jsonl", "history.jsonl", "diagnostics.npz"}


def test_what_a_killed_command_left_is_removed_by_the_next(tmp_path: Path) -> None:
    code = "import os, sys; from reinit_bench.store.files import write_atomically; from pathlib import Path;"
    kill = "write_atomically(Path(sys.argv[1]), lambda stream: os.kill(os.getpid(), 9))"
    subprocess.run([sys.executable, "-c", code + kill, str(tmp_path / "runs.tar.gz")])
    (left,) = tmp_path.iterdir()
    living = tmp_path / f".runs.tar.gz.{tag()}-00000000.tmp"
    elsewhere = tmp_path / ".runs.tar.gz.ffffffff-1-00000000.tmp"
    for path in (living, elsewhere):
        path.touch()
    remove_left(tmp_path, ".runs.tar.gz.*.tmp")
    assert left.name.startswith(".runs.tar.gz.")
    assert set(tmp_path.iterdir()) == {living, elsewhere}


OPENS = """
import os, sys
counts = {}
def watch(event, details):
    if event == "open" and details[1] is None:
        return  # the opener of an open that has been counted
    if event in ("open", "os.scandir", "os.listdir") and isinstance(details[0], (str, os.PathLike)):
        name = os.fspath(details[0])
        if f"runs{os.sep}" in name:
            run = name.split(f"runs{os.sep}")[1].split(os.sep)[0]
            counts[run] = counts.get(run, 0) + 1
sys.addaudithook(watch)
from reinit_bench.cli.main import main
main(sys.argv[1:])
print(max(counts.values()), len(counts))
"""


@pytest.mark.parametrize(("command", "most"), [("status", 3), ("tables", 1)])
def test_a_run_is_read_once(command: str, most: int, tmp_path: Path) -> None:
    store_of(tmp_path / "results", 0, 1)
    begun = tiny_experiment("method=bl")
    folder = Store(tmp_path / "results").run(begun.run_id)
    folder.create()
    folder.write_config(begun)
    folder.write_status({"state": "interrupted", "attempt": 1})
    said = subprocess.run(
        [sys.executable, "-c", OPENS, command], capture_output=True, text=True, check=True, cwd=tmp_path
    ).stdout
    assert said.splitlines()[-1] == f"{most} 3"
