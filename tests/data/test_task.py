from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_photos import PHOTOS

from reinit_bench.core.config import Experiment
from reinit_bench.core.randomness import stream
from reinit_bench.core.settings import ConfigError
from reinit_bench.data import task as task_module
from reinit_bench.data.augment import Augmentation, Mild, Standard, resize
from reinit_bench.data.cache import CacheWriter
from reinit_bench.data.randaugment import RandAugment
from reinit_bench.data.task import Task, load_task, statistics
from reinit_bench.data.tfds_source import Tfds

CPU = torch.device("cpu")
DIGITS = {"_target_": "reinit_bench.data.digits.Digits", "name": "digits"}
AUGMENTATIONS = (Augmentation, Mild, Standard, RandAugment)
Make = Callable[..., Experiment]


def file_behind(tensor: torch.Tensor) -> str:
    """Name of the file whose mapping holds the tensor's memory; empty if there is none."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, *_, path = line.split()
        start, stop = (int(number, 16) for number in span.split("-"))
        if start <= tensor.data_ptr() < stop:
            return Path(path).name if path.startswith("/") else ""
    return ""


def batch(task: Task, *positions: int) -> tuple[torch.Tensor, torch.Tensor]:
    return task.train_batch(torch.tensor(positions), stream(0, "augment"))


def augmented(experiment: Experiment, kind: type[Augmentation]) -> Experiment:
    """The experiment with this augmentation at its defaults."""
    target = f"{kind.__module__}.{kind.__qualname__}"
    return dataclasses.replace(experiment, augmentation={"_target_": target, "name": "x"})


def test_a_tenth_is_held_out_stratified_and_nothing_is_in_two_splits(make_experiment: Make) -> None:
    task = load_task(make_experiment(DIGITS, 32), CPU)
    assert (len(task.train), len(task.validation), len(task.test)) == (1167, 130, 500)
    assert torch.bincount(task.validation.labels).tolist() == [13] * 10
    assert task.input_shape == (1, 32, 32)
    train, validation = set(task.train.rows.tolist()), set(task.validation.rows.tolist())
    assert not train & validation
    assert len(train | validation) == 1297


@pytest.mark.parametrize("shape", [(3, 300, 5, 3), (70_000, 1, 1, 1), (2, 66_000, 1, 1)])
def test_statistics_of_white_images_do_not_overflow(shape: tuple[int, ...]) -> None:
    white = np.full(shape, 255, np.uint8)
    white[0] = 251
    mean, std = statistics(white, np.arange(len(white)), CPU)
    exact = white.astype(np.float64)
    torch.testing.assert_close(mean.flatten(), torch.from_numpy(exact.mean((0, 1, 2))).float())
    torch.testing.assert_close(std.flatten(), torch.from_numpy(exact.std((0, 1, 2))).float(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("summed_at_a_time", [0, 1, 7, 60])
def test_inputs_are_standardized_with_the_training_splits_statistics(
    photos: Tfds, make_experiment: Make, monkeypatch: pytest.MonkeyPatch, summed_at_a_time: int
) -> None:
    monkeypatch.setattr(task_module, "SUMMED_BYTES", summed_at_a_time * 8 * 8 * 3)
    task = load_task(make_experiment(PHOTOS), CPU)
    pixels = photos.load(8, None, 0).train.inputs.astype(np.float64)
    mean, std = pixels.mean((0, 1, 2)), pixels.std((0, 1, 2))
    np.testing.assert_allclose(task.mean.flatten(), mean, rtol=1e-6)
    np.testing.assert_allclose(task.std.flatten(), std, rtol=1e-6)
    inputs, labels = batch(task, 0, 5)
    rows = task.train.rows[[0, 5]].numpy()
    np.testing.assert_allclose(inputs.permute(0, 2, 3, 1), (pixels[rows] - mean) / std, atol=1e-5)
    assert labels.tolist() == [row % 3 for row in rows]


def test_a_constant_channel_is_only_centred(make_experiment: Make, photos: Tfds) -> None:
    path = photos.jobs["train"].cache.path
    with CacheWriter(path) as writer:
        for split in ("train", "test"):
            images = writer.images(split, 8, (30, 8, 8, 3))
            images[:] = np.arange(30)[:, None, None, None] * [1, 0, 2] + [0, 7, 0]
            writer.labels(split, np.arange(30) % 3)
        writer.finish({"num_classes": 3})
    task = load_task(make_experiment({**PHOTOS, "train_count": 30, "test_count": 30}), CPU)
    assert task.std.flatten()[1] == 1.0
    assert batch(task, 0)[0][:, 1].abs().max() == 0.0


@pytest.mark.parametrize("dataset", [PHOTOS, {**PHOTOS, "train_examples": 30}])
@pytest.mark.parametrize("kind", AUGMENTATIONS)
@pytest.mark.usefixtures("photos")
def test_the_placement_of_the_data_changes_no_bit(
    make_experiment: Make, dataset: dict, kind: type[Augmentation]
) -> None:
    experiment = augmented(make_experiment(dataset), kind)
    resident, mapped = (load_task(experiment, CPU, resident=choice) for choice in (True, False))
    assert file_behind(mapped.train.stored) == "train_8.npy"
    assert file_behind(resident.train.stored) == ""
    for one, other in zip(batch(resident, 3, 0, 11), batch(mapped, 3, 0, 11), strict=True):
        assert torch.equal(one, other)
    for split in ("train", "validation", "test"):
        for one_batch, other_batch in zip(resident.batches(split, 7), mapped.batches(split, 7), strict=True):
            assert all(map(torch.equal, one_batch, other_batch))
    for ours, theirs in zip(resident.sample(9, stream(0, "x")), mapped.sample(9, stream(0, "x")), strict=True):
        assert torch.equal(ours, theirs)


def test_mild_augmentation_crops_the_enlarged_copy(photos: Tfds, make_experiment: Make) -> None:
    task = load_task(make_experiment(PHOTOS, mild=True), CPU)
    row = int(task.train.rows[4])
    enlarged = torch.from_numpy(photos.load(8, 9, 0).train_enlarged.inputs[row]).permute(2, 0, 1).float()
    enlarged = (enlarged - task.mean) / task.std
    assert torch.equal(batch(task, 4)[0], Mild().apply(enlarged[None], 8, stream(0, "augment")))
    draws = [task.train_batch(torch.tensor([4]), stream(seed, "augment"))[0] for seed in range(50)]
    crops = {tuple(draw.flatten().tolist()) for draw in draws}
    assert len(crops) == 8  # four windows, each with its mirror image


@pytest.mark.parametrize("size", [8, 6])
@pytest.mark.parametrize("kind", [Standard, RandAugment])
@pytest.mark.usefixtures("photos")
def test_the_others_augment_pixels_of_the_image_size(
    make_experiment: Make, kind: type[Augmentation], size: int
) -> None:
    """In spite of the enlarged copy beside the stored ones; black is black before it is standardized."""
    task = load_task(augmented(make_experiment(PHOTOS, size), kind), CPU)
    assert task.train_enlarged is None
    images = task.train.take(torch.arange(20))
    pixels = kind().apply(images if size == 8 else resize(images.float(), size), size, stream(0, "augment"))
    assert size == 6 or bool((pixels == 0).all(1).any()), "no padding is seen"
    assert pixels.dtype == (torch.uint8 if size == 8 or kind is RandAugment else torch.float32)
    assert torch.equal(batch(task, *range(20))[0], (pixels.float() - task.mean) / task.std)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Invert(Augmentation):
    """One of a user's own that crops nothing."""

    def apply(self, images: torch.Tensor, image_size: int, generator: torch.Generator) -> torch.Tensor:
        return 255 - images


