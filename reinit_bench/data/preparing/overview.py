"""`reinit-bench datasets`: what each dataset is, whether it is prepared here and is the original, and what to type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from reinit_bench.core.conf_dir import options
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.preparing.command import PINNED, section, source
from reinit_bench.data.preparing.job import SHAPES
from reinit_bench.data.tfds_source import NotPrepared, Tfds


@dataclass(frozen=True)
class Row:
    """One dataset."""

    dataset: str
    train: int
    test: int
    classes: int
    pixels: str
    prepared: str
    """yes, no, corrupt, or other: not the original."""
    original: str
    """yes; no: a part or a resized copy; unknown: its content is not written down, and a result records it."""
    content: str | None
    in_the_way: str
    command: str


def rows() -> Iterator[Row]:
    """The datasets that are prepared, in alphabetical order."""
    for name in options("dataset"):
        if section(name).get("_target_") == PINNED and (dataset := source(name)):
            yield _row(name, dataset)


def as_json(found: list[Row]) -> list[dict[str, Any]]:
    return [asdict(row) for row in found]


def _row(name: str, dataset: Tfds) -> Row:
    state, problem = _state(dataset)
    content = None
    if state == "yes":
        content = "+".join(str(job.cache.manifest().get("content")) for job in dataset.distinct_jobs)
    known = all(job.known_content for job in dataset.distinct_jobs)
    height, width, _ = SHAPES.get(dataset.builder, (0, 0, 0))
    command = f"reinit-bench dataset={name}" if state == "yes" else f"reinit-bench prepare dataset={name}"
    return Row(
        dataset=name,
        train=dataset.train_count or 0,
        test=dataset.test_count or 0,
        classes=dataset.num_classes or 0,
        pixels=f"{width}x{height}" if height else "photos",
        prepared=state,
        original="no" if dataset.reduced else "yes" if known else "unknown",
        content=content,
        in_the_way=problem,
        command=command + (" --from FOLDER" if state != "yes" and not _found(dataset) and dataset.reduced else ""),
    )


def _state(dataset: Tfds) -> tuple[str, str]:
    """Whether it is prepared, and what is in the way."""
    try:
        dataset.check(hashes=False)
    except NotPrepared as error:
        if error.state == "corrupt":
            return "corrupt", str(error)
    except ConfigError as error:
        return "other", str(error)
    else:
        return "yes", dataset.description
    if found := _found(dataset):
        return "no", f"nothing: files lie in {found}"
    return "no", dataset.where or "a download, by TensorFlow Datasets; or --from FOLDER"


def _found(dataset: Tfds) -> str | None:
    """The first folder with files where they are looked for."""
    folders = [path for job in dataset.distinct_jobs for path, _ in job.folders]
    return next((str(path) for path in folders if path.is_dir() and any(path.iterdir())), None)
