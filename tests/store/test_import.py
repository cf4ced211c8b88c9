"""Imports: a run is there whole or is not done, and nothing of one's own is overwritten or disturbed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from factories import tiny_experiment
from finished_runs import finish, store_of

from reinit_bench.core.settings import ConfigError
from reinit_bench.store.bundle import pack
from reinit_bench.store.checks import RESULT
from reinit_bench.store.importing import ImportConflict, Imported, import_runs
from reinit_bench.store.lease import Lease
from reinit_bench.store.store import CHECKPOINTS, Store


def content(store: Store) -> dict[str, dict[str, bytes] | None]:
    return {run_id: store.run(run_id).finished_files() for run_id in store.run_ids()}


@pytest.fixture
def theirs(tmp_path: Path) -> Store:
    return store_of(tmp_path / "theirs", 0, 1)


@pytest.fixture
def ours(tmp_path: Path) -> Store:
    return Store(tmp_path / "ours")


def test_new_runs_are_written_and_known_ones_passed_over(theirs: Store, ours: Store) -> None:
    finish(ours.results_dir, tiny_experiment("seed=0"))
    mine = tiny_experiment("seed=5")
    finish(ours.results_dir, mine)
    assert import_runs(theirs, ours) == Imported(new=1, already=1, kept=0)
    assert import_runs(theirs, ours) == Imported(new=0, already=2, kept=0)
    assert {run_id: files for run_id, files in content(ours).items() if run_id != mine.run_id} == content(theirs)
    assert pack(ours, theirs.run_ids()).content == pack(theirs, theirs.run_ids()).content


def test_another_result_is_a_conflict_and_nothing_is_written(theirs: Store, ours: Store) -> None:
    experiment = tiny_experiment("seed=1")
    finish(ours.results_dir, experiment, accuracy=0.75)
    before = content(ours)
    with pytest.raises(ImportConflict) as error:
        import_runs(theirs, ours)
    assert str(error.value) == (
        f"run {experiment.run_id} (digits scnn lw seed 1) has another result here: test accuracy 0.7500 here, "
        f"0.9000 in the bundle; to take the bundle's, delete {ours.run(experiment.run_id).path}; "
        "nothing was imported; --keep leaves such runs as they are here"
    )
    assert content(ours) == before
    assert import_runs(theirs, ours, keep=True) == Imported(new=1, already=0, kept=1)
    assert content(ours)[experiment.run_id] == before[experiment.run_id]


def test_a_corrupt_result_of_ones_own_is_named_and_nothing_is_written(theirs: Store, ours: Store) -> None:
    harmed = ours.run(theirs.run_ids()[-1])
    harmed.create()
    (harmed.path / RESULT).write_text("{")
    with pytest.raises(ConfigError, match=r"result\.json is corrupt"):
        import_runs(theirs, ours)
    assert ours.run_ids() == [harmed.run_id]


def test_a_run_that_is_being_trained_is_left_alone(theirs: Store, ours: Store) -> None:
    held = ours.run(theirs.run_ids()[0])
    held.create()
    lease = Lease(held)
    assert lease.acquire() is None
    with pytest.raises(ImportConflict, match=rf"run {held.run_id} is being trained here by process {os.getpid()} on "):
        import_runs(theirs, ours)
    assert ours.run_ids() == [held.run_id]
    assert import_runs(theirs, ours, keep=True) == Imported(new=1, already=0, kept=1)
    lease.release("interrupted")
    assert not (held.path / RESULT).exists()


def test_what_an_interrupted_run_has_left_makes_room(theirs: Store, ours: Store) -> None:
    run_id = theirs.run_ids()[0]
    (theirs.run(run_id).path / "diagnostics.npz").unlink()
    (theirs.run(run_id).path / RESULT).write_text(
        json.dumps({k: v for k, v in (theirs.run(run_id).result() or {}).items() if k not in ("files", "sha256")})
    )
    cut = ours.run(run_id)
    cut.create()
    for name in ("history.jsonl", "diagnostics.npz", *CHECKPOINTS):
        (cut.path / name).write_bytes(b"left")
    cut.write_status({"state": "interrupted", "attempt": 3})
    import_runs(Store(theirs.results_dir), ours)
    assert content(ours) == content(Store(theirs.results_dir))
    assert sorted(path.name for path in cut.path.iterdir()) == [
        *(".lock", "config.yaml", "history.jsonl", "result.json", "rounds.jsonl", "status.json")
    ]
    assert cut.status()["state"] == "done"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_import_leaves_whole_runs_and_continues(theirs: Store, tmp_path: Path) -> None:
    file, results = tmp_path / "a.tar.gz", tmp_path / "killed"
    file.write_bytes(pack(theirs, theirs.run_ids()).content)
    program = Path(__file__).with_name("killed_imports.py")
    env = {**os.environ, "TMPDIR": tempfile.mkdtemp(dir=tmp_path)}
    done = subprocess.run(
        [sys.executable, str(program), str(file), str(results)], capture_output=True, text=True, check=True, env=env
    )
    lives = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lives) > 30
    assert [len(life["done"]) for life in lives] == sorted(len(life["done"]) for life in lives)
    assert {len(life["done"]) for life in lives} == {0, 1, 2}
    for life in lives:
        store = Store(results / str(life["life"]))
        for run_id in life["done"]:
            assert store.run(run_id).finished_files() == theirs.run(run_id).finished_files()
        assert import_runs(theirs, store) == Imported(new=2 - len(life["done"]), already=len(life["done"]), kept=0)
        assert content(store) == content(theirs)
