"""Task: what a dataset is to the trainer: batches on the device, scaled, augmented, in a reproducible order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reinit_bench.config import Experiment
from reinit_bench.data.augment import Augmentation, resize
from reinit_bench.data.source import Dataset, Examples, Source
from reinit_bench.data.splits import stratified, training_subset
from reinit_bench.randomness import stream
from reinit_bench.settings import ConfigError, instantiate

EVALUATION_BATCH = 1000
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Resident:
    """One split on the device: uint8 images (n, channels, height, width), channels last, or float32 vectors (n, d)."""

    inputs: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(cls, examples: Examples, positions: np.ndarray | None, device: torch.device) -> Resident:
        chosen = slice(None) if positions is None else positions
        inputs = torch.from_numpy(np.ascontiguousarray(examples.inputs[chosen])).to(device)
        if examples.are_images:
            inputs = inputs.permute(0, 3, 1, 2)
        return cls(inputs, torch.from_numpy(np.ascontiguousarray(examples.labels[chosen])).to(device))


@dataclass(frozen=True, kw_only=True)
class Task:
    """Splits resident on one device, and how a batch is made of them."""

    train: Resident
    train_enlarged: Resident | None
    validation: Resident
    test: Resident
    num_classes: int
    image_size: int | None
    mean: Tensor
    std: Tensor
    augmentation: Augmentation

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input of the network: (channels, height, width), or (features,)."""
        if self.image_size is None:
            return tuple(self.train.inputs.shape[1:])
        return (self.train.inputs.shape[1], self.image_size, self.image_size)

    @property
    def device(self) -> torch.device:
        return self.train.labels.device

    def train_batch(self, positions: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The training examples at `positions` (int64, on the device), augmented with draws from `generator`."""
        size = self.image_size
        enlarged = None if size is None else self.augmentation.enlarged_size(size)
        if size is None or enlarged is None:
            return self._scaled(self.train.inputs[positions]), self.train.labels[positions]
        stored = self.train if self.train_enlarged is None else self.train_enlarged
        images = resize(self._standardized(stored.inputs[positions]), enlarged)
        return self.augmentation.apply(images, size, generator), self.train.labels[positions]

    def batches(self, split: str, size: int = EVALUATION_BATCH) -> Iterator[tuple[Tensor, Tensor]]:
        """One split (train, validation or test) in order, without augmentation."""
        assert split in SPLITS
        resident: Resident = getattr(self, split)
        for start in range(0, len(resident), size):
            part = slice(start, start + size)
            yield self._scaled(resident.inputs[part]), resident.labels[part]

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Inputs of `count` random training examples (all, where there are fewer), without augmentation."""
        positions = torch.randperm(len(self.train), generator=generator)[:count].to(self.device)
        return self._scaled(self.train.inputs[positions])

    def _scaled(self, inputs: Tensor) -> Tensor:
        """Inputs as the network sees them in evaluation."""
        if self.image_size is None:
            return inputs
        return resize(self._standardized(inputs), self.image_size)

    def _standardized(self, images: Tensor) -> Tensor:
        """uint8 images, channel by channel, minus the training split's mean, over its standard deviation."""
        return (images.float() - self.mean) / self.std


def load_task(experiment: Experiment, device: torch.device) -> Task:
    """Load an experiment's dataset, split it, and put it on the device.

    Raises:
        ConfigError: the dataset is not there, the subset impossible, or the image size missing.
    """
    source: Source = instantiate(experiment.dataset, "dataset")
    augmentation: Augmentation = instantiate(experiment.augmentation, "augmentation")
    size = experiment.image_size
    enlarged = None if size is None else augmentation.enlarged_size(size)
    dataset = source.load(size, enlarged, experiment.seed)
    if dataset.train.are_images != (size is not None):
        wanted = "a number of pixels" if dataset.train.are_images else "null: its examples are vectors"
        raise ConfigError(f"image_size for dataset {experiment.dataset['name']} must be {wanted}; got {size}")
    used = training_subset(dataset.train.labels, source.train_examples, stream(source.split_seed, "train_examples"))
    labels = dataset.train.labels[used]
    held_out = _validation_size(len(used), experiment.trainer.validation_fraction)
    validation, train = stratified(labels, held_out, stream(source.split_seed, "validation"))
    mean, std = _statistics(dataset.train.inputs, used, device)
    return Task(
        train=Resident.of(dataset.train, used[train], device),
        train_enlarged=_enlarged(dataset, used[train], enlarged, device),
        validation=Resident.of(dataset.train, used[validation], device),
        test=Resident.of(dataset.test, None, device),
        num_classes=dataset.num_classes,
        image_size=size,
        mean=mean,
        std=std,
        augmentation=augmentation,
    )


def _validation_size(examples: int, fraction: float) -> int:
    held_out = round(examples * fraction)
    if fraction > 0 and held_out == 0:
        raise ConfigError(
            f"trainer.validation_fraction={fraction:g} of {examples} training examples leaves no validation example; "
            "take more examples, or trainer.validation_fraction=0 trainer.round_weights=last"
        )
    return held_out


def _enlarged(dataset: Dataset, used: np.ndarray, size: int | None, device: torch.device) -> Resident | None:
    if size is None or dataset.train_enlarged is None:
        return None
    return Resident.of(dataset.train_enlarged, used, device)


def _statistics(inputs: np.ndarray, used: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel over the training split, shape (channels, 1, 1), in 0..255.

    Summed as integers, so that they do not depend on the order of summation; a channel that never changes gets 1.
    """
    if inputs.ndim != 4:
        return torch.zeros((), device=device), torch.ones((), device=device)
    counts = np.zeros((inputs.shape[-1], 256), np.int64)
    for start in range(0, len(used), EVALUATION_BATCH):
        part = inputs[used[start : start + EVALUATION_BATCH]]
        for channel in range(inputs.shape[-1]):
            counts[channel] += np.bincount(part[..., channel].ravel(), minlength=256)
    values = np.arange(256)
    total = counts.sum(1)
    mean = counts @ values / total
    std = np.sqrt(np.maximum(counts @ values**2 / total - mean**2, 0.0))
    std[std == 0] = 1.0
    as_tensor = [torch.tensor(x, dtype=torch.float32, device=device).reshape(-1, 1, 1) for x in (mean, std)]
    return as_tensor[0], as_tensor[1]
