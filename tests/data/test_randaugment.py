"""RandAugment: torchvision's operations to the bit, drawn for each image from the stream alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from reinit_bench.core.randomness import stream
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.augment import Standard
from reinit_bench.data.randaugment import MAGNITUDES, OPERATIONS, RandAugment, changed

SIGNED = 9
"""Of the operations after the identity, the first nine have a sign."""
NAMES = list(OPERATIONS)


def pictures(count: int, channels: int = 3, side: int = 16) -> Tensor:
    """Random uint8 images with smooth parts, one of them of one colour, channels last in memory."""
    small = torch.rand((count, channels, 4, 4), generator=stream(0, "pictures"))
    smooth = torch.nn.functional.interpolate(small, size=(side, side), mode="bilinear")
    images = (255 * smooth).round().to(torch.uint8)
    images[0] = 77
    return images.contiguous(memory_format=torch.channels_last)


def drawn_by_torchvision(seed: int) -> int:
    """What `v2.RandAugment(num_ops=1)` draws with torch's global generator at this seed, in our numbers."""
    torch.manual_seed(seed)
    operation = int(torch.randint(len(OPERATIONS), ()))
    negative = 1 <= operation <= SIGNED and bool(torch.rand(()) <= 0.5)
    return 2 * operation + negative


@pytest.mark.parametrize("magnitude", [0, 9, 10, 30])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_operation_is_torchvisions_on_each_image_alone(channels: int, magnitude: int) -> None:
    images = pictures(160, channels)
    theirs, draws = [], []
    transform = v2.RandAugment(num_ops=1, magnitude=magnitude)
    with torch.random.fork_rng(devices=()):
        for seed, image in enumerate(images):
            draws.append(drawn_by_torchvision(seed))
            torch.manual_seed(seed)
            theirs.append(transform(image))
    signed, without = range(2, 2 * SIGNED + 2), (0, *range(2 * SIGNED + 2, 2 * len(OPERATIONS), 2))
    assert set(draws) == {*signed, *without}, "an operation is not among those compared"
    ours = changed(images, torch.tensor(draws), magnitude)
    for one, other, draw in zip(ours, theirs, draws, strict=True):
        assert torch.equal(one, other), NAMES[draw // 2]


def test_magnitudes_are_torchvisions() -> None:
    assert v2.RandAugment().num_magnitude_bins == MAGNITUDES
    assert (RandAugment().num_ops, RandAugment().magnitude) == (v2.RandAugment().num_ops, v2.RandAugment().magnitude)


def test_it_is_standard_and_then_as_many_operations() -> None:
    images = pictures(30)
    found = RandAugment(magnitude=12).apply(images, 16, stream(3, "test"))
    generator = stream(3, "test")
    expected = Standard().apply(images, 16, generator)
    for drawn in torch.randint(28, (2, 30), generator=generator):
        expected = changed(expected, drawn, 12)
    assert torch.equal(found, expected)
    assert found.dtype == torch.uint8
    assert found.is_contiguous(memory_format=torch.channels_last)
    without = RandAugment(num_ops=0).apply(images, 16, stream(3, "test"))
    assert torch.equal(without, Standard().apply(images, 16, stream(3, "test")))


def test_the_stream_alone_decides_and_the_global_generator_is_left_alone() -> None:
    images, before = pictures(50), torch.get_rng_state()
    first = RandAugment().apply(images, 16, stream(0, "test"))
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(1)
    assert torch.equal(RandAugment().apply(images, 16, stream(0, "test")), first)
    assert not torch.equal(RandAugment().apply(images, 16, stream(1, "test")), first)
    assert torch.equal(images, pictures(50)), "what is stored was changed"


def test_resized_images_are_rounded_to_whole_pixels() -> None:
    images = pictures(20)
    near = images.float() + torch.linspace(-0.4, 0.4, 16)
    near = near.clamp(0, 255)
    exact = RandAugment().apply(images, 16, stream(0, "test"))
    assert torch.equal(RandAugment().apply(near, 16, stream(0, "test")), exact)


def test_images_of_other_channels_are_refused() -> None:
    with pytest.raises(ConfigError, match="augmentation=randaugment takes images of 1 or 3 channels; got 4"):
        RandAugment().apply(pictures(2, channels=4), 16, stream(0, "test"))
