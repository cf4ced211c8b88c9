"""The cache of decoded images: memory-mapped uint8 arrays with a manifest of what they are and their hashes.

A cache is one folder. It is written under a temporary name and renamed when it is complete, so that it is either whole
or absent. When a run starts, blocks of its files are checked against its manifest; a full check reads all of them.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
import zlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from reinit_bench.core.machine import cores
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.source import Examples
from reinit_bench.store.files import file_sha256

FORMAT = 1
"""Raised when the layout of a cache changes; a cache of another format is rebuilt."""

NATIVE = "native"
BLOCK_BYTES = 2**20
SAMPLED_BLOCKS = 16
"""So many blocks of a file are read when a run starts, drawn anew each time: milliseconds, whatever its size."""


class CorruptCache(ConfigError):
    """A cache that does not match its manifest."""


def array_name(split: str, side: int | None) -> str:
    """File name of the images of `split` (train, test) stored at `side` pixels; None: as the source gives them."""
    return f"{split}_{side or NATIVE}.npy"


def labels_name(split: str) -> str:
    """File name of the labels of `split`."""
    return f"{split}_labels.npy"


class Cache:
    """A finished cache, or the place for one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        return self.path.is_dir()

    def manifest(self) -> dict[str, Any]:
        """The cache's description of itself, `manifest.json`.

        Raises:
            CorruptCache: there is no readable manifest of this format.
        """
        path = self.path / "manifest.json"
        try:
            manifest = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise CorruptCache(f"{path} cannot be read ({error})") from error
        entries = manifest.get("arrays") if isinstance(manifest, dict) else None
        if not isinstance(entries, dict) or manifest.get("format") != FORMAT:
            raise CorruptCache(f"{path} is not a manifest of format {FORMAT}")
        if manifest.get("checksum") not in (None, _checksum(manifest)):
            raise CorruptCache(f"{path} has changed: its checksum does not match")
        return manifest

    def check(self, *, hashes: bool) -> None:
        """Compare every array with the manifest: its size, and with `hashes` its SHA-256.

        Raises:
            CorruptCache: a file differs; the message names the first one.
        """
        for name, entry in self.manifest()["arrays"].items():
            self._check_size(name, entry)
            if hashes:
                self._check_whole(name, entry)

    def examples(self, split: str, side: int | None) -> Examples:
        """Memory-map one split at one size, after a look at some of its blocks.

        Raises:
            CorruptCache: a file is missing or differs from the manifest.
        """
        entries = self.manifest()["arrays"]
        names = array_name(split, side), labels_name(split)
        for name in names:
            if name not in entries:
                raise CorruptCache(f"{self.path} has no {name}")
            self._check_size(name, entries[name])
            self._check_blocks(name, entries[name])
        # Copy-on-write: no change can reach the file, and torch accepts the array without a warning.
        images, labels = (np.load(self.path / name, mmap_mode="c") for name in names)
        return Examples(images, np.asarray(labels, np.int64))

    def _check_size(self, name: str, entry: Mapping[str, Any]) -> None:
        path = self.path / name
        size = path.stat().st_size if path.is_file() else None
        if size != entry["bytes"]:
            found = "is missing" if size is None else f"has {size:,} bytes"
            raise CorruptCache(f"{path} {found}; the manifest says {entry['bytes']:,} bytes")

    def _check_whole(self, name: str, entry: Mapping[str, Any]) -> None:
        if file_sha256(self.path / name) != entry["sha256"]:
            raise CorruptCache(f"{self.path / name} has changed: its SHA-256 is not the manifest's")

    def _check_blocks(self, name: str, entry: Mapping[str, Any]) -> None:
        """Compare some blocks, the first among them; of a cache from before there were any, the whole file."""
        expected = entry.get("blocks")
        if expected is None:
            return self._check_whole(name, entry)
        drawn = random.SystemRandom().sample(range(len(expected)), min(SAMPLED_BLOCKS, len(expected)))
        numbers = sorted({0, *drawn})
        for number, found in zip(numbers, _checksums(self.path / name, numbers), strict=True):
            if found != expected[number]:
                raise CorruptCache(f"{self.path / name} has changed: a block's checksum is not the manifest's")
        return None


class CacheWriter:
    """Fills a cache; use as a context manager: without `finish`, or with an exception, nothing remains."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(f".{path.name}.partial")
        self._filled: list[np.memmap] = []

    def __enter__(self) -> CacheWriter:
        shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.partial, ignore_errors=True)

    def images(self, split: str, side: int | None, shape: tuple[int, ...]) -> np.ndarray:
        """A new uint8 array on disk to be filled, shape (n, height, width, channels)."""
        array = np.lib.format.open_memmap(self.partial / array_name(split, side), "w+", np.uint8, shape)
        self._filled.append(array)
        return array

    def labels(self, split: str, labels: np.ndarray) -> None:
        """Write the labels of a split."""
        np.save(self.partial / labels_name(split), labels.astype(np.int64))

    def finish(self, about: Mapping[str, Any]) -> Cache:
        """Hash what was written, add the manifest and move the cache into its place, replacing what is there.

        Args:
            about: what the manifest says besides the arrays: where the images come from and how they were resized.
        """
        with ThreadPoolExecutor(cores()) as pool:
            list(pool.map(np.memmap.flush, self._filled))
            arrays = sorted(self.partial.glob("*.npy"))
            entries = dict(zip((path.name for path in arrays), pool.map(_entry, arrays), strict=True))
        splits = {path.name.removesuffix("_labels.npy"): np.load(path) for path in self.partial.glob("*_labels.npy")}
        manifest = {
            "format": FORMAT,
            **about,
            "counts": {split: len(labels) for split, labels in splits.items()},
            "label_histogram": {split: _histogram(labels) for split, labels in splits.items()},
            "arrays": entries,
            "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        with (self.partial / "manifest.json").open("w") as stream:
            json.dump({**manifest, "checksum": _checksum(manifest)}, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        shutil.rmtree(self.path, ignore_errors=True)
        self.partial.rename(self.path)
        return Cache(self.path)


def _checksum(manifest: Mapping[str, Any]) -> int:
    """Of all that a manifest says; those of older versions have none."""
    said = {key: value for key, value in manifest.items() if key != "checksum"}
    return zlib.crc32(json.dumps(said, sort_keys=True).encode())


def disk_bytes(path: Path) -> int:
    """Size in bytes of all files below a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _histogram(labels: np.ndarray) -> dict[str, int]:
    numbers, counts = np.unique(labels, return_counts=True)
    return {str(number): int(count) for number, count in zip(numbers, counts, strict=True)}


def _entry(path: Path) -> dict[str, Any]:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
    size = path.stat().st_size
    return {
        "bytes": size,
        "shape": list(np.load(path, mmap_mode="r").shape),
        "sha256": file_sha256(path),
        "blocks": _checksums(path, range(-(-size // BLOCK_BYTES))),
    }


def _checksums(path: Path, numbers: Iterable[int]) -> list[int]:
    """The checksums of some blocks of a file."""
    with path.open("rb") as stream:
        found = []
        for number in numbers:
            stream.seek(number * BLOCK_BYTES)
            found.append(zlib.crc32(stream.read(BLOCK_BYTES)))
    return found
