"""A job: one builder of TensorFlow Datasets to be cached, as it is passed between the two environments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from reinit_bench.core.settings import ConfigError, instantiate
from reinit_bench.data.cache import NATIVE, Cache
from reinit_bench.data.locations import data_dir, manual_dir


@dataclass(frozen=True)
class Job:
    """One builder at one version, for the dataset `source`, which says how its images are stored.

    Attributes:
        source: a `Tfds`, which knows its jobs; its class is not named here, so that imports make no circle.
        version: None: the newest that the installed TFDS has.
        config: TFDS's configuration of the builder, e.g. `brightness_1`.
        counts: expected examples of each split; None, or a split that is not named: not checked.
    """

    source: Any
    builder: str
    version: str | None
    config: str | None = None
    counts: Mapping[str, int | None] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON; `from_dict` gives the job back."""
        kind = type(self.source)
        return {"builder": self.builder, "_target_": f"{kind.__module__}.{kind.__qualname__}"} | {
            "source": asdict(self.source)
        }

    @staticmethod
    def from_dict(content: Mapping[str, Any]) -> Job:
        """The job that `to_dict` described."""
        source = instantiate({"_target_": content["_target_"], **content["source"]}, "dataset")
        return next(job for job in source.distinct_jobs if job.builder == content["builder"])

    @property
    def root(self) -> Path:
        """The folder of all datasets."""
        return data_dir(self.source.data_dir)

    @property
    def title(self) -> str:
        """E.g. `cifar10_corrupted/brightness_1 1.0.0`; without a version, the name alone."""
        return f"{self.name} {self.version or ''}".strip()

    @property
    def name(self) -> str:
        """The builder as TFDS writes it, e.g. `cifar10_corrupted/brightness_1`."""
        return "/".join(filter(None, (self.builder, self.config)))

    @property
    def known_content(self) -> str | None:
        """The fingerprint of what is prepared from the original files; None if nobody has written it down."""
        return (self.source.known_content or {}).get(self.title)

    def check_content(self, found: str | None) -> None:
        """Raise ConfigError unless this is the fingerprint of what the original files give, as far as that is known."""
        if self.known_content not in (None, found):
            raise ConfigError(
                f"{self.title} was prepared from other files than the original's: its content is {found}, not "
                f"{self.known_content}; remove them from {manual_dir(self.root, self.builder)} and prepare it anew, or "
                "take the data as they are with dataset.known_content=null, here and in reinit-bench prepare"
            )

    @property
    def cache(self) -> Cache:
        """The cache that the job fills: its folder's name contains everything that determines its content."""
        source = self.source
        sides = f"{source.stored_size}-{source.stored_enlarged}"
        if not source.stored_enlarged:
            sides = str(source.stored_size or NATIVE)
        drawn = f"draw{source.train_per_class}" if source.train_per_class else None
        words = self.builder, self.config, self.version or "newest", self._chosen, drawn, sides
        return Cache(self.root / "cache" / "-".join(filter(None, words)))

    @property
    def _chosen(self) -> str | None:
        """The splits in a word, e.g. `auto-auto-0.2`; None for a builder's own train and test."""
        wanted = self.source.wanted_splits
        if wanted is None:
            return None
        return "-".join([*(wanted[part] or "auto" for part in ("validation", "test")), f"{self.source.held_out:g}"])

    def sides(self, split: str) -> tuple[int | None, ...]:
        """The sizes at which a split is stored."""
        size, enlarged = self.source.stored_size, self.source.stored_enlarged
        return (size, enlarged) if split == "train" and enlarged else (size,)
