"""What a data source provides: examples as stored, before the trainer's split, scaling and augmentation."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from reinit_bench.core.settings import ConfigError, Settings, checked, setting


@dataclass(frozen=True)
class Examples:
    """One split, as stored.

    Attributes:
        inputs: images as uint8 of shape (n, height, width, channels), possibly memory-mapped; or vectors as float32 of
            shape (n, features), which are served as they are.
        labels: int64 class numbers of shape (n,), from 0.
    """

    inputs: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def are_images(self) -> bool:
        return self.inputs.ndim == 4


@dataclass(frozen=True)
class Dataset:
    """A dataset as its source provides it.

    Attributes:
        train: the training split; the validation examples are still in it, unless the source has some of its own.
        test: the test split.
        num_classes: how many classes the head tells apart.
        train_enlarged: the same training images in the same order, at the augmentation's larger size, where a source
            keeps them; None where the trainer enlarges `train` itself.
        validation: the source's own validation split; None: a share of the training split is held out.
        content: fingerprint of data that the settings alone do not determine; None: they do.
    """

    train: Examples
    test: Examples
    num_classes: int
    train_enlarged: Examples | None = None
    validation: Examples | None = None
    content: str | None = None

    @property
    def fingerprint(self) -> str:
        """16 hex digits that depend on every example and label."""
        digest = hashlib.sha256()
        for examples in filter(None, (self.train, self.test, self.validation)):
            for array in (examples.inputs, examples.labels):
                digest.update(f"{array.dtype.str}{array.shape}".encode())
                digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class Source(Settings):
    """Base of every dataset: one subclass per kind of source, one yaml per dataset."""

    section: ClassVar[str] = "dataset"

    train_examples: int | None = setting(None, least=1)
    """Use a stratified subset of this many training examples (see `validation_examples`); null: all of them."""
    split_seed: int = setting(0, least=0)
    """Seed of the subset, the validation split and the label noise: the same for every method and run seed."""
    validation_examples: int | None = setting(None, least=1)
    """Validate on this many of the training examples that the subset leaves over, stratified by class.

    The whole subset is then trained on. null: `trainer.validation_fraction` of the subset is held out.
    """
    label_noise: float = setting(0.0, least=0, below=1)
    """Share of the training split's labels that are replaced by wrong ones, drawn uniformly from the other classes."""
    clean_validation: bool = setting(False)
    """Whether the validation split keeps its true labels under label noise."""
    imbalance: float = setting(1.0, least=1)
    """How many times more examples the first class keeps than the last: an exponential long tail; 1: all are kept."""
    growth: Sequence[float] | None = None
    """The share of the training split in each round, e.g. [0.1, 1]; the last one holds for all further rounds."""
    stages: Sequence[float] | None = None
    """The share of the training split in each stage, e.g. [0.1, 1]; every stage has all of the method's rounds."""
    stages_by: str = setting("image", choices=("image", "class"))
    """What the shares of `stages` are of: images; or classes, in an order of the split seed. Then validation and test
    are on the classes that are there, and the head has outputs for all from the start."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, step in (("growth", "round"), ("stages", "stage")):
            object.__setattr__(self, name, _shares(name, step, getattr(self, name)))
        if self.growth and self.stages:
            raise ConfigError("dataset.growth is by round and dataset.stages by stage: set one of them to null")

    def load(self, image_size: int | None, enlarged_size: int | None, seed: int) -> Dataset:
        """Load the data.

        Args:
            image_size: pixels of the square images that the model sees (None for vectors). A source may return images
                of any size: the trainer resizes them on the device.
            enlarged_size: pixels that the augmentation crops from; None if nothing is cropped.
            seed: the run's seed, for sources that draw their data.

        Raises:
            ConfigError: the data are missing; the message names the command that prepares them.
        """
        raise TypeError(f"{type(self).__name__} does not define load")

    def fingerprint(self, image_size: int | None, seed: int) -> str | None:
        """What tells these data from others with the same settings, such as another file of the same name.

        It is asked when a run is planned, enters the run id, and must be the same when the run starts. By default all
        examples are loaded and hashed; a source of large files may hash those, or what determines them. None: the
        settings, which are in the run id, say it all.
        """
        return self.load(image_size, None, seed).fingerprint


def _shares(name: str, step: str, given: Any) -> tuple[float, ...] | None:
    """Shares as numbers; raises ConfigError if they are none, or fall."""
    if given is None:
        return None
    if not isinstance(given, (list, tuple)) or not given:
        raise ConfigError(f"dataset.{name} must be a list of shares, e.g. [0.1,1], or null; got {given!r}")
    limits = {"limits": {"above": 0, "most": 1}}
    shares = tuple(checked(f"each share in dataset.{name}", share, float, limits) for share in given)
    if list(shares) != sorted(shares):
        raise ConfigError(f"dataset.{name} must not fall from one {step} to the next; got {list(given)}")
    return shares
