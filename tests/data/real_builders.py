"""What tests of the real builders share: the command's jobs without a network, and what they must give."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from miniature_archives import Truth
from rich.console import Console

from reinit_bench.data.pixels import Decoding, decode
from reinit_bench.data.preparing.environment import VARIABLE, run_jobs
from reinit_bench.data.preparing.job import Job
from reinit_bench.data.resize import resize

BLOCKED = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
"""Variables with which no download can reach anything."""


def run(python: Path, jobs: list[Job]) -> dict[str, str | None]:
    """`run_jobs` with the tests' interpreter; no download can reach anything."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**BLOCKED, VARIABLE: str(python)}.items():
            patch.setenv(name, value)
        return run_jobs(jobs, Console(stderr=True))


def made_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder of this name in which `make` prepares caches; made once, even if tests run in several processes."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "cache").exists():
            make(folder)
    return folder


def fingerprints(labels: np.ndarray, images: Sequence[np.ndarray] | np.ndarray) -> Counter[tuple[int, bytes]]:
    """Examples as a multiset: builders shuffle."""
    return Counter((int(label), sha256(image.tobytes()).digest()) for label, image in zip(labels, images, strict=True))


def same(found: Counter[tuple[int, bytes]], expected: Counter[tuple[int, bytes]]) -> bool:
    """Whether they are equal; asserting that directly would print thousands of lines if they were not."""
    return found == expected


def truth(examples: Truth, side: int | None, channels: int) -> Counter[tuple[int, bytes]]:
    """The examples as a cache must hold them at this size."""
    decoding = Decoding(channels=channels)
    images = [
        (label, decode(image, decoding) if isinstance(image, bytes) else image) for label, image in examples
    ]  # fmt: skip
    kept = [(label, image if side is None else resize(image, side)) for label, image in images]
    return fingerprints(np.array([label for label, _ in kept]), [image for _, image in kept])
