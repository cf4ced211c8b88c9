"""A user's own images: `dataset=image_folder dataset.path=...`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from reinit_bench.core.settings import ConfigError, setting
from reinit_bench.data.cache import Cache, CacheWriter, CorruptCache
from reinit_bench.data.folder_scan import Files, Listing, folder_content, scan
from reinit_bench.data.locations import data_dir, one_at_a_time
from reinit_bench.data.pixels import Decoding, fill
from reinit_bench.data.source import Dataset, Source

SHOWN = 20
"""How many classes, files left out or duplicates are printed one by one."""


@dataclass(frozen=True, kw_only=True)
class ImageFolder(Source):
    """`train/<class>/*`, `test/<class>/*` and if wanted `val/<class>/*`, or one tree `<class>/*` that is split here.

    The decoded images are cached on first use, and what was found is printed then.
    """

    path: str | None = setting(None)
    """The folder of images."""
    content: str | None = setting(None)
    """The folder's fingerprint when the run was composed; null: not checked."""
    test_fraction: float = setting(0.2, above=0, below=1)
    """Share of a tree without a test split that is drawn for testing, stratified by class."""
    channels: int = setting(3, least=1, most=3)
    """3: images become RGB; 1: luminance."""
    white: int | None = setting(None, least=1, most=0xFFFF)
    """The value that is white in images of more than 8 bits (65535, or 4095 of 12-bit data); null: they are refused."""
    unreadable: str = setting("refuse", choices=("refuse", "skip"))
    """What to do about files that are not images: name them and stop, or name them and continue without them."""
    data_dir: str | None = setting(None)
    """Folder of all caches; null: the variable REINIT_BENCH_DATA, or ~/.cache/reinit-bench."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.channels == 2:
            raise ConfigError("dataset.channels must be 1 or 3; got 2")

    def fingerprint(self, image_size: int | None, seed: int) -> str | None:
        return folder_content(self._path)

    @property
    def _path(self) -> str:
        if not self.path:
            raise ConfigError("dataset=image_folder needs a folder: dataset.path=FOLDER")
        return self.path

    def load(self, image_size: int | None, enlarged_size: int | None, seed: int) -> Dataset:
        listing = scan(self._path)
        if image_size is None:
            raise ConfigError("image_size for dataset=image_folder must be a number of pixels; got null")
        if self.content not in (None, listing.content):
            raise ConfigError(f"{self.path} is not the folder that the run was composed with: files differ")
        cache = self._place(listing, image_size, enlarged_size)
        try:
            return self._served(cache, listing, image_size, enlarged_size)  # no lock: it may be another user's
        except CorruptCache as error:
            if cache.exists():
                Console(stderr=True).out(f"{error}; caching the images again")
        self._cached(cache, listing, image_size, enlarged_size)
        return self._served(cache, listing, image_size, enlarged_size)

    def _served(self, cache: Cache, listing: Listing, image_size: int, enlarged_size: int | None) -> Dataset:
        """What the cache holds.

        Raises:
            CorruptCache: it is not there, it is of the folder as it was before, or a file is not what it was.
        """
        if cache.manifest().get("content") != listing.content:
            raise CorruptCache(f"{cache.path} is of other images than {self.path} holds now")
        return Dataset(
            train=cache.examples("train", image_size),
            validation=None if listing.validation is None else cache.examples("validation", image_size),
            test=cache.examples("test", image_size),
            num_classes=len(listing.classes),
            train_enlarged=None if enlarged_size is None else cache.examples("train", enlarged_size),
            content=listing.content,
        )

    def _place(self, listing: Listing, image_size: int, enlarged_size: int | None) -> Cache:
        words = (listing.root.resolve(), image_size, enlarged_size, self.channels, self.unreadable, self.test_fraction)
        text = "\0".join(map(str, (*words, self.white)))
        key = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:12]
        return Cache(data_dir(self.data_dir) / "cache" / f"image_folder-{listing.root.name}-{key}")

    def _cached(self, cache: Cache, listing: Listing, image_size: int, enlarged_size: int | None) -> None:
        """Build the cache; one process at a time, and what another has built meanwhile is taken."""
        root = cache.path.parents[1]
        try:
            with one_at_a_time(root, cache.path.name, Console(stderr=True).out):
                try:
                    self._served(cache, listing, image_size, enlarged_size)
                except CorruptCache:
                    self._build(cache.path, listing, image_size, enlarged_size)
        except OSError as error:
            raise ConfigError(
                f"cannot cache the images in {root}: {error.strerror or error}; set dataset.data_dir "
                "or REINIT_BENCH_DATA to a folder of your own"
            ) from error

    def _build(self, path: Path, listing: Listing, image_size: int, enlarged_size: int | None) -> None:
        train, test = _split(listing, self.test_fraction)
        splits = {"train": train, **({"validation": listing.validation} if listing.validation else {}), "test": test}
        console = Console(stderr=True)
        console.out("\n".join(_description(listing, splits)), highlight=False)
        skipped: set[str] = set()
        with CacheWriter(path) as writer:
            for split, files in splits.items():
                # Below an enlarged copy of the training images there is always one at the image size, for evaluation.
                sides = [image_size, *([enlarged_size] if enlarged_size and split == "train" else [])]
                skipped |= self._fill(writer, listing.root, split, files, sides)
            about = {"content": listing.content, "num_classes": len(listing.classes), "classes": listing.classes}
            writer.finish({**about, "skipped": sorted(skipped)})

    def _fill(self, writer: CacheWriter, root: Path, split: str, files: Files, sides: Sequence[int]) -> set[str]:
        """Write one split; returns the files that were skipped."""
        arrays: dict[int | None, np.ndarray] = {
            side: writer.images(split, side, (len(files), side, side, self.channels)) for side in sides
        }
        decoding = Decoding(channels=self.channels, upright=True, white=self.white)
        unreadable = fill(arrays, (root / name for name, _ in files), decoding)
        if unreadable:
            named = {files[row][0]: reason for row, reason in sorted(unreadable.items())}
            self._report(named, root)
            left = [file for file in files if file[0] not in named]
            if not left:
                raise ConfigError(f"none of the {len(files)} {split} files of {root} is an image")
            gone = {number for _, number in files} - {number for _, number in left}
            if gone and split == "train":
                example = next(name for name, number in files if number in gone)
                raise ConfigError(
                    f"no training image of the class of {root / example} can be read; nothing would be left of it"
                )
            return set(named) | self._fill(writer, root, split, left, sides)
        writer.labels(split, np.array([number for _, number in files]))
        return set()

    def _report(self, unreadable: dict[str, str], root: Path) -> None:
        problem = f"{len(unreadable)} files of {root} cannot be read"
        words = [f"{name}: {reason}" for name, reason in unreadable.items()]
        if self.unreadable == "skip":
            Console(stderr=True).out("\n  ".join([f"{problem}; skipped", *words]))
            return
        shown = "; ".join([*words[:5], *([f"and {len(words) - 5} more"] if len(words) > 5 else [])])
        raise ConfigError(f"{problem} ({shown}); remove them, or set dataset.unreadable=skip")


def _description(listing: Listing, splits: dict[str, Files]) -> list[str]:
    """What was found, for the user to check before anything is trained on it."""
    sizes = ", ".join(f"{len(files):,} {split}" for split, files in splits.items())
    lines = [f"caching {listing.root}: {sizes} images of {len(listing.classes)} classes"]
    counts = {split: listing.counts(files) for split, files in splits.items()}
    each = [f"{name} " + "+".join(str(counts[split][name]) for split in splits) for name in listing.classes]
    lines += [f"  images by class ({'+'.join(splits)}): {_shown(each)}"]
    lines += [f"  left out: {_shown(listing.left_out)}"] if listing.left_out else []
    first: dict[str, tuple[str, int]] = {}
    two_classes = []
    for name, number in splits["train"]:
        twin, other = first.setdefault(listing.hashes[name], (name, number))
        two_classes += [f"{name} is {twin}"] if other != number else []
    lines += [f"  warning: {len(two_classes)} images are in two classes: {_shown(two_classes)}"] if two_classes else []
    for split in splits.keys() - {"train"}:
        known = [(name, first.get(listing.hashes[name])) for name, _ in splits[split]]
        twins = [f"{name} is {found[0]}" for name, found in known if found is not None]
        lines += [f"  warning: {len(twins)} {split} images are training images too: {_shown(twins)}"] if twins else []
    return lines


def _shown(words: Sequence[str]) -> str:
    more = [f"and {len(words) - SHOWN:,} more"] if len(words) > SHOWN else []
    return ", ".join([*words[:SHOWN], *more])


def _split(listing: Listing, test_fraction: float) -> tuple[Files, Files]:
    """The folder's own splits, or a fixed stratified one."""
    if listing.test is not None:
        return listing.train, listing.test
    from reinit_bench.core.randomness import stream
    from reinit_bench.data.splits import stratified

    labels = np.array([number for _, number in listing.train])
    count = round(len(labels) * test_fraction)
    test, train = stratified(labels, count, stream(0, "image_folder", "test"))
    if not len(test) or len(np.unique(labels[train])) < len(listing.classes):
        raise ConfigError(f"{listing.root} has too few images to hold out {test_fraction:g} of each class for testing")
    return [listing.train[row] for row in train], [listing.train[row] for row in test]
