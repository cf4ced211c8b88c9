"""What a data source provides: examples as stored, before the trainer's split, scaling and augmentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from reinit_bench.core.settings import Settings, setting


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
    """

    train: Examples
    test: Examples
    num_classes: int
    train_enlarged: Examples | None = None
    validation: Examples | None = None


@dataclass(frozen=True, kw_only=True)
class Source(Settings):
    """Base of every dataset: one subclass per kind of source, one yaml per dataset."""

    section: ClassVar[str] = "dataset"

    train_examples: int | None = setting(None, least=1)
    """Train on a stratified subset of this many training examples (validation included); null: all of them."""
    split_seed: int = setting(0, least=0)
    """Seed of the subset and of the validation split: the same for every method and run seed."""

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
