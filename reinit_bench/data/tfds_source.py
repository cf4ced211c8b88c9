"""Datasets of TensorFlow Datasets, served from the cache that `reinit-bench prepare` makes with their builders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reinit_bench.core.settings import ConfigError, setting
from reinit_bench.data.cache import CorruptCache
from reinit_bench.data.locations import data_dir
from reinit_bench.data.preparing.job import Job
from reinit_bench.data.source import Dataset, Examples, Source

PHOTO_SIZES = (224, 248)
"""The usual sizes of cached photos: those of the paper's networks and of its augmentation."""


class NotPrepared(ConfigError):
    """A dataset's cache is missing or corrupt; `reinit-bench prepare` builds it."""

    def __init__(self, state: str, problem: str, arguments: Sequence[str], option: str | None = None) -> None:
        super().__init__(problem)
        self.state = state
        """missing or corrupt."""
        self.arguments = tuple(arguments)
        self.option = option

    def command(self, name: str) -> str:
        """The command that builds the cache of the dataset called `name`: its option, unless that is another."""
        return " ".join(("reinit-bench prepare", f"dataset={self.option or name}", *self.arguments))


@dataclass(frozen=True, kw_only=True)
class CachedTfds(Source):
    """What all datasets of TFDS have in common: a builder, and its images in the cache."""

    builder: str = setting("")
    """TFDS's name, e.g. `cifar10`."""
    stored_size: int | None = setting(None, least=1)
    """Pixels at which images are cached, resized from the original; null: as they are (all have one size)."""
    stored_enlarged: int | None = setting(None, least=1)
    """Pixels at which training images are cached a second time, for the augmentation's crops."""
    data_dir: str | None = setting(None)
    """Folder of all datasets; null: the variable REINIT_BENCH_DATA, or ~/.cache/reinit-bench."""

    @property
    def jobs(self) -> dict[str, Job]:
        """The job that prepares each split: the same for both, or two if they come from two builders."""
        raise TypeError(f"{type(self).__name__} does not define jobs")

    @property
    def distinct_jobs(self) -> list[Job]:
        """The jobs that prepare the dataset, each once."""
        return list({job.cache.path: job for job in self.jobs.values()}.values())

    @property
    def description(self) -> str:
        """What preparing found that nobody had written down; empty for datasets of which all is known."""
        return ""

    def check(self, *, hashes: bool) -> None:
        """Check that the caches exist and are intact.

        Raises:
            NotPrepared: one is missing or corrupt.
            ConfigError: one has other numbers of images or classes than expected.
        """
        for split, job in self.jobs.items():
            if not job.cache.exists():
                raise self._not_prepared("missing", f"is not prepared in {job.root}")
            try:
                job.cache.check(hashes=hashes)
            except CorruptCache as error:
                raise self._not_prepared("corrupt", f"is corrupt: {error}") from error
            self._check_counts(job, split)

    def load(self, image_size: int | None, enlarged_size: int | None, seed: int) -> Dataset:
        if image_size and self.stored_size and image_size > self.stored_size:
            raise ConfigError(
                f"image_size={image_size} is above the cached {self.stored_size} pixels; set dataset.stored_size="
                f"{image_size} dataset.stored_enlarged={round(image_size * 248 / 224)} here and in reinit-bench prepare"
            )
        return self._cached(enlarged_size)

    def _cached(self, enlarged_size: int | None) -> Dataset:
        self.check(hashes=False)
        manifest = self.jobs["train"].cache.manifest()
        keeps_enlarged = enlarged_size is not None and enlarged_size == self.stored_enlarged
        return Dataset(
            train=self._examples("train", self.stored_size),
            validation=self._examples("validation", self.stored_size) if "validation" in manifest["counts"] else None,
            test=self._examples("test", self.stored_size),
            num_classes=manifest["num_classes"],
            train_enlarged=self._examples("train", enlarged_size) if keeps_enlarged else None,
        )

    def _examples(self, split: str, side: int | None) -> Examples:
        try:
            return self.jobs["test" if split == "test" else "train"].cache.examples(split, side)
        except CorruptCache as error:
            raise self._not_prepared("corrupt", f"is corrupt: {error}") from error

    def _check_counts(self, job: Job, split: str) -> None:
        """Raise ConfigError if an intact cache is not what was expected."""

    def _not_prepared(self, state: str, problem: str) -> NotPrepared:
        raise TypeError(f"{type(self).__name__} does not define _not_prepared")


_WHY_NOT: dict[tuple[Path, ...], str] = {}
"""By caches: why this process could not prepare them. Without a network an attempt takes half a minute, which each run
of a sweep would spend again."""


