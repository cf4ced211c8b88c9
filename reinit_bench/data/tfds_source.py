"""Datasets of TensorFlow Datasets, served from the cache that `reinit-bench prepare` makes with their builders."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

from reinit_bench.core.settings import ConfigError, setting
from reinit_bench.data.cache import CorruptCache
from reinit_bench.data.preparing.job import Job
from reinit_bench.data.source import Dataset, Examples, Source


class NotPrepared(ConfigError):
    """A dataset's cache is missing or corrupt; `reinit-bench prepare` builds it."""

    def __init__(self, state: str, problem: str, source: Tfds) -> None:
        super().__init__(problem)
        self.state = state
        """missing or corrupt."""
        self.source = source

    def command(self, name: str) -> str:
        """The command that builds the cache of the dataset called `name`: its option, unless that is another."""
        option = self.source.option or name
        return " ".join(("reinit-bench prepare", f"dataset={option}", *self.source.arguments))


@dataclass(frozen=True, kw_only=True)
class Tfds(Source):
    """A builder at a pinned version; the corrupted variants may take their training split from another builder."""

    option: ClassVar[str | None] = None
    """The option of conf/dataset, where the dataset's name is another."""
    determining: ClassVar[tuple[str, ...]] = (
        "config",
        "corruption",
        "severity",
        "data_dir",
        "stored_size",
        "stored_enlarged",
    )
    """The fields that `reinit-bench prepare` must be told too: they determine which cache it is."""

    builder: str = setting("")
    """TFDS's name, e.g. `cifar10`."""
    version: str | None = setting(None)
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
    num_classes: int | None = setting(None, least=1)
    """Expected number of classes; null: not checked."""
    train_count: int | None = setting(None, least=1)
    """Expected training images (Table 5); null: not checked."""
    test_count: int | None = setting(None, least=1)
    """Expected test images (Table 5); null: not checked."""
    stored_size: int | None = setting(224, least=1)
    """Pixels at which images are cached, resized from the original; null: as they are (all have one size)."""
    stored_enlarged: int | None = setting(248, least=1)
    """Pixels at which training images are cached a second time, for the augmentation's crops."""
    files: str | None = setting(None)
    """A folder or an archive with the dataset's files, in any of the forms that are known; null: see `folders`."""
    file_names: dict[str, str] | None = None
    """File names of downloads whose URL contains none: a part of the URL -> file name."""
    where: str | None = setting(None)
    """Where to find files whose download fails."""
    known_content: dict[str, str] | None = None
    """Fingerprint of what is prepared from the original files: builder and version -> content; null: not checked."""
    known_splits: dict[str, dict[str, str]] | None = None
    """Four hashes of each split of the original, by which it is said in what a copy differs; null: not compared."""
    reduced: bool = setting(False)
    """Whether it is a part or a resized copy of another dataset, which no builder of TFDS makes."""
    folders: Sequence[str] | None = None
    """Folders of this machine that may hold the files, as a system's package installs them."""
    prepare: str = setting("never", choices=("never", "auto"))
    """auto: a run prepares the dataset itself if it is missing."""
    data_dir: str | None = setting(None)
    """Folder of all datasets; null: the variable REINIT_BENCH_DATA, or ~/.cache/reinit-bench."""

    @property
    def jobs(self) -> dict[str, Job]:
        """The job that prepares each split: the same for both, or two if they come from two builders."""
        config = self.config or "_".join(str(word) for word in (self.corruption, self.severity) if word) or None
        counts = {"train": self.train_count, "test": self.test_count}
        if self.train_builder is None:
            both = Job(self, self.builder, self.version, config, counts)
            return {"train": both, "test": both}
        return {
            "train": Job(self, self.train_builder, self.train_version, None, {"train": self.train_count}),
            "test": Job(self, self.builder, self.version, config, {"test": self.test_count}),
        }

    @property
    def distinct_jobs(self) -> list[Job]:
        """The jobs that prepare the dataset, each once."""
        return list({job.cache.path: job for job in self.jobs.values()}.values())

    @property
    def wanted_splits(self) -> Mapping[str, str | None] | None:
        """The builder's split that serves as validation and as test, None: found out; without it, its train and test
        as far as there are such splits."""
        return None

    @property
    def held_out(self) -> float:
        """Share of train that is held out for testing if there is nothing else to test on."""
        return 0.2

    @property
    def arguments(self) -> list[str]:
        """What `reinit-bench prepare` needs besides the option."""
        usual = {spec.name: spec.default for spec in fields(self)}
        values = {name: getattr(self, name) for name in self.determining}
        given = {name: value for name, value in values.items() if value not in (None, usual[name])}
        return [f"dataset.{name}={value}" for name, value in given.items()]

    @property
    def description(self) -> str:
        """What preparing found that nobody had written down; empty for datasets of which all is known."""
        found = self.jobs["test"].cache.manifest().get("copies_of_training") or {}
        return "; ".join(f"{count:,} {split} images are copies of training images" for split, count in found.items())

    def check(self, *, hashes: bool) -> None:
        """Check that the caches exist and are intact.

        Raises:
            NotPrepared: one is missing or corrupt.
            ConfigError: one was not made from the original files.
        """
        for job in self.distinct_jobs:
            if not job.cache.exists():
                raise NotPrepared("missing", f"is not prepared in {job.root}", self)
            try:
                job.cache.check(hashes=hashes)
            except CorruptCache as error:
                raise NotPrepared("corrupt", f"is corrupt: {error}", self) from error
            job.check_content(job.cache.manifest().get("content"))

    def load(self, image_size: int | None, enlarged_size: int | None, seed: int) -> Dataset:
        if image_size and self.stored_size and image_size > self.stored_size:
            raise ConfigError(
                f"image_size={image_size} is above the cached {self.stored_size} pixels; set dataset.stored_size="
                f"{image_size} dataset.stored_enlarged={round(image_size * 248 / 224)} here and in reinit-bench prepare"
            )
        try:
            return self._cached(enlarged_size)
        except NotPrepared:
            if self.prepare == "never":
                raise
        self._prepare()
        return self._cached(enlarged_size)

    def fingerprint(self, image_size: int | None, seed: int) -> str | None:
        return None  # the builder's version is in the run id, and what was prepared in the result

    def _prepare(self) -> None:
        from rich.console import Console

        from reinit_bench.data.preparing.environment import prepare_all

        problems = [error for error in prepare_all(self.distinct_jobs, Console(stderr=True)).values() if error]
        if problems:
            raise ConfigError("; ".join(line.strip() for problem in problems for line in problem.splitlines()))

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
            content="+".join(str(job.cache.manifest().get("content")) for job in self.distinct_jobs),
        )

    def _examples(self, split: str, side: int | None) -> Examples:
        try:
            return self.jobs["test" if split == "test" else "train"].cache.examples(split, side)
        except CorruptCache as error:
            raise NotPrepared("corrupt", f"is corrupt: {error}", self) from error


