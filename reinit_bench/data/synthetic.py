"""The vectors of Section 1.1: three coordinates spell the class in binary, all others are noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from reinit_bench.core.randomness import stream
from reinit_bench.core.settings import ConfigError, setting
from reinit_bench.data.source import Dataset, Examples, Source

BITS = 3
CLASSES = 2**BITS


@dataclass(frozen=True, kw_only=True)
class Synthetic(Source):
    """Labels uniform over 8 classes; coordinates 1 to 3 are +-alpha, the label in binary; the rest is N(0, 1).

    The run's seed draws the data. Every alpha gets the same labels and the same noise, so that runs of one seed differ
    only in the signal's strength.
    """

    alpha: float = setting(1.0, least=0)
    """Strength of the signal; the paper's Table 1 has 0.5, 1 and 2."""
    features: int = setting(128, least=BITS)
    """Coordinates of an example, including the three of the signal."""
    train_examples: int | None = setting(256, least=CLASSES)
    """Training examples to draw (validation included)."""
    test_examples: int = setting(10_000, least=1)
    """Test examples to draw; the paper does not say how many it had."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.train_examples is None:
            raise ConfigError("dataset.train_examples of synthetic data must say how many to draw; got null")

    def fingerprint(self, image_size: int | None, seed: int) -> str | None:
        return None

    def load(self, image_size: int | None, enlarged_size: int | None, seed: int) -> Dataset:
        assert self.train_examples is not None
        return Dataset(
            train=self._draw(self.train_examples, stream(seed, "synthetic", "train")),
            test=self._draw(self.test_examples, stream(seed, "synthetic", "test")),
            num_classes=CLASSES,
        )

    def _draw(self, count: int, generator: torch.Generator) -> Examples:
        """`count` examples; class 0 is (-1, -1, -1) and class 5 is (1, -1, 1), times alpha."""
        labels = torch.randint(CLASSES, (count,), generator=generator).numpy()
        inputs = torch.randn(count, self.features, generator=generator).numpy()
        bits = (labels[:, None] >> np.arange(BITS)[::-1]) & 1
        inputs[:, :BITS] = self.alpha * (2 * bits - 1)
        return Examples(inputs, labels)