@dataclass(frozen=True, kw_only=True)
class Tfds(CachedTfds):
    """A builder at a pinned version; the corrupted variants may take their training split from another builder."""

    version: str = setting("")
    """The builder's version; another version is another dataset."""
    config: str | None = setting(None)
    """The builder's configuration; null: the one that corruption and severity name, or none."""
    corruption: str | None = setting(None)
    """Name of a corruption, for builders that have one configuration for each."""
    severity: int | None = setting(None, least=1, most=5)
    """Severity of the corruption, for builders that have several."""
    train_builder: str | None = setting(None)
    """Builder of the training split; null: the same."""
    train_version: str | None = setting(None)
    """Version of `train_builder`."""
    train_per_class: int | None = setting(None, least=1)
    """Draw this many training images of each class by file name and test on the rest; null: the builder's splits."""
    num_classes: int = setting(1, least=1)
    """Expected number of classes."""
    train_count: int | None = setting(None, least=1)
    """Expected training images (Table 5); null: not checked."""
    test_count: int | None = setting(None, least=1)
    """Expected test images (Table 5); null: not checked."""
    files: dict[str, str] | None = None
    """File names of downloads whose URL contains none: a part of the URL -> file name."""
    where: str | None = setting(None)
    """Where to find files whose download fails."""
    contents: dict[str, str] | None = None
    """SHA-256 of the unpacked bytes of gzip files: file name -> hash. Such a file is accepted however it was packed."""
    folders: Sequence[str] | None = None
    """Folders of this machine that may hold the files of `contents`, as a system's package installs them."""
    prepare: str = setting("never", choices=("never", "auto"))
    """auto: a run prepares the dataset itself if it is missing."""

    @property
    def jobs(self) -> dict[str, Job]:
        config = self.config or "_".join(str(word) for word in (self.corruption, self.severity) if word) or None
        counts = {"train": self.train_count, "test": self.test_count}
        if self.train_builder is None:
            both = self._job(self.builder, self.version, config, counts)
            return {"train": both, "test": both}
        return {
            "train": self._job(self.train_builder, self.train_version or "", None, {"train": self.train_count}),
            "test": self._job(self.builder, self.version, config, {"test": self.test_count}),
        }

    def _job(self, builder: str, version: str, config: str | None, counts: dict[str, int | None]) -> Job:
        return Job(
            builder=builder,
            version=version,
            config=config,
            root=str(data_dir(self.data_dir)),
            side=self.stored_size,
            enlarged=self.stored_enlarged,
            train_per_class=self.train_per_class,
            num_classes=self.num_classes,
            counts={split: count for split, count in counts.items() if count is not None},
            files=self.files or {},
            where=self.where,
            contents=self.contents or {},
            folders=tuple(self.folders or ()),
        )

    def load(self, image_size: int | None, enlarged_size: int | None, seed: int) -> Dataset:
        try:
            return super().load(image_size, enlarged_size, seed)
        except NotPrepared:
            if self.prepare == "never":
                raise
        self._prepare()
        return super().load(image_size, enlarged_size, seed)

    def _check_counts(self, job: Job, split: str) -> None:
        manifest = job.cache.manifest()
        found, expected = manifest["counts"].get(split), job.counts.get(split)
        if found is None or (expected is not None and found != expected):
            raise ConfigError(f"{job.title} has {found or 0:,} {split} images; expected {expected or 'some'}")
        if manifest["num_classes"] != self.num_classes:
            raise ConfigError(f"{job.title} has {manifest['num_classes']} classes; expected {self.num_classes}")

    def _not_prepared(self, state: str, problem: str) -> NotPrepared:
        """With what `reinit-bench prepare` needs besides the name: the fields that determine which cache it is."""
        telling = ("config", "corruption", "severity", "data_dir", "stored_size", "stored_enlarged")
        values = {name: getattr(self, name) for name in telling}
        arguments = [f"dataset.{name}={value}" for name, value in values.items() if value not in (None, *PHOTO_SIZES)]
        return NotPrepared(state, problem, arguments)

    def _prepare(self) -> None:
        from rich.console import Console

        from reinit_bench.data.preparing.environment import run_jobs

        jobs = self.distinct_jobs
        key = tuple(job.cache.path for job in jobs)
        if key not in _WHY_NOT:
            outcomes = run_jobs(jobs, Console(stderr=True))
            problems = [error for error in outcomes.values() if error is not None]
            if not problems:
                return
            lines = [line.strip() for problem in problems for line in problem.splitlines()]
            _WHY_NOT[key] = "; ".join(lines)
        raise ConfigError(_WHY_NOT[key])
