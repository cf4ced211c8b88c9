"""Which examples are used for what, and with which labels: it depends on nothing but the labels and a named stream."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from reinit_bench.core.settings import ConfigError


def _shuffled(labels: np.ndarray, generator: torch.Generator) -> Iterator[tuple[int, np.ndarray]]:
    """Each class, ascending, with its positions in random order."""
    for number in np.unique(labels):
        positions = np.flatnonzero(labels == number)
        yield int(number), positions[torch.randperm(len(positions), generator=generator).numpy()]


def stratified(labels: np.ndarray, count: int, generator: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` positions so that each class keeps its share; return (drawn, the rest), both ascending.

    A class's share of `count` is rounded down; what is missing goes to the classes with the largest remainders, ties to
    the lower class number.

    Args:
        labels: int64 class numbers, shape (n,).
        count: how many to draw, 0 to n.
    """
    _, sizes = np.unique(labels, return_counts=True)
    exact = sizes * count / max(len(labels), 1)
    quota = np.floor(exact).astype(np.int64)
    by_remainder = np.argsort(-(exact - quota), kind="stable")
    quota[by_remainder[: count - quota.sum()]] += 1
    drawn = [positions[:take] for take, (_, positions) in zip(quota, _shuffled(labels, generator), strict=True)]
    chosen = np.sort(np.concatenate([np.empty(0, np.int64), *drawn]))
    return chosen, np.setdiff1d(np.arange(len(labels)), chosen, assume_unique=True)


def training_subset(labels: np.ndarray, train_examples: int | None, generator: torch.Generator) -> np.ndarray:
    """Positions of the training split to use: all, or a stratified subset of `train_examples`.

    Raises:
        ConfigError: there are fewer examples, or the subset would miss a class.
    """
    if train_examples is None:
        return np.arange(len(labels))
    if train_examples > len(labels):
        raise ConfigError(
            f"dataset.train_examples must be at most {len(labels)}, the training split's size; got {train_examples}"
        )
    chosen, _ = stratified(labels, train_examples, generator)
    missing = len(np.unique(labels)) - len(np.unique(labels[chosen]))
    if missing:
        raise ConfigError(
            f"dataset.train_examples={train_examples} leaves {missing} classes without an example; use more"
        )
    return chosen


def long_tail(labels: np.ndarray, ratio: float, num_classes: int, generator: torch.Generator) -> np.ndarray:
    """Positions, ascending, of a subset with an exponential long tail.

    Of the n examples of class c, at least one and otherwise n * ratio^(-c / (C - 1)), rounded down, are kept at random:
    all of the first class, the ratio-th part of the last.
    """
    kept = [np.empty(0, np.int64)]
    for number, positions in _shuffled(labels, generator):
        share = ratio ** (-number / max(1, num_classes - 1))
        kept.append(positions[: max(1, math.floor(len(positions) * share))])
    return np.sort(np.concatenate(kept))


def growing_order(labels: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """An order of all positions of which every beginning holds each class in its share, up to one example."""
    when = np.empty(len(labels))
    for _, positions in _shuffled(labels, generator):
        when[positions] = (np.arange(len(positions)) + 0.5) / len(positions)
    return np.argsort(when, kind="stable")


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
