"""A small dataset of photos whose cache is written without preparing anything."""

from __future__ import annotations

import numpy as np

from reinit_bench.data.cache import CacheWriter
from reinit_bench.data.tfds_source import Tfds

PHOTOS = {
    "_target_": "reinit_bench.data.tfds_source.Tfds",
    "name": "photos",
    "builder": "photos",
    "version": "1.0.0",
    "num_classes": 3,
    "train_count": 60,
    "test_count": 30,
    "stored_size": 8,
    "stored_enlarged": 9,
}
"""A small dataset of photos: 8 pixels, and 9 for mild augmentation's crops."""


def write_photo_cache(source: Tfds) -> None:
    """Write the cache of `PHOTOS` with random pixels."""
    rng = np.random.default_rng(0)
    with CacheWriter(source.jobs["train"].cache.path) as writer:
        for split, count, sides in (("train", 60, (8, 9)), ("test", 30, (8,))):
            for side in sides:
                array = writer.images(split, side, (count, side, side, 3))
                array[:] = rng.integers(0, 256, array.shape, dtype=np.uint8)
            writer.labels(split, np.arange(count) % 3)
        writer.finish({"num_classes": 3})