@dataclass(frozen=True, kw_only=True)
class TfdsByName(Tfds):
    """Any image classification of TFDS: what its splits, counts and classes are, preparing finds out."""

    option: ClassVar[str | None] = "tfds"
    determining: ClassVar[tuple[str, ...]] = (
        "builder",
        "version",
        "validation_split",
        "test_split",
        "test_fraction",
        "stored_size",
        "stored_enlarged",
        "data_dir",
    )

    builder: str = setting("")
    """TFDS's name, with a configuration if wanted: `kmnist`, `imagenet_resized/64x64`."""
    version: str | None = setting(None)
    """The builder's version; null: the newest there was when it was prepared."""
    stored_size: int | None = setting(None, least=1)
    """Pixels at which images are cached, resized from the original; null: as they are (all have one size)."""
    stored_enlarged: int | None = setting(None, least=1)
    """Pixels at which training images are cached a second time, for the augmentation's crops."""
    content: str | None = setting(None)
    """Fingerprint of the prepared examples when the run was composed."""
    validation_split: str | None = setting(None)
    """The builder's split that chooses the weights; null: validation, if it is not tested on; none: a part of train."""
    test_split: str | None = setting(None)
    """The builder's split to test on; null: test, or else validation, or else a part of train."""
    test_fraction: float = setting(0.2, above=0, below=1)
    """Share of train that is held out for testing, stratified by class, if there is nothing else to test on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.builder:
            raise ConfigError("dataset=tfds needs a builder: dataset.builder=NAME or NAME/CONFIG, e.g. kmnist")
        self._check_words("builder", r"\w+(/\w[\w.+-]*)?", "NAME or NAME/CONFIG")
        self._check_words("version", r"\d+\.\d+\.\d+", "three numbers, e.g. 3.0.1")
        for name in ("validation_split", "test_split"):
            self._check_words(name, r"\w+", "a whole split, e.g. test")

    def _check_words(self, name: str, pattern: str, wanted: str) -> None:
        value = getattr(self, name)
        if value is not None and not re.fullmatch(pattern, value, re.ASCII):
            raise ConfigError(f"dataset.{name} must be {wanted}; got {value!r}")

    @property
    def jobs(self) -> dict[str, Job]:
        name, _, config = self.builder.partition("/")
        job = Job(self, name, self.version, config or None)
        return {"train": job, "test": job}

    @property
    def wanted_splits(self) -> Mapping[str, str | None] | None:
        return {"validation": self.validation_split, "test": self.test_split}

    @property
    def held_out(self) -> float:
        return self.test_fraction

    @property
    def description(self) -> str:
        """Version, counts, classes, and what is tested on if the builder has no test split."""
        manifest = self.jobs["train"].cache.manifest()
        counts, splits = manifest["counts"], manifest["splits"]
        *first, last = (f"{counts[split]:,} {split}" for split in ("train", "validation", "test") if split in counts)
        words = (
            f"version {manifest['version']}, {', '.join(first)} and {last} images of {manifest['num_classes']} classes"
        )
        if splits["test"] == splits["train"]:
            words += f"; there is no test split: {self.test_fraction:g} of each class of train is held out for it"
        elif splits["test"] != "test":
            words += f"; tested on the split {splits['test']}"
        return "; ".join(filter(None, (words, super().description)))

    def fingerprint(self, image_size: int | None, seed: int) -> str | None:
        try:
            self.check(hashes=False)
        except NotPrepared as error:
            raise ConfigError(f"dataset {self.builder} {error}; run: {error.command(self.builder)}") from error
        return str(self.jobs["train"].cache.manifest()["content"])

    def _cached(self, enlarged_size: int | None) -> Dataset:
        data = super()._cached(enlarged_size)
        if data.content != self.content:
            raise ConfigError(
                f"the {self.builder} that is prepared has content {data.content}, and the run was composed with "
                f"{self.content}; type the command again"
            )
        return data
