from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import pytest
from fake_events import RUN_ID
from wandb.proto.wandb_internal_pb2 import Record

from reinit_bench.reporting.wandb_file import BLOCK_BYTES, FRAGMENT, HEADER_BYTES, records, recover

HEADER = b":W&B\xe1\xbe\x00"


def written(payloads: list[bytes]) -> bytes:
    """The file that holds these records, as the LevelDB log format has it."""
    content = HEADER
    for payload in payloads:
        first = True
        while first or payload:
            room = BLOCK_BYTES - len(content) % BLOCK_BYTES
            if room < FRAGMENT.size:
                content += b"\0" * room
                room = BLOCK_BYTES
            part, payload = payload[: room - FRAGMENT.size], payload[room - FRAGMENT.size :]
            kind = {(True, True): 1, (True, False): 2, (False, False): 3, (False, True): 4}[first, not payload]
            content += FRAGMENT.pack(zlib.crc32(bytes([kind]) + part), len(part), kind) + part
            first = False
    return content


def run_record(*, resume: bool) -> bytes:
    record = Record()
    record.run.run_id = RUN_ID
    record.run.resume = resume
    return record.SerializeToString()


def history(step: int) -> bytes:
    record = Record()
    record.history.step.num = step
    item = record.history.item.add()
    item.nested_key.append("loss")
    item.value_json = "0.5"
    return record.SerializeToString()


def segment(folder: Path, time: str, content: bytes, run_id: str = RUN_ID) -> Path:
    path = folder / f"offline-run-{time}-{run_id}" / f"run-{run_id}.wandb"
    path.parent.mkdir()
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "sizes",
    [
        [0, 1, 500],
        [3 * BLOCK_BYTES, 10],
        # What is left of the first block is exactly: nothing, too little for a fragment, a fragment without content.
        *([BLOCK_BYTES - HEADER_BYTES - FRAGMENT.size - left, 20] for left in (0, 1, 6, 7)),
    ],
)
def test_records_come_back_whole_across_blocks(sizes: list[int], tmp_path: Path) -> None:
    payloads = [bytes([index + 1]) * size for index, size in enumerate(sizes)]
    path = tmp_path / "file"
    path.write_bytes(written(payloads))
    read = list(records(path))
    assert [payload for payload, _ in read] == payloads
    assert read[-1][1] == path.stat().st_size


def test_a_file_cut_anywhere_gives_its_whole_records(tmp_path: Path) -> None:
    payloads = [b"a" * 40, b"b" * 7, b"c" * 90]
    ends = [len(written(payloads[:count])) for count in range(4)]
    path = tmp_path / "file"
    for cut in range(ends[-1] + 1):
        path.write_bytes(written(payloads)[:cut])
        whole = sum(end <= cut for end in ends[1:])
        assert [payload for payload, _ in records(path)] == payloads[:whole]


def test_a_flipped_bit_ends_the_reading(tmp_path: Path) -> None:
    content = bytearray(written([b"a" * 40, b"b" * 40, b"c" * 40]))
    content[len(written([b"a" * 40])) + FRAGMENT.size + 3] ^= 1
    path = tmp_path / "file"
    path.write_bytes(content)
    assert [payload for payload, _ in records(path)] == [b"a" * 40]


def test_the_next_step_is_the_first_that_no_file_of_this_run_has(tmp_path: Path) -> None:
    assert recover(tmp_path, RUN_ID) == 0
    segment(tmp_path, "20260101_000000", written([run_record(resume=False), *map(history, range(1, 8))]))
    segment(tmp_path, "20260102_000000", written([run_record(resume=True), *map(history, range(8, 11))]))
    segment(tmp_path, "20260103_000000", written([run_record(resume=True), history(99)]), run_id="fedcba9876543210")
    assert recover(tmp_path, RUN_ID) == 11


def test_steps_before_a_restart_do_not_count(tmp_path: Path) -> None:
    segment(tmp_path, "20260101_000000", written([run_record(resume=False), *map(history, range(1, 50))]))
    segment(tmp_path, "20260102_000000", written([run_record(resume=False), *map(history, range(1, 4))]))
    assert recover(tmp_path, RUN_ID) == 4


def test_a_torn_end_is_cut_off_and_an_empty_file_removed(tmp_path: Path) -> None:
    whole: list[Any] = [run_record(resume=False), history(1), history(2)]
    torn = segment(tmp_path, "20260101_000000", written([*whole, history(3)])[:-5])
    empty = segment(tmp_path, "20260102_000000", HEADER)
    sound = segment(tmp_path, "20260103_000000", written([run_record(resume=True), history(3)]))
    before = sound.read_bytes()
    assert recover(tmp_path, RUN_ID) == 4
    assert torn.read_bytes() == written(whole)
    assert not empty.exists()
    assert sound.read_bytes() == before
