"""Augmentations: exact windows of stored images; RandAugment: torchvision's operations to the bit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from reinit_bench.core.randomness import stream
from reinit_bench.core.settings import ConfigError
from reinit_bench.data import augment
from reinit_bench.data.augment import Augmentation, Mild, Standard
from reinit_bench.data.randaugment import MAGNITUDES, OPERATIONS, RandAugment, changed


def coordinates(count: int, side: int) -> torch.Tensor:
    """Images whose two channels are each pixel's row and column."""
    line = torch.arange(side, dtype=torch.float32)
    grid = torch.stack(torch.meshgrid(line, line, indexing="ij"))
    return grid.expand(count, 2, side, side)


@pytest.mark.parametrize(("image_size", "enlarged"), [(224, 248), (32, 35), (28, 31), (448, 496), (96, 106)])
def test_the_enlarged_side_keeps_the_papers_proportion(image_size: int, enlarged: int) -> None:
    assert Mild().enlarged_size(image_size) == enlarged


def test_a_crop_is_an_exact_window_or_its_mirror_image() -> None:
    crops = Mild().apply(coordinates(400, 8), 6, stream(0, "test"))
    assert crops.shape == (400, 2, 6, 6)
    for rows, columns in crops:
        top, left = rows[0, 0], columns.min()
        assert torch.equal(rows, (top + torch.arange(6.0))[:, None].expand(6, 6))
        straight = (left + torch.arange(6.0)).expand(6, 6)
        assert torch.equal(columns, straight) or torch.equal(columns, straight.flip(1))


def test_crops_cover_all_positions_evenly_and_half_are_flipped() -> None:
    count = 9000
    crops = Mild().apply(coordinates(count, 8), 6, stream(0, "test"))
    tops, lefts = crops[:, 0, 0, 0].long(), crops[:, 1].amin((1, 2)).long()
    positions = torch.bincount(tops * 3 + lefts, minlength=9)
    # Standard deviations of the counts: 30 of 1000 per position, 47 of 4500 flips.
    assert positions.shape == (9,)
    assert (positions - 1000).abs().max() < 150
    flips = int((crops[:, 1, 0, 0] > crops[:, 1, 0, -1]).sum())
    assert abs(flips - 4500) < 240


def test_a_crop_larger_than_the_image_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"augmentation.resize must be at least 224, the crop; got 200"):
        Mild(resize=200)


@pytest.mark.parametrize(("image_size", "padding"), [(32, 4), (8, 1), (28, 4), (224, 28)])
def test_standard_is_a_window_of_the_image_padded_with_black(image_size: int, padding: int) -> None:
    images = 1 + coordinates(200, image_size)
    padded = functional.pad(images[0], (padding,) * 4)
    middle = image_size // 2
    found = set()
    for crop in Standard(flip=0.0).apply(images, image_size, stream(0, "test")):
        top, left = (crop[:, middle, middle] - 1 - middle + padding).int().tolist()
        assert torch.equal(crop, padded[:, top : top + image_size, left : left + image_size])
        found |= {top, left}
    assert found == set(range(2 * padding + 1))


def test_standard_can_make_nine_windows_and_their_mirror_images_of_one_image() -> None:
    image = torch.arange(1, 65, dtype=torch.uint8).reshape(8, 8)
    crops = Standard().apply(image.expand(400, 1, 8, 8), 8, stream(0, "test"))
    padded = functional.pad(image, (1, 1, 1, 1))
    windows = [padded[top : top + 8, left : left + 8] for top in range(3) for left in range(3)]
    expected = {tuple(window.flatten().tolist()) for window in [*windows, *(window.flip(1) for window in windows)]}
    assert crops.dtype == torch.uint8
    assert {tuple(crop.flatten().tolist()) for crop in crops} == expected


@pytest.mark.parametrize("augmentation", [Mild(), Standard()])
def test_one_gather_as_on_a_gpu_gives_the_same_bits(
    augmentation: Augmentation, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = coordinates(40, augmentation.enlarged_size(16) or 16).contiguous(memory_format=torch.channels_last)
    one_by_one = augmentation.apply(images, 16, stream(0, "test"))
    monkeypatch.setattr(augment, "_cut_one_by_one", augment._cut_together)
    together = augmentation.apply(images, 16, stream(0, "test"))
    assert together.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(together, one_by_one)


def test_enlarging_the_resized_image_crops_another_enlargement_at_the_same_place() -> None:
    """8 pixels enlarged to 18 at once, or to 16 and then 18; the draws are the same."""
    images = torch.randint(256, (20, 3, 8, 8), generator=stream(0, "images"), dtype=torch.uint8)
    original, resized = Mild(), Mild(enlarge_from="resized")
    assert (original.enlarged_size(16), resized.enlarged_size(16)) == (18, None)
    at_size = augment.resize(images.float(), 16)
    found = resized.apply(at_size, 16, stream(0, "test"))
    assert torch.equal(found, original.apply(augment.resize(at_size, 18), 16, stream(0, "test")))
    direct = original.apply(augment.resize(images.float(), 18), 16, stream(0, "test"))
    assert 1 < (found - direct).abs().max() < 128


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
    usual = v2.RandAugment()
    assert (usual.num_magnitude_bins, RandAugment(num_ops=usual.num_ops, magnitude=usual.magnitude)) == (
        MAGNITUDES,
        RandAugment(),
    )
    signed, without = range(2, 2 * SIGNED + 2), (0, *range(2 * SIGNED + 2, 2 * len(OPERATIONS), 2))
    assert set(draws) == {*signed, *without}, "an operation is not among those compared"
    ours = changed(images, torch.tensor(draws), magnitude)
    for one, other, draw in zip(ours, theirs, draws, strict=True):
        assert torch.equal(one, other), NAMES[draw // 2]


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
