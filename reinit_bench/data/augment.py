"""Augmentation on the device: what happens to a training image before the network sees it (Section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from reinit_bench.core.settings import ConfigError, Settings, setting


def resize(images: Tensor, size: int) -> Tensor:
    """Resize float images (n, channels, height, width) to `size` x `size` pixels.

    Bilinear between pixel centres without antialiasing, the default of the authors' framework.
    """
    if images.shape[-2:] == (size, size):
        return images
    return functional.interpolate(images, size=(size, size), mode="bilinear", align_corners=False, antialias=False)


@dataclass(frozen=True, kw_only=True)
class Augmentation(Settings):
    """No augmentation, and the base of the others: training images are served like evaluation images."""

    section: ClassVar[str] = "augmentation"

    def enlarged_size(self, image_size: int) -> int | None:
        """Side in pixels of the images that crops are cut from; None if nothing is cropped."""
        return None

    def apply(self, images: Tensor, image_size: int, generator: torch.Generator) -> Tensor:
        """Augment float images (n, channels, s, s), given at `enlarged_size` unless that is None.

        Returns:
            (n, channels, image_size, image_size). All draws come from `generator`, a CPU stream.
        """
        return images


@dataclass(frozen=True, kw_only=True)
class Mild(Augmentation):
    """The paper's mild augmentation: resize to 248x248, take a random 224x224 crop, flip half of the images.

    At other image sizes the enlarged size keeps the proportion 248 : 224, rounded to whole pixels.
    """

    flip: float = setting(0.5, least=0, most=1)
    """Probability of a horizontal flip."""
    resize: int = setting(248, least=1)
    """Side of the enlarged image in pixels, for a crop of `crop` pixels."""
    crop: int = setting(224, least=1)
    """Side of the crop in pixels that `resize` refers to."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resize < self.crop:
            raise ConfigError(f"augmentation.resize must be at least {self.crop}, the crop; got {self.resize}")

    def enlarged_size(self, image_size: int) -> int | None:
        return (2 * image_size * self.resize + self.crop) // (2 * self.crop)

    def apply(self, images: Tensor, image_size: int, generator: torch.Generator) -> Tensor:
        count, side, device = len(images), images.shape[-1], images.device
        offsets = torch.randint(side - image_size + 1, (2, count, 1), generator=generator)
        flipped = torch.rand((count, 1), generator=generator) < self.flip
        if device.type == "cpu":
            return _cut_one_by_one(images, offsets[..., 0].tolist(), flipped[:, 0].tolist(), image_size)
        pixels = torch.arange(image_size)
        rows = (offsets[0] + pixels).to(device)
        columns = (offsets[1] + torch.where(flipped, pixels.flip(0), pixels)).to(device)
        # One gather crops and flips; indexing a channels-last view keeps the result channels-last.
        picked = torch.arange(count, device=device)[:, None, None]
        return images.permute(0, 2, 3, 1)[picked, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _cut_one_by_one(images: Tensor, offsets: list[list[int]], flipped: list[bool], size: int) -> Tensor:
    """Crop and flip as `Mild.apply`; on the CPU, copying whole rows is eight times as fast as a gather of pixels."""
    stored = images.permute(0, 2, 3, 1)
    cut = torch.empty((len(images), size, size, images.shape[1]), dtype=images.dtype)
    for target, image, top, left, flip in zip(cut.unbind(), stored.unbind(), *offsets, flipped, strict=True):
        part = image[top : top + size, left : left + size]
        target.copy_(part.flip(1) if flip else part)
    return cut.permute(0, 3, 1, 2)
