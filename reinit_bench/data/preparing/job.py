"""A job: one builder of TensorFlow Datasets to be cached, as it is passed between the two environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reinit_bench.data.cache import NATIVE, Cache


@dataclass(frozen=True, kw_only=True)
class Job:
    """One builder at one version, and how its images are stored."""

    builder: str
    """TFDS's name, e.g. `cifar10`."""
    version: str | None
    """None: the newest that the installed TFDS has."""
    config: str | None = None
    """TFDS's configuration of the builder, e.g. `brightness_1`."""
    root: str
    """The folder of all datasets."""
    side: int | None = None
    """Pixels at which images are stored; None: as they are, which needs images of one size."""
    enlarged: int | None = None
    """Pixels at which training images are stored a second time, for cropping."""
    train_per_class: int | None = None
    """Redraw the training split with this many images of each class; the rest is the test split."""
    splits: Mapping[str, str | None] | None = None
    """What serves as train, validation and test -> the builder's split, None: found out; without it, its train and
    test as far as there are such splits."""
    test_fraction: float = 0.2
    """Share of train that is held out for testing if `splits` leaves the test split open and there is none."""
    num_classes: int | None
    """Expected classes; None: those that the builder has."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Expected examples of train and test; a split that is not named is not checked."""
    files: Mapping[str, str] = field(default_factory=dict)
    """File names of downloads whose URL contains none: a part of the URL -> file name."""
    where: str | None = None
    """Where to find the files when the download fails."""
    contents: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the unpacked bytes of gzip files by file name: such a file is accepted however it was packed."""
    folders: Sequence[str] = ()
    """Folders of this machine that may hold the files of `contents`."""

    @property
    def title(self) -> str:
        """E.g. `cifar10_corrupted/brightness_1 1.0.0`; without a version, the name alone."""
        return f"{self.name} {self.version or ''}".strip()

    @property
    def name(self) -> str:
        """The builder as TFDS writes it, e.g. `cifar10_corrupted/brightness_1`."""
        return "/".join(filter(None, (self.builder, self.config)))

    @property
    def cache(self) -> Cache:
        """The cache that the job fills: its folder's name contains everything that determines its content."""
        sides = f"{self.side}-{self.enlarged}" if self.enlarged else str(self.side or NATIVE)
        drawn = f"draw{self.train_per_class}" if self.train_per_class else None
        words = self.builder, self.config, self.version or "newest", self._chosen, drawn, sides
        return Cache(Path(self.root) / "cache" / "-".join(filter(None, words)))

    @property
    def _chosen(self) -> str | None:
        """The splits in a word, e.g. `auto-auto-0.2`; None for a builder's own train and test."""
        if self.splits is None:
            return None
        return "-".join([*(self.splits[part] or "auto" for part in ("validation", "test")), f"{self.test_fraction:g}"])

    def sides(self, split: str) -> tuple[int | None, ...]:
        """The sizes at which a split is stored."""
        return (self.side, self.enlarged) if split == "train" and self.enlarged else (self.side,)