@pytest.mark.parametrize("size", [6, 8])
@pytest.mark.usefixtures("photos")
def test_one_that_only_says_what_it_does_to_pixels_is_applied_at_any_size(make_experiment: Make, size: int) -> None:
    task = dataclasses.replace(load_task(make_experiment(PHOTOS, size), CPU), augmentation=Invert())
    pixels = resize(task.train.take(torch.tensor([2, 5])).float(), size)
    torch.testing.assert_close(batch(task, 2, 5)[0], (255 - pixels - task.mean) / task.std)


@pytest.mark.usefixtures("photos")
def test_another_image_size_is_resized_on_the_device(make_experiment: Make) -> None:
    task = load_task(make_experiment(PHOTOS, 6, mild=True), CPU)
    assert task.train_enlarged is None
    assert task.input_shape == (3, 6, 6)
    assert batch(task, 0, 1)[0].shape == (2, 3, 6, 6)
    assert next(task.batches("test"))[0].shape == (30, 3, 6, 6)


@pytest.mark.usefixtures("photos")
def test_large_images_are_evaluated_in_smaller_batches(make_experiment: Make) -> None:
    small = load_task(make_experiment(DIGITS, 16), CPU)
    assert [len(labels) for _, labels in small.batches("train")] == [1000, 167]
    assert next(small.batches("validation", 4))[0].is_contiguous(memory_format=torch.channels_last)
    large = load_task(make_experiment(DIGITS, 65), CPU)
    assert [len(labels) for _, labels in large.batches("test")] == [250, 250]


