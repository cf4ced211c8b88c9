"""Named random streams: every random choice of an experiment has a name and can be repeated on its own.

A run that is cut and resumed draws exactly what an uncut run draws, because each choice depends only on the run's seed
and on what the choice is for (the order of epoch 7 of round 2, the mask of round 3), never on what was drawn before it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed that depends on `seed` and on every word of `purpose`."""
    text = json.dumps([seed, *purpose])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(seed: int, *purpose: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """The generator of one named purpose, e.g. `stream(seed, "order", round_index, epoch)`.

    Streams live on the CPU unless `device` says otherwise, so masks, initial values and data orders are the same
    whichever device trains.
    """
    return torch.Generator(device=device).manual_seed(derive(seed, *purpose))


@contextmanager
def global_stream(seed: int, *purpose: str | int) -> Iterator[None]:
    """Within this block torch's global generators draw a named stream; afterwards they are as they were before.

    For code of others, which knows no streams: the constructor of a user's network.
    """
    # A GPU that nobody has used yet is left alone: to save its generator's state would start it.
    on_gpu = torch.cuda.is_initialized()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if on_gpu else ()):
        torch.default_generator.manual_seed(derive(seed, *purpose))
        if on_gpu:
            torch.cuda.manual_seed_all(derive(seed, *purpose))
        yield
