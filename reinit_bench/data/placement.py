"""Where examples are kept while a network trains: on the device if they fit, otherwise memory-mapped on the host.

Both give the same bits: the choice changes speed and memory, never a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reinit_bench.core.machine import gpu_workers
from reinit_bench.data.source import Examples

RESIDENT_SHARE = 0.3
"""Share of a GPU's free memory that data may take; the rest is for the network and its activations.

Processes that share a GPU each keep data of their own, and divide this among them."""


@dataclass(frozen=True)
class Split:
    """Some rows of a stored array, in order.

    Attributes:
        stored: uint8 images (N, height, width, channels) or float32 vectors (N, d), of which this split may be a part;
            on the device, or on the host (possibly memory-mapped).
        rows: which rows of `stored` belong to this split, int64 of shape (n,) on the same device; None: all.
        labels: int64 of shape (n,), on the device.
    """

    stored: Tensor
    rows: Tensor | None
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one stored example as it is served: (channels, height, width) or (d,)."""
        shape = tuple(self.stored.shape[1:])
        return shape if len(shape) == 1 else (shape[2], shape[0], shape[1])

    def take(self, positions: Tensor) -> Tensor:
        """The examples at `positions` (int64, on any device): images as (n, channels, height, width), channels last."""
        positions = positions.to(self.stored.device)
        rows = positions if self.rows is None else self.rows[positions]
        return self._served(self.stored.index_select(0, rows))

    def span(self, start: int, stop: int) -> Tensor:
        """The examples from `start` to `stop`, in the form that `take` returns."""
        if self.rows is None:
            return self._served(self.stored[start:stop])
        return self._served(self.stored.index_select(0, self.rows[start:stop]))

    def part(self, positions: np.ndarray) -> Split:
        """The split of the examples at `positions`, over the same stored array."""
        chosen = torch.from_numpy(positions)
        beside = chosen.to(self.stored.device)
        rows = beside if self.rows is None else self.rows[beside]
        return Split(self.stored, rows, self.labels[chosen.to(self.labels.device)])

    def _served(self, examples: Tensor) -> Tensor:
        examples = examples.to(self.labels.device)
        return examples.permute(0, 3, 1, 2) if examples.ndim == 4 else examples


def place(examples: Examples, used: np.ndarray | None, device: torch.device, resident: bool) -> Split:
    """The examples at `used` (None: all) as a split: copied to the device, or left where they are on the host.

    What stays on the host is not read, and not copied: the tensor is the (memory-mapped) array.
    """
    if used is not None and len(used) == len(examples):
        used = None
    labels = torch.from_numpy(examples.labels if used is None else examples.labels[used]).to(device)
    if resident:
        chosen = examples.inputs if used is None else examples.inputs[used]
        return Split(torch.from_numpy(chosen).to(device, copy=True), None, labels)
    rows = None if used is None else torch.from_numpy(used)
    return Split(torch.from_numpy(examples.inputs), rows, labels)


def fits(examples: Sequence[Examples | None], device: torch.device) -> bool:
    """Whether the examples should be kept on the device.

    On the CPU nothing is copied: the operating system keeps what is read from a mapped file in memory while there is
    room, once for all processes.
    """
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return sum(split.inputs.nbytes for split in examples if split is not None) <= RESIDENT_SHARE * free / gpu_workers()
