"""Checkpoint files: damage is noticed, and after a kill at any moment the newest complete one is found."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from bits import bit_equal

from reinit_bench.store.files import StoreError
from reinit_bench.training.checkpoint import (
    INCOMING,
    NAME,
    PREVIOUS,
    CorruptCheckpoint,
    latest_checkpoint,
    read_checkpoint,
    save_checkpoint,
)

CPU = torch.device("cpu")


class Killed(BaseException):
    """Stands for a kill between two file operations."""


def numbered(number: int) -> dict[str, Any]:
    return {"number": number, "weights": torch.full((2, 3), float(number))}


def found(folder: Path) -> int | None:
    """The number of the newest complete checkpoint; there must be no problem to report."""
    state, problems = latest_checkpoint(folder, CPU)
    assert problems == []
    return None if state is None else int(state["number"])


def kill_at_rename_of(name: str, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """While `monkeypatch` lasts, renaming the file `name` raises."""
    replace = Path.replace

    def replace_or_die(self: Path, target: Path) -> Path:
        if self.name == name:
            raise error
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_or_die)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    state = {
        "net": {"w": torch.tensor([[1.5, -0.0], [float("inf"), 1e-45]]), "n": torch.tensor(3)},
        "round": {"step": 3, "lr": 0.003, "losses": [0.1, 0.2], "best": {}, "loss": float("inf")},
        "last_optimizer": None,
    }
    save_checkpoint(tmp_path, state)
    assert bit_equal(read_checkpoint(tmp_path / NAME, CPU), state)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_an_empty_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path, CPU) == (None, [])
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / NAME, CPU)


def test_only_the_previous_checkpoint_is_kept(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        save_checkpoint(tmp_path, numbered(number))
    assert {path.name for path in tmp_path.iterdir()} == {NAME, PREVIOUS}
    assert read_checkpoint(tmp_path / NAME, CPU)["number"] == 3
    assert read_checkpoint(tmp_path / PREVIOUS, CPU)["number"] == 2
    assert found(tmp_path) == 3


def test_a_flipped_bit_anywhere_is_found(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, numbered(1))
    path = tmp_path / NAME
    content = path.read_bytes()
    for position in range(len(content)):
        altered = bytearray(content)
        altered[position] ^= 1 << position % 8
        path.write_bytes(altered)
        with pytest.raises(CorruptCheckpoint):
            read_checkpoint(path, CPU)


def test_a_file_cut_anywhere_is_found(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, numbered(1))
    path = tmp_path / NAME
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(CorruptCheckpoint):
            read_checkpoint(path, CPU)


def test_a_damaged_checkpoint_is_named_and_the_previous_one_used(tmp_path: Path) -> None:
    for number in (1, 2):
        save_checkpoint(tmp_path, numbered(number))
    newest = tmp_path / NAME
    newest.write_bytes(newest.read_bytes()[:-1])
    state, problems = latest_checkpoint(tmp_path, CPU)
    assert state is not None
    assert bit_equal(state, numbered(1))
    assert problems == [f"{newest} is truncated or altered: its checksum does not match; using the previous one"]


def test_if_every_checkpoint_is_damaged_all_are_named(tmp_path: Path) -> None:
    for number in (1, 2):
        save_checkpoint(tmp_path, numbered(number))
    (tmp_path / NAME).write_bytes(b"PK\x03\x04 something else's file")
    (tmp_path / PREVIOUS).write_bytes(b"")
    assert latest_checkpoint(tmp_path, CPU) == (
        None,
        [
            f"{tmp_path / NAME} is not a checkpoint; starting from scratch",
            f"{tmp_path / PREVIOUS} is not a checkpoint; starting from scratch",
        ],
    )


def test_a_file_without_our_header_is_not_a_checkpoint(tmp_path: Path) -> None:
    torch.save(numbered(1), tmp_path / NAME)
    with pytest.raises(CorruptCheckpoint, match="is not a checkpoint"):
        read_checkpoint(tmp_path / NAME, CPU)


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class MakesAFolder:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    buffer = io.BytesIO()
    torch.save({"number": MakesAFolder()}, buffer)
    payload = buffer.getvalue()
    framed = b"reinit-bench checkpoint 1\n" + hashlib.sha256(payload).digest() + payload
    (tmp_path / NAME).write_bytes(framed)
    with pytest.raises(pickle.UnpicklingError):
        read_checkpoint(tmp_path / NAME, CPU)
    assert not (tmp_path / "ran").exists()


def test_the_digest_is_the_sha256_of_what_follows_it(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, numbered(1))
    magic, _, rest = (tmp_path / NAME).read_bytes().partition(b"\n")
    assert magic == b"reinit-bench checkpoint 1"
    assert rest[:32] == hashlib.sha256(rest[32:]).digest()


@pytest.mark.parametrize(("renaming", "left"), [(NAME, {INCOMING, NAME, PREVIOUS}), (INCOMING, {INCOMING, PREVIOUS})])
def test_a_kill_before_either_rename_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renaming: str, left: set[str]
) -> None:
    for number in (1, 2):
        save_checkpoint(tmp_path, numbered(number))
    with monkeypatch.context() as patch:
        kill_at_rename_of(renaming, patch, Killed())
        with pytest.raises(Killed):
            save_checkpoint(tmp_path, numbered(3))
    assert {path.name for path in tmp_path.iterdir()} == left
    assert found(tmp_path) == 3
    save_checkpoint(tmp_path, numbered(4))
    assert {path.name for path in tmp_path.iterdir()} == {NAME, PREVIOUS}
    assert found(tmp_path) == 4


def test_a_newest_checkpoint_torn_between_the_renames_leaves_the_previous_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        save_checkpoint(tmp_path, numbered(number))
    with monkeypatch.context() as patch:
        kill_at_rename_of(INCOMING, patch, Killed())
        with pytest.raises(Killed):
            save_checkpoint(tmp_path, numbered(3))
    (tmp_path / INCOMING).write_bytes(b"")
    state, problems = latest_checkpoint(tmp_path, CPU)
    assert state is not None
    assert state["number"] == 2
    assert problems == [f"{tmp_path / INCOMING} is not a checkpoint; using the previous one"]


def test_a_file_system_error_is_reported_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, numbered(1))
    with monkeypatch.context() as patch:
        kill_at_rename_of(NAME, patch, OSError(5, "disk gone"))
        with pytest.raises(StoreError, match=r"cannot write .*checkpoint\.pt: disk gone"):
            save_checkpoint(tmp_path, numbered(2))
    assert found(tmp_path) == 2
    assert read_checkpoint(tmp_path / NAME, CPU)["number"] == 1


def test_a_folder_in_a_checkpoints_place_is_named(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, numbered(1))
    (tmp_path / NAME).rename(tmp_path / PREVIOUS)
    (tmp_path / NAME).mkdir()
    state, problems = latest_checkpoint(tmp_path, CPU)
    assert state is not None
    assert state["number"] == 1
    assert problems == [f"{tmp_path / NAME} cannot be read: Is a directory; using the previous one"]
    with pytest.raises(StoreError, match=r"cannot write .*checkpoint\.pt"):
        save_checkpoint(tmp_path, numbered(2))
