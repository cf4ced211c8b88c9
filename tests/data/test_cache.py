from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_photos import PHOTOS, write_photo_cache

from reinit_bench.core.config import Experiment
from reinit_bench.core.settings import ConfigError
from reinit_bench.data import cache as cache_module
from reinit_bench.data.cache import Cache, CacheWriter, CorruptCache
from reinit_bench.data.task import load_task
from reinit_bench.data.tfds_source import NotPrepared, Tfds


def change(path: Path, *, keep_time: bool = False) -> None:
    """Flip the last bit of a file."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    if keep_time:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.fixture
def cache(photos: Tfds) -> Cache:
    return photos.jobs["train"].cache


@pytest.mark.parametrize("name", ["train_8.npy", "test_8.npy", "train_labels.npy"])
def test_a_changed_file_is_named_and_never_trained_on(
    photos: Tfds, cache: Cache, name: str, make_experiment: Callable[..., Experiment]
) -> None:
    change(cache.path / name)
    with pytest.raises(NotPrepared, match=rf"is corrupt: .*{name} has changed"):
        photos.load(8, None, 0)
    with pytest.raises(ConfigError, match=r"dataset photos is corrupt: .*; run: reinit-bench prepare dataset=photos"):
        load_task(make_experiment(PHOTOS), torch.device("cpu"))


def test_files_that_are_missing_or_of_another_length_are_named(photos: Tfds, cache: Cache) -> None:
    with pytest.raises(CorruptCache, match=r"has no train_7.npy"):
        cache.examples("train", 7)
    with (cache.path / "train_8.npy").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(NotPrepared, match=r"train_8.npy has 11,649 bytes; the manifest says 11,648"):
        photos.check(hashes=False)
    (cache.path / "train_8.npy").unlink()
    with pytest.raises(NotPrepared, match=r"train_8.npy is missing"):
        photos.check(hashes=False)
    (cache.path / "manifest.json").write_text("{}")
    with pytest.raises(NotPrepared, match=r"manifest.json is not a manifest of format 1"):
        photos.check(hashes=False)


def test_a_changed_block_is_seen_whatever_its_times_and_a_full_check_reads_all(
    photos: Tfds, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(cache.path / "train_8.npy", keep_time=True)
    photos.check(hashes=False)  # looks at sizes
    with pytest.raises(CorruptCache, match=r"train_8.npy has changed: a block's checksum"):
        cache.examples("train", 8)
    monkeypatch.setattr(cache_module, "SAMPLED_BLOCKS", 0)  # only the first block, which the change is in
    with pytest.raises(CorruptCache, match=r"train_8.npy has changed"):
        cache.examples("train", 8)
    with pytest.raises(NotPrepared, match=r"train_8.npy has changed: its SHA-256"):
        photos.check(hashes=True)


def test_few_blocks_of_a_large_file_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "BLOCK_BYTES", 1000)
    with CacheWriter(tmp_path / "large") as writer:
        writer.images("train", 10, (1000, 10, 10, 1))[:] = np.arange(1000).reshape(-1, 1, 1, 1) % 251
        writer.labels("train", np.zeros(1000))
        cache = writer.finish({})
    assert len(cache.manifest()["arrays"]["train_10.npy"]["blocks"]) == 101
    change(cache.path / "train_10.npy", keep_time=True)
    seen = 0
    for _ in range(100):  # one of 101 blocks: each start sees it with 16 chances in 101
        try:
            cache.examples("train", 10)
        except CorruptCache:
            seen += 1
    assert 2 <= seen <= 50


def test_a_cache_from_before_blocks_is_checked_whole(cache: Cache) -> None:
    manifest = cache.manifest()
    for entry in manifest["arrays"].values():
        del entry["blocks"]
    del manifest["checksum"]
    (cache.path / "manifest.json").write_text(json.dumps(manifest))
    cache.examples("train", 8)
    change(cache.path / "train_8.npy")
    with pytest.raises(CorruptCache, match="its SHA-256 is not the manifest's"):
        cache.examples("train", 8)


def test_a_writer_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def write() -> None:
        with CacheWriter(tmp_path / "new") as writer:
            writer.images("train", 8, (1, 8, 8, 3))
            raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_a_killed_writer_are_replaced(photos: Tfds) -> None:
    path = photos.jobs["train"].cache.path
    leftover = path.with_name(f".{path.name}.partial")
    leftover.mkdir()
    (leftover / "train_7.npy").write_bytes(b"half")
    (path / "train_8.npy").write_bytes(b"")
    write_photo_cache(photos)
    photos.check(hashes=True)
    assert not leftover.exists()
    assert "train_7.npy" not in json.loads((path / "manifest.json").read_text())["arrays"]
