"""Task: a dataset as the trainer sees it: batches on the device, scaled, augmented, in a reproducible order.

Examples are kept on the device if they fit, otherwise memory-mapped on the host. Both give the same bits.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from reinit_bench.core.config import Experiment
from reinit_bench.core.machine import gpu_workers
from reinit_bench.core.randomness import stream
from reinit_bench.core.rounds import Round
from reinit_bench.core.settings import CONTENT, ConfigError, instantiate
from reinit_bench.data.augment import Augmentation, resize
from reinit_bench.data.source import Dataset, Examples, Source
from reinit_bench.data.splits import growing_order, long_tail, noisy_labels, stratified, training_subset
from reinit_bench.data.tfds_source import NotPrepared

EVALUATION_BATCH = 1000
SMALL_IMAGE = 64
SUMMED_BYTES = 2**16
"""Stored bytes that are summed at a time: they stay in the processor's cache, and 2^16 squares fit into 32 bits."""
KEPT_BYTES = 64 * 2**20
"""Up to this size, a split's inputs are kept as evaluation sees them instead of being recomputed for every batch."""
SPLITS = ("train", "validation", "test")
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


@dataclass(frozen=True, kw_only=True)
class Task:
    """The splits, and how batches are made from them on one device."""

    train: Split
    train_enlarged: Split | None
    validation: Split
    test: Split
    num_classes: int
    image_size: int | None
    mean: Tensor
    std: Tensor
    augmentation: Augmentation
    clean_labels: Tensor | None = None
    """The training split's true labels, int64 (n,), if some of `train.labels` are wrong."""
    growth: tuple[float, ...] = ()
    """The share of the training split in each round; the last one holds for all further rounds."""
    stages: tuple[float, ...] = ()
    """The share of the training split, or of the classes, in each stage."""
    classes: np.ndarray | None = None
    """The order in which classes join, int64 (num_classes,), where the stages' shares are of classes."""
    order: np.ndarray | None = None
    """The order in which the training split grows: positions, int64 (n,)."""
    content: str | None = None
    """Fingerprint of data that the settings alone do not determine."""
    _kept: dict[str, Tensor] = field(default_factory=dict, repr=False)
    _part: dict[float, Task] = field(default_factory=dict, repr=False)
    """The last part that `of_round` has made, by its share."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input of the network: (channels, height, width), or (features,)."""
        shape = self.train.input_shape
        return shape if self.image_size is None else (shape[0], self.image_size, self.image_size)

    @property
    def device(self) -> torch.device:
        return self.train.labels.device

    def of_round(self, current: Round) -> Task:
        """The task of a round: this one, or a part of its training split if that grows, and of its classes."""
        shares, number = (self.stages, current.stage) if self.stages else (self.growth, current.index)
        share = shares[min(number, len(shares)) - 1] if shares else 1.0
        if share == 1.0:
            return self
        if share not in self._part:  # every part keeps inputs of its own: one at a time
            self._part.clear()
            self._part[share] = self._with_classes(share) if self.classes is not None else self._with_images(share)
        return self._part[share]

    def _with_images(self, share: float) -> Task:
        assert self.order is not None
        # In stored order: which share an example belongs to must not decide its place in a batch.
        return self._with(np.sort(self.order[: grown(share, len(self.order))]))

    def _with_classes(self, share: float) -> Task:
        assert self.classes is not None
        there = self.classes[: grown(share, len(self.classes))]

        def of_these(split: Split) -> np.ndarray:
            return np.flatnonzero(np.isin(split.labels.cpu().numpy(), there))

        # Wrong labels go with the images that bear them.
        train = self.train if self.clean_labels is None else replace(self.train, labels=self.clean_labels)
        part = self._with(of_these(train))
        return replace(
            part, validation=self.validation.part(of_these(self.validation)), test=self.test.part(of_these(self.test))
        )

    def _with(self, chosen: np.ndarray) -> Task:
        """This task with these examples (positions, ascending) of the training split alone."""
        clean = self.clean_labels
        return replace(
            self,
            train=self.train.part(chosen),
            train_enlarged=None if self.train_enlarged is None else self.train_enlarged.part(chosen),
            clean_labels=None if clean is None else clean[torch.from_numpy(chosen).to(clean.device)],
            _kept={},
            _part={},
        )

    def train_batch(self, positions: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The training examples at `positions` (int64, on the device), augmented with draws from `generator`."""
        size, augmentation = self.image_size, self.augmentation
        if size is None or augmentation.changes_nothing:
            return self.plain_batch(positions)
        images = (self.train_enlarged or self.train).take(positions)
        side = augmentation.enlarged_size(size) or size
        if images.shape[-2:] == (side, side):
            images = self._standardized(augmentation.apply(images, size, generator))
        elif augmentation.only_moves:
            # Scaling changes each pixel alone, so the order is free; this one makes images as evaluation sees them.
            images = augmentation.apply(resize(self._standardized(images), side), size, generator)
        else:
            images = self._standardized(augmentation.apply(resize(images.float(), side), size, generator))
        return images, self.train.labels[positions]

    def plain_batch(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """The training examples at `positions` (int64, on the device), as evaluation sees them."""
        kept = self._whole("train")
        if kept is None:
            return self._scaled(self.train.take(positions)), self.train.labels[positions]
        return kept.index_select(0, positions).permute(0, 3, 1, 2), self.train.labels[positions]

    def batches(self, split: str, size: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """One split (train, validation or test) in order, without augmentation, `size` examples at a time.

        Without a size, batches of large images are smaller: an evaluation must fit into memory if a training step does.
        """
        assert split in SPLITS
        chosen: Split = getattr(self, split)
        if size is None:
            size = EVALUATION_BATCH if (self.image_size or 0) <= SMALL_IMAGE else EVALUATION_BATCH // 4
        kept = self._whole(split)
        for start in range(0, len(chosen), size):
            if kept is None:
                inputs = self._scaled(chosen.span(start, start + size))
            else:
                inputs = kept[start : start + size].permute(0, 3, 1, 2)
            yield inputs, chosen.labels[start : start + size]

    def sample(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Inputs and labels of `count` random training examples (all, if there are fewer), without augmentation."""
        positions = torch.randperm(len(self.train), generator=generator)[:count]
        return self._scaled(self.train.take(positions)), self.train.labels[positions.to(self.device)]

    def _whole(self, split: str) -> Tensor | None:
        """All images of a small split as evaluation sees them, (n, height, width, channels); None for a large one."""
        chosen: Split = getattr(self, split)
        if self.image_size is None or 4 * len(chosen) * math.prod(self.input_shape) > KEPT_BYTES:
            return None
        if split not in self._kept:
            images = self._scaled(chosen.span(0, len(chosen)))
            self._kept[split] = images.permute(0, 2, 3, 1).contiguous()
        return self._kept[split]

    def _scaled(self, inputs: Tensor) -> Tensor:
        """Inputs as the network sees them in evaluation."""
        if self.image_size is None:
            return inputs
        return resize(self._standardized(inputs), self.image_size)

    def _standardized(self, images: Tensor) -> Tensor:
        """Pixels (0 to 255) minus the training split's mean, over its standard deviation, channel by channel."""
        stored = images.permute(0, 2, 3, 1)
        width = stored.shape[2]
        # Row by row, as the pixels are laid out in memory: twice as fast on the CPU as with three channels innermost.
        rows = stored.reshape(*stored.shape[:2], -1).to(torch.float32, copy=True)
        rows.sub_(self.mean.reshape(-1).repeat(width)).div_(self.std.reshape(-1).repeat(width))
        return rows.reshape(stored.shape).permute(0, 3, 1, 2)


def load_task(experiment: Experiment, device: torch.device, *, resident: bool | None = None) -> Task:
    """Load an experiment's dataset, split it, and put it on the device.

    Args:
        resident: whether the data are kept on the device, or stay where they are (memory-mapped) and are copied batch
            by batch; None: on the device if they fit. Never changes a result.

    Raises:
        ConfigError: the dataset is missing, the subset impossible, or the image size wrong.
    """
    source: Source = instantiate(experiment.dataset, "dataset")
    augmentation: Augmentation = instantiate(experiment.augmentation, "augmentation")
    dataset = _load(source, experiment, augmentation)
    used = _used(dataset, source)
    beside = _beside_the_subset(dataset, used, source)
    labels = dataset.train.labels[used]
    fraction = experiment.trainer.validation_fraction
    has_own = dataset.validation is not None or beside is not None
    held_out = 0 if has_own else _validation_size(len(used), fraction)
    validation, train = stratified(labels, held_out, stream(source.split_seed, "validation"))
    _check_classes(labels, train, fraction)
    _warn_of_few(source, len(train), dataset.num_classes)
    mean, std = statistics(dataset.train.inputs, used, device)
    if resident is None:
        resident = fit_on(device, (dataset.train, dataset.train_enlarged, dataset.validation, dataset.test))

    def kept(examples: Examples, rows: np.ndarray | None) -> Split:
        return split_of(examples, rows, device, resident)

    whole = kept(dataset.train, used)
    if beside is not None:
        held = kept(dataset.train, beside)
    elif dataset.validation is not None:
        held = kept(dataset.validation, None if fraction else np.arange(0))
    else:
        held = whole.part(validation)
    clean = whole.part(train)
    return Task(
        train=_noisy(clean, source, dataset.num_classes, "train"),
        train_enlarged=None if dataset.train_enlarged is None else kept(dataset.train_enlarged, used).part(train),
        clean_labels=clean.labels if source.label_noise else None,
        growth=tuple(source.growth or ()),
        stages=tuple(source.stages or ()),
        order=growing_order(labels[train], stream(source.split_seed, "growth"))
        if source.growth or source.stages
        else None,
        classes=_joining(source, dataset.num_classes),
        validation=held if source.clean_validation else _noisy(held, source, dataset.num_classes, "validation"),
        test=kept(dataset.test, None),
        num_classes=dataset.num_classes,
        content=dataset.content,
        image_size=experiment.image_size,
        mean=mean,
        std=std,
        augmentation=augmentation,
    )


def _load(source: Source, experiment: Experiment, augmentation: Augmentation) -> Dataset:
    name, size = experiment.dataset["name"], experiment.image_size
    try:
        dataset = source.load(size, None if size is None else augmentation.enlarged_size(size), experiment.seed)
    except NotPrepared as error:
        itself = ", or add dataset.prepare=auto" if "prepare" in experiment.dataset else ""
        raise ConfigError(f"dataset {name} {error}; run: {error.command(name)}{itself}") from error
    dataset = _checked(dataset, source, experiment)
    if dataset.train.are_images != (size is not None):
        wanted = "a number of pixels" if dataset.train.are_images else "null: its examples are vectors"
        raise ConfigError(f"image_size for dataset {name} must be {wanted}; got {size}")
    return dataset


def _checked(dataset: Dataset, source: Source, experiment: Experiment) -> Dataset:
    """The dataset with its fingerprint, which must be the one that the run was planned with."""
    section = experiment.dataset
    if "content" in section and section["content"] is None:
        raise ConfigError(
            f"dataset {section['name']} has no content: its data could not be read; type the command again"
        )
    planned = section.get(CONTENT)
    if planned is None:
        return dataset
    itself = type(source).fingerprint is Source.fingerprint
    found = dataset.fingerprint if itself else source.fingerprint(experiment.image_size, experiment.seed)
    if found != planned:
        raise ConfigError(
            f"dataset {section['name']} has changed since the run was planned: its content is {found}, not {planned}; "
            "type the command again"
        )
    return replace(dataset, content=found)


def _used(dataset: Dataset, source: Source) -> np.ndarray:
    """Positions of the training examples that the subset and the long tail leave."""
    labels = dataset.train.labels
    used = training_subset(labels, source.train_examples, stream(source.split_seed, "train_examples"))
    if source.imbalance > 1:
        tail = stream(source.split_seed, "imbalance")
        used = used[long_tail(labels[used], source.imbalance, dataset.num_classes, tail)]
    return used


def _beside_the_subset(dataset: Dataset, used: np.ndarray, source: Source) -> np.ndarray | None:
    """Positions, ascending, of the training examples to validate on that are not in the subset; None: not wanted.

    Raises:
        ConfigError: the dataset has a validation split of its own, or the subset leaves fewer over.
    """
    count = source.validation_examples
    if count is None:
        return None
    if dataset.validation is not None:
        raise ConfigError("dataset.validation_examples must be null: this dataset has a validation split of its own")
    left = np.setdiff1d(np.arange(len(dataset.train)), used, assume_unique=True)
    if count > len(left):
        raise ConfigError(
            f"dataset.validation_examples={count} must be at most {len(left)}, what the training subset leaves over; "
            "set dataset.train_examples lower, or dataset.validation_examples=null"
        )
    chosen, _ = stratified(dataset.train.labels[left], count, stream(source.split_seed, "validation_examples"))
    return left[chosen]


def _noisy(split: Split, source: Source, num_classes: int, name: str) -> Split:
    if not source.label_noise:
        return split
    labels, generator = split.labels.cpu().numpy(), stream(source.split_seed, "label_noise", name)
    noisy = noisy_labels(labels, source.label_noise, num_classes, generator)
    return replace(split, labels=torch.from_numpy(noisy).to(split.labels.device))


def _validation_size(examples: int, fraction: float) -> int:
    held_out = round(examples * fraction)
    if fraction > 0 and held_out == 0:
        raise ConfigError(
            f"trainer.validation_fraction={fraction:g} of {examples} training examples leaves no validation example; "
            "use more examples, or trainer.validation_fraction=0 trainer.round_weights=last"
        )
    return held_out


def _joining(source: Source, num_classes: int) -> np.ndarray | None:
    """The order in which classes join; None where stages are of images."""
    if not source.stages or source.stages_by == "image":
        return None
    return torch.randperm(num_classes, generator=stream(source.split_seed, "classes")).numpy()


def _warn_of_few(source: Source, count: int, classes: int) -> None:
    """Warn of rounds that have fewer training examples than there are classes."""
    by_stage = source.stages if source.stages and source.stages_by == "image" else ()
    name, step = ("stages", "stage") if by_stage else ("growth", "round")
    for number, share in enumerate(by_stage or source.growth or (), start=1):
        few = grown(share, count)
        if few < classes:
            warnings.warn(
                f"dataset.{name}: in {step} {number}, {share:g} of the {count:,} training examples is {few}, for "
                f"{classes} classes; raise that share",
                stacklevel=3,
            )


def grown(share: float, count: int) -> int:
    """How many of `count` training examples or classes a share of them is."""
    return max(1, round(share * count))


def _check_classes(labels: np.ndarray, train: np.ndarray, fraction: float) -> None:
    """Raise ConfigError if holding out validation examples takes all examples of a class."""
    missing = sorted(set(np.unique(labels).tolist()) - set(np.unique(labels[train]).tolist()))
    if missing:
        raise ConfigError(
            f"trainer.validation_fraction={fraction:g} of {len(labels)} training examples leaves nothing to train on "
            f"for {len(missing)} of {len(np.unique(labels))} classes; lower it, or use more examples"
        )


def split_of(examples: Examples, used: np.ndarray | None, device: torch.device, resident: bool) -> Split:
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


def fit_on(device: torch.device, examples: Sequence[Examples | None]) -> bool:
    """Whether the examples should be kept on the device.

    On the CPU nothing is copied: the operating system keeps what is read from a mapped file in memory while there is
    room, once for all processes.
    """
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return sum(split.inputs.nbytes for split in examples if split is not None) <= RESIDENT_SHARE * free / gpu_workers()


def statistics(inputs: np.ndarray, used: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel over the training split, shape (channels, 1, 1), in 0..255.

    Summed as integers, so they do not depend on the order of summation; a constant channel's deviation is set to 1.
    """
    if inputs.ndim != 4:
        return torch.zeros((), device=device), torch.ones((), device=device)
    _, height, width, channels = inputs.shape
    total, squares = np.zeros((2, channels), np.int64)
    step = max(1, SUMMED_BYTES // (height * width * channels))
    for start in range(0, len(used), step):
        rows = inputs[used[start : start + step]].reshape(-1, width * channels)
        total += rows.sum(0, dtype=np.uint32).reshape(width, channels).sum(0, dtype=np.int64)
        squared = np.square(rows, dtype=np.uint16)
        squares += squared.sum(0, dtype=np.uint32).reshape(width, channels).sum(0, dtype=np.int64)
    pixels = len(used) * height * width
    mean = total / pixels
    std = np.sqrt(np.maximum(squares / pixels - mean**2, 0.0))
    std[std == 0] = 1.0
    as_tensor = [torch.tensor(x, dtype=torch.float32, device=device).reshape(-1, 1, 1) for x in (mean, std)]
    return as_tensor[0], as_tensor[1]