@pytest.mark.parametrize(
    ("data", "trainer", "message"),
    [
        (
            {"train_examples": 10},
            {"validation_fraction": 0.01},
            "validation_fraction=0.01 of 10 training examples leaves no validation",
        ),
        (
            {"train_examples": 1200, "validation_examples": 98},
            {},
            "validation_examples=98 must be at most 97, what the training subset leaves over; set dataset.train_exa",
        ),
        ({"validation_examples": 1}, {}, "must be at most 0, what"),
    ],
)
def test_validation_splits_that_cannot_be_are_refused(
    make_experiment: Make, data: dict[str, int], trainer: dict[str, float], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        load_task(make_experiment({**DIGITS, **data}, 16, **trainer), CPU)


def test_validation_examples_may_come_from_what_the_subset_leaves_over(make_experiment: Make) -> None:
    whole = load_task(
        make_experiment({**DIGITS, "train_examples": 200}, 16, validation_fraction=0, round_weights="last"), CPU
    )
    task = load_task(make_experiment({**DIGITS, "train_examples": 200, "validation_examples": 50}, 16), CPU)
    assert (len(task.train), len(task.validation), len(task.test)) == (200, 50, 500)
    assert torch.bincount(task.validation.labels).tolist() == [5] * 10
    # All of the subset is trained on, none of it is validated on.
    assert torch.equal(batch(task, *range(200))[0], batch(whole, *range(200))[0])
    (seen,) = [inputs for inputs, _ in task.batches("train", 200)]
    (held,) = [inputs for inputs, _ in task.batches("validation", 50)]
    assert not (torch.cdist(seen.flatten(1), held.flatten(1)) == 0).any()
    # The mean and deviation that scale the images are those of the examples trained on.
    assert torch.equal(task.mean, whole.mean)


def test_label_noise_falls_on_validation_examples_beside_the_subset_too(make_experiment: Make) -> None:
    labels = {}
    for noise, clean in ((0.0, False), (0.4, False), (0.4, True)):
        data = {**DIGITS, "train_examples": 200, "validation_examples": 50, "label_noise": noise}
        task = load_task(make_experiment({**data, "clean_validation": clean}, 16), CPU)
        labels[noise, clean] = task.validation.labels
    assert int((labels[0.4, False] != labels[0.0, False]).sum()) == 20
    assert torch.equal(labels[0.4, True], labels[0.0, False])


@pytest.mark.parametrize(("dataset", "size"), [(DIGITS, 13), (PHOTOS, 8)])
@pytest.mark.parametrize("kind", AUGMENTATIONS)
@pytest.mark.usefixtures("photos")
def test_what_is_kept_of_small_splits_changes_no_bit(
    make_experiment: Make, monkeypatch: pytest.MonkeyPatch, kind: type[Augmentation], dataset: dict, size: int
) -> None:
    def served() -> list[torch.Tensor]:
        task = load_task(augmented(make_experiment(dataset, size), kind), CPU)
        found = [batch(task, 3, 0, 3), task.plain_batch(torch.tensor([1]))]
        for _ in range(2):
            found += [part for split in ("train", "validation", "test") for part in task.batches(split, 7)]
        return [inputs for inputs, _ in found]

    kept = served()
    monkeypatch.setattr(task_module, "KEPT_BYTES", 0)
    assert all(torch.equal(mine, other) for mine, other in zip(kept, served(), strict=True))


@pytest.mark.parametrize(("dataset", "size", "enlarged"), [(PHOTOS, 8, 9), (DIGITS, 16, 18)])
@pytest.mark.usefixtures("photos")
def test_mild_augmentation_may_enlarge_the_image_of_the_networks_size(
    make_experiment: Make, dataset: dict[str, object], size: int, enlarged: int
) -> None:
    """Digits are stored at 8 pixels and enlarged twice."""
    experiment = make_experiment(dataset, size)
    section = {"_target_": "reinit_bench.data.augment.Mild", "name": "mild", "enlarge_from": "resized"}
    task = load_task(dataclasses.replace(experiment, augmentation=section), CPU)
    assert task.train_enlarged is None
    plain = task.plain_batch(torch.tensor([0, 5]))[0]
    expected = Mild().apply(resize(plain, enlarged), size, stream(0, "augment"))
    torch.testing.assert_close(batch(task, 0, 5)[0], expected)
