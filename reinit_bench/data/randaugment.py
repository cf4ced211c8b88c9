"""RandAugment (Cubuk et al. 2020) on the device, by torchvision's kernels; apart, because torchvision loads slowly."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as kernels

from reinit_bench.core.settings import ConfigError, setting
from reinit_bench.data.augment import Standard

MAGNITUDES = 31
"""How many there are, from 0 on; torchvision's default."""


@dataclass(frozen=True)
class Strength:
    """One of the magnitudes, and a sign; an operation says what range it stands for."""

    magnitude: int
    sign: int

    def between(self, least: float, most: float) -> float:
        """The value in this range, in single precision as torchvision has it."""
        return float(torch.linspace(least, most, MAGNITUDES)[self.magnitude])

    def up_to(self, most: float) -> float:
        """The signed value in the range from 0."""
        return self.sign * self.between(0.0, most)


OPERATIONS: Mapping[str, Callable[[Tensor, Strength], Tensor]] = {
    "identity": lambda images, strength: images,
    "shear x": lambda images, strength: _sheared(images, strength.up_to(0.3), 0.0),
    "shear y": lambda images, strength: _sheared(images, 0.0, strength.up_to(0.3)),
    "translate x": lambda images, strength: _moved(images, strength.up_to(150 / 331 * images.shape[-1]), 0.0),
    "translate y": lambda images, strength: _moved(images, 0.0, strength.up_to(150 / 331 * images.shape[-2])),
    "rotate": lambda images, strength: kernels.rotate(images, strength.up_to(30.0)),
    "brightness": lambda images, strength: kernels.adjust_brightness(images, 1.0 + strength.up_to(0.9)),
    "color": lambda images, strength: kernels.adjust_saturation(images, 1.0 + strength.up_to(0.9)),
    "contrast": lambda images, strength: kernels.adjust_contrast(images, 1.0 + strength.up_to(0.9)),
    "sharpness": lambda images, strength: kernels.adjust_sharpness(images, 1.0 + strength.up_to(0.9)),
    "posterize": lambda images, strength: kernels.posterize(images, round(strength.between(8.0, 4.0))),
    "solarize": lambda images, strength: kernels.solarize(images, 255 * strength.between(1.0, 0.0)),
    # Seven times as fast on the CPU with each channel's pixels next to each other.
    "auto contrast": lambda images, strength: kernels.autocontrast(images.contiguous()),
    "equalize": lambda images, strength: kernels.equalize(images),
}
"""torchvision's operations in its order, with its ranges; each takes uint8 images (n, 1 or 3, s, s)."""


@dataclass(frozen=True, kw_only=True)
class RandAugment(Standard):
    """`standard`, then operations at random on each image: shear, rotate, contrast, ..., torchvision's fourteen.

    What an operation moves in from outside is black; colour operations leave gray images alone.
    """

    num_ops: int = setting(2, least=0)
    """Operations on each image, one after the other."""
    magnitude: int = setting(9, least=0, most=MAGNITUDES - 1)
    """How strong they are."""

    def apply(self, images: Tensor, image_size: int, generator: torch.Generator) -> Tensor:
        if images.shape[1] not in (1, 3):
            raise ConfigError(f"augmentation=randaugment takes images of 1 or 3 channels; got {images.shape[1]}")
        images = super().apply(images, image_size, generator)
        if images.is_floating_point():
            images = images.round().to(torch.uint8)
        for drawn in torch.randint(2 * len(OPERATIONS), (self.num_ops, len(images)), generator=generator):
            images = changed(images, drawn, self.magnitude)
        return images


def changed(images: Tensor, drawn: Tensor, magnitude: int) -> Tensor:
    """Each image after the operation drawn for it; images with the same one go through it together.

    Args:
        drawn: int64 (n,), on the CPU: twice the operation's place in OPERATIONS, plus 1 if its strength is negative.
    """
    choices = [(operation, Strength(magnitude, sign)) for operation in OPERATIONS.values() for sign in (1, -1)]
    order = drawn.argsort(stable=True)
    images = _reordered(images, order)
    parts = images.split(torch.bincount(drawn, minlength=len(choices)).tolist())
    for (operation, strength), part in zip(choices, parts, strict=True):
        if len(part):
            part.copy_(operation(part, strength))
    return _reordered(images, order.argsort())


def _reordered(images: Tensor, order: Tensor) -> Tensor:
    """A copy in this order, channels last in memory, where most operations are as fast or faster."""
    return images.permute(0, 2, 3, 1).index_select(0, order.to(images.device)).permute(0, 3, 1, 2)


def _sheared(images: Tensor, across: float, down: float) -> Tensor:
    """Sheared by these slopes about the upper left corner."""
    angles = [math.degrees(math.atan(across)), math.degrees(math.atan(down))]
    return kernels.affine(images, angle=0.0, translate=[0, 0], scale=1.0, shear=angles, center=[0, 0])


def _moved(images: Tensor, across: float, down: float) -> Tensor:
    """Moved by whole pixels, rounded towards 0."""
    return kernels.affine(images, angle=0.0, translate=[int(across), int(down)], scale=1.0, shear=[0.0, 0.0])
