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
    only_moves: ClassVar[bool] = False
    """Whether `apply` only moves and averages pixels, so that it may get them standardized or not."""

    @property
    def changes_nothing(self) -> bool:
        """Whether `apply` is the one of this class, so that nobody has to call it."""
        return type(self).apply is Augmentation.apply

    def enlarged_size(self, image_size: int) -> int | None:
        """Side in pixels of the images that `apply` is given; None: `image_size`."""
        return None

    def apply(self, images: Tensor, image_size: int, generator: torch.Generator) -> Tensor:
        """Augment images (n, channels, s, s), s being `enlarged_size` or else `image_size`.

        Their values are pixels from 0 to 255: uint8, or float32 if they were resized from what is stored. Images of an
        augmentation that `only_moves` pixels may be standardized already.

        Returns:
            (n, channels, image_size, image_size). All draws come from `generator`, a CPU stream.
        """
        return images


@dataclass(frozen=True, kw_only=True)
class Mild(Augmentation):
    """The paper's mild augmentation: resize to 248x248, take a random 224x224 crop, flip half of the images.

    At other image sizes the enlarged size keeps the proportion 248 : 224, rounded to whole pixels.
    """

    only_moves: ClassVar[bool] = True

    flip: float = setting(0.5, least=0, most=1)
    """Probability of a horizontal flip."""
    resize: int = setting(248, least=1)
    """Side of the enlarged image in pixels, for a crop of `crop` pixels."""
    crop: int = setting(224, least=1)
    """Side of the crop in pixels that `resize` refers to."""
    enlarge_from: str = setting("original", choices=("original", "resized"))
    """What is resized to the enlarged size: the original, or the image that was resized for the network before."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resize < self.crop:
            raise ConfigError(f"augmentation.resize must be at least {self.crop}, the crop; got {self.resize}")

    def enlarged_size(self, image_size: int) -> int | None:
        return self._side(image_size) if self.enlarge_from == "original" else None

    def _side(self, image_size: int) -> int:
        return (2 * image_size * self.resize + self.crop) // (2 * self.crop)

    def apply(self, images: Tensor, image_size: int, generator: torch.Generator) -> Tensor:
        if self.enlarge_from == "resized":
            images = resize(images.float(), self._side(image_size))
        return cropped_and_flipped(images, image_size, self.flip, generator)


@dataclass(frozen=True, kw_only=True)
class Standard(Augmentation):
    """The usual augmentation of small images: pad with black, crop at random to the size before, flip half of them."""

    flip: float = setting(0.5, least=0, most=1)
    """Probability of a horizontal flip."""
    padding: int = setting(4, least=0)
    """Black pixels on each side of an image of 32 pixels; at other sizes in proportion, rounded."""

    def apply(self, images: Tensor, image_size: int, generator: torch.Generator) -> Tensor:
        width = (2 * image_size * self.padding + 32) // 64
        padded = functional.pad(images, (width, width, width, width))
        return cropped_and_flipped(padded, image_size, self.flip, generator)


def cropped_and_flipped(images: Tensor, size: int, flip: float, generator: torch.Generator) -> Tensor:
    """A random `size` x `size` window of each image, mirrored with probability `flip`; channels last in memory."""
    offsets = torch.randint(images.shape[-1] - size + 1, (2, len(images), 1), generator=generator)
    flipped = torch.rand((len(images), 1), generator=generator) < flip
    cut = _cut_one_by_one if images.device.type == "cpu" else _cut_together
    return cut(images, offsets, flipped, size)


def _cut_together(images: Tensor, offsets: Tensor, flipped: Tensor, size: int) -> Tensor:
    """Crop and flip in one gather."""
    pixels, device = torch.arange(size), images.device
    rows = (offsets[0] + pixels).to(device)
    columns = (offsets[1] + torch.where(flipped, pixels.flip(0), pixels)).to(device)
    # Indexing a channels-last view keeps the result channels-last.
    picked = torch.arange(len(images), device=device)[:, None, None]
    return images.permute(0, 2, 3, 1)[picked, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _cut_one_by_one(images: Tensor, offsets: Tensor, flipped: Tensor, size: int) -> Tensor:
    """The same on the CPU, where copying whole rows is eight times as fast as a gather of pixels."""
    stored = images.permute(0, 2, 3, 1)
    cut = torch.empty((len(images), size, size, images.shape[1]), dtype=images.dtype)
    draws = zip(*offsets[..., 0].tolist(), flipped[:, 0].tolist(), strict=True)
    for target, image, (top, left, flip) in zip(cut.unbind(), stored.unbind(), draws, strict=True):
        part = image[top : top + size, left : left + size]
        target.copy_(part.flip(1) if flip else part)
    return cut.permute(0, 3, 1, 2)
