"""Stratified random splits that depend on nothing but the labels and a named stream."""

from __future__ import annotations

import math

import numpy as np
import torch

from reinit_bench.core.settings import ConfigError


def stratified(labels: np.ndarray, count: int, generator: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` positions so that each class keeps its share; return (drawn, the rest), both ascending.

    A class's share of `count` is rounded down; what is missing goes to the classes with the largest remainders, ties to
    the lower class number.

    Args:
        labels: int64 class numbers, shape (n,).
        count: how many to draw, 0 to n.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    exact = sizes * count / max(len(labels), 1)
    quota = np.floor(exact).astype(np.int64)
    by_remainder = np.argsort(-(exact - quota), kind="stable")
    quota[by_remainder[: count - quota.sum()]] += 1
    drawn = []
    for number, take in zip(classes, quota, strict=True):
        positions = np.flatnonzero(labels == number)
        order = torch.randperm(len(positions), generator=generator).numpy()
        drawn.append(positions[order[:take]])
    chosen = np.sort(np.concatenate(drawn)) if drawn else np.empty(0, np.int64)
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
    for number in np.unique(labels):
        positions = np.flatnonzero(labels == number)
        share = ratio ** (-int(number) / max(1, num_classes - 1))
        order = torch.randperm(len(positions), generator=generator).numpy()
        kept.append(positions[order[: max(1, math.floor(len(positions) * share))]])
    return np.sort(np.concatenate(kept))


def growing_order(labels: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """An order of all positions of which every beginning holds each class in its share, up to one example."""
    places = np.empty(len(labels))
    for number in np.unique(labels):
        positions = np.flatnonzero(labels == number)
        order = torch.randperm(len(positions), generator=generator).numpy()
        places[positions[order]] = (np.arange(len(positions)) + 0.5) / len(positions)
    return np.argsort(places, kind="stable")
