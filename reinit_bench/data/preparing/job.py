"""A job: one builder of TensorFlow Datasets to be cached, as it is passed between the two environments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from reinit_bench.core.settings import ConfigError, instantiate
from reinit_bench.data.cache import NATIVE, Cache
from reinit_bench.data.locations import data_dir, manual_dir
from reinit_bench.data.preparing.content import Seen

SHAPES: Mapping[str, tuple[int, int, int]] = {
    **dict.fromkeys(("cifar10", "cifar100", "cifar10_corrupted", "cmaterdb", "cifar100_part"), (32, 32, 3)),
    **dict.fromkeys(("fashion_mnist", "mnist_corrupted"), (28, 28, 1)),
    "caltech101_96": (96, 96, 3),
}
"""Height, width and channels of datasets whose images have one size."""

LOSSLESS = SHAPES.keys() - {"caltech101_96"}
"""Datasets that are pixels: they are known by them, whatever files hold them."""


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
    def folders(self) -> list[tuple[Path, bool]]:
        """Where the job's files may lie, and whether the user said so."""
        source, manual = self.source, manual_dir(self.root, self.builder)
        if source.option is not None:
            return []
        named = [Path(source.files).expanduser()] if source.files else []
        own = [manual / self.config] if self.config else []
        # Of two jobs, the one that is tested on is what the user means; the other's files may lie there too.
        return [
            *((path, self.builder == source.builder) for path in named),
            *((path, False) for path in (*own, manual, *map(Path, source.folders or ()))),
        ]

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

    @property
    def is_lossless(self) -> bool:
        """Whether it is known by its pixels, not by its files."""
        return self.source.option is None and self.builder in LOSSLESS

    @property
    def is_known(self) -> bool:
        """Whether it is written down what the original's images and labels are."""
        return self.title in (self.source.known_splits or {})

    def content(self, seen: Seen) -> str:
        """The content of what was read: the original's, or a hash of its own.

        Raises:
            ConfigError: the original is known, and this is another; the message says in what it differs.
        """
        originals = (self.source.known_splits or {}).get(self.title)
        try:
            found = seen.content(self.known_content, originals)
        except ConfigError as error:
            raise ConfigError(f"{self.title}: these are not the original files: {error}{self._as_they_are}") from error
        self.check_content(found)
        return found

    def check_content(self, found: str | None) -> None:
        """Raise ConfigError unless this is the content of the original files, as far as that is known."""
        if self.known_content not in (None, found):
            raise ConfigError(
                f"{self.title} was prepared from other files than the original's: its content is {found}, not "
                f"{self.known_content}{self._as_they_are}"
            )

    @property
    def _as_they_are(self) -> str:
        return (
            "; prepare it from others, or take the data as they are with dataset.known_content=null, here and in "
            "reinit-bench prepare"
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
