"""Label noise: a share of the labels is replaced by wrong ones, once, the same for every method and run seed."""

from __future__ import annotations

import numpy as np
import torch


def noisy_labels(labels: np.ndarray, share: float, num_classes: int, generator: torch.Generator) -> np.ndarray:
    """Labels of which exactly round(share * n) are wrong: drawn uniformly from the other classes.

    Args:
        labels: int64 class numbers, shape (n,); stays as it is.
    """
    count = round(share * len(labels))
    positions = torch.randperm(len(labels), generator=generator)[:count].numpy()
    shifts = torch.randint(1, num_classes, (count,), generator=generator).numpy()
    noisy = labels.copy()
    noisy[positions] = (labels[positions] + shifts) % num_classes
    return noisy
