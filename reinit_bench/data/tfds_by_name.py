"""Any image classification of TensorFlow Datasets by its name: `dataset=tfds dataset.builder=...`, without a yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from reinit_bench.core.settings import ConfigError, setting
from reinit_bench.data.cache import CorruptCache
from reinit_bench.data.locations import data_dir
from reinit_bench.data.preparing.job import Job
from reinit_bench.data.source import Dataset
from reinit_bench.data.tfds_source import CachedTfds, NotPrepared

OPTION = "tfds"
"""The option of conf/dataset that this is."""

FIELDS = (
    "builder",
    "version",
    "validation_split",
    "test_split",
    "test_fraction",
    "stored_size",
    "stored_enlarged",
    "data_dir",
)
"""The fields that determine which cache it is."""


@dataclass(frozen=True, kw_only=True)
class TfdsByName(CachedTfds):
    """A builder of which nothing is written down: what its splits, counts and classes are, preparing finds out."""

    builder: str = setting("")
    """TFDS's name, with a configuration if wanted: `kmnist`, `imagenet_resized/64x64`."""
    version: str | None = setting(None)
    """The builder's version; null: the newest there was when it was prepared."""
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
        job = Job(
            builder=name,
            version=self.version,
            config=config or None,
            root=str(data_dir(self.data_dir)),
            side=self.stored_size,
            enlarged=self.stored_enlarged,
            splits={"validation": self.validation_split, "test": self.test_split},
            test_fraction=self.test_fraction,
            num_classes=None,
        )
        return {"train": job, "test": job}

    @property
    def manifest(self) -> Mapping[str, Any]:
        """What the cache says of itself.

        Raises:
            CorruptCache: there is none, or it cannot be read.
        """
        return self.jobs["train"].cache.manifest()

    @property
    def description(self) -> str:
        """Version, counts, classes, and what is tested on if the builder has no test split."""
        manifest = self.manifest
        counts, splits = manifest["counts"], manifest["splits"]
        *first, last = (f"{counts[split]:,} {split}" for split in ("train", "validation", "test") if split in counts)
        words = (
            f"version {manifest['version']}, {', '.join(first)} and {last} images of {manifest['num_classes']} classes"
        )
        if splits["test"] == splits["train"]:
            return f"{words}; there is no test split: {self.test_fraction:g} of each class of train is held out for it"
        return words if splits["test"] == "test" else f"{words}; tested on the split {splits['test']}"

    def _cached(self, enlarged_size: int | None) -> Dataset:
        data = super()._cached(enlarged_size)
        found = self.manifest["content"]
        if found != self.content:
            raise ConfigError(
                f"the {self.builder} that is prepared has content {found}, and the run was composed with "
                f"{self.content}; type the command again"
            )
        return data

    def _not_prepared(self, state: str, problem: str) -> NotPrepared:
        usual = {spec.name: spec.default for spec in fields(self)}
        values = {name: getattr(self, name) for name in FIELDS}
        arguments = [f"dataset.{name}={value}" for name, value in values.items() if value != usual[name]]
        return NotPrepared(state, problem, arguments, OPTION)


def prepared_content(section: Mapping[str, Any]) -> str | None:
    """The fingerprint of a prepared builder, for `${tfds_content:}` in a configuration; None if it is not prepared.

    It makes runs on other data other runs, whatever version or splits were asked for.

    Args:
        section: the section `dataset`, of which `FIELDS` are read.
    """
    try:
        content = TfdsByName(**{name: section[name] for name in FIELDS if name in section}).manifest["content"]
    except (ConfigError, CorruptCache, KeyError):
        return None
    return str(content)
