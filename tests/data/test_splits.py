"""Splits, label noise, class imbalance and growing data: counts by hand, the same for every method and run seed."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories import make_config, tiny_experiment
from observers import InterruptAfter
from run_files import run_files

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.core.randomness import stream
from reinit_bench.core.rounds import Round
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.digits import Digits
from reinit_bench.data.preparing.splits import draw_per_class, draw_share
from reinit_bench.data.splits import growing_order, long_tail, noisy_labels, stratified, training_subset
from reinit_bench.data.task import Task, load_task
from reinit_bench.diagnostics.memorization import measure
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.run.experiment import run_experiment
from reinit_bench.store.store import Store
from reinit_bench.training.interrupt import Interrupted

CPU = torch.device("cpu")


def of(index: int, stage: int = 1) -> Round:
    return Round(index=index, block=0, repeat=1, max_steps=1, stage=stage)


def task_of(*overrides: str, seed: int = 0) -> Task:
    words = ("dataset=digits", "image_size=8", f"seed={seed}", *overrides)
    return load_task(Experiment.from_dict(make_config(*words)), CPU)


def test_wrong_labels_are_uniform_over_the_other_classes() -> None:
    labels = np.full(70_000, 3)
    noisy = noisy_labels(labels, 0.9, 7, stream(0, "x"))
    counts = np.bincount(noisy, minlength=7)
    assert counts[3] == 7000
    others = np.delete(counts, 3)
    assert abs(others - 10_500).max() < 5 * (10_500 * 5 / 6) ** 0.5


def test_noise_falls_on_training_and_validation_and_never_on_the_test() -> None:
    clean, noisy = task_of(), task_of("dataset.label_noise=0.25")
    kept = task_of("dataset.label_noise=0.25", "dataset.clean_validation=true")
    assert noisy.clean_labels is not None
    assert torch.equal(noisy.clean_labels, clean.train.labels)
    for name in ("train", "validation"):
        ours, theirs = getattr(noisy, name).labels, getattr(clean, name).labels
        assert int((ours != theirs).sum()) == round(0.25 * len(theirs)), name
    assert torch.equal(noisy.test.labels, clean.test.labels)
    assert torch.equal(kept.validation.labels, clean.validation.labels)
    assert torch.equal(kept.train.labels, noisy.train.labels)
    assert clean.clean_labels is None
    for one, other in zip(noisy.batches("train"), clean.batches("train"), strict=True):
        assert torch.equal(one[0], other[0]), "the images stay"


def test_the_wrong_labels_are_the_same_for_every_method_and_run_seed_but_not_split_seed() -> None:
    first = task_of("dataset.label_noise=0.25").train.labels
    assert torch.equal(first, task_of("dataset.label_noise=0.25", "method=bl", seed=5).train.labels)
    other = task_of("dataset.label_noise=0.25", "dataset.split_seed=1")
    assert other.clean_labels is not None
    assert not torch.equal(first, other.train.labels)


def test_a_long_tail_in_counts() -> None:
    labels = np.repeat(np.arange(3), 100)
    kept = long_tail(labels, 100.0, 3, stream(0, "x"))
    assert np.bincount(labels[kept]).tolist() == [100, 10, 1]
    assert (np.sort(kept) == kept).all()
    assert np.bincount(labels[long_tail(labels, 1e6, 3, stream(0, "x"))]).tolist() == [100, 1, 1], "at least one"


def test_imbalance_thins_training_and_validation_and_leaves_the_test() -> None:
    plain, thin = task_of(), task_of("dataset.imbalance=4")
    assert len(thin.test) == len(plain.test)
    both = torch.cat([thin.train.labels, thin.validation.labels]).bincount()
    whole = torch.cat([plain.train.labels, plain.validation.labels]).bincount()
    assert both.tolist() == [int(n * 4 ** (-c / 9)) for c, n in enumerate(whole.tolist())]


def test_every_beginning_of_the_growing_order_is_stratified() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    order = growing_order(labels, stream(0, "x"))
    assert sorted(order) == list(range(100))
    for count in (10, 30, 70):
        found = np.bincount(labels[order[:count]], minlength=3)
        assert abs(found - np.array([0.5, 0.3, 0.2]) * count).max() <= 1


def test_a_round_sees_its_share_and_every_share_holds_the_one_before() -> None:
    task = task_of("dataset.growth=[0.1,0.5,1]")
    count = len(task.train)
    rounds = [task.of_round(of(index)) for index in range(1, 6)]
    assert [len(one.train) for one in rounds] == [round(0.1 * count), round(0.5 * count), count, count, count]
    seen = [{image.numpy().tobytes() for image in one.train.take(torch.arange(len(one.train)))} for one in rounds]
    assert seen[0] <= seen[1] <= seen[2]
    assert all(one.validation is task.validation and one.test is task.test for one in rounds)
    assert task_of().of_round(of(3)).train is not None
    first = next(rounds[0].batches("train"))[0]
    assert len(first) == len(rounds[0].train), "what is kept for the whole split must not be served for a part"


def test_a_stage_has_its_share_in_every_round_of_it() -> None:
    task, grown = task_of("dataset.stages=[0.1,1]"), task_of("dataset.growth=[0.1,1]")
    first = [task.of_round(of(index)) for index in (1, 4)]
    assert [len(one.train) for one in first] == [round(0.1 * len(task.train))] * 2
    assert torch.equal(first[0].train.labels, grown.of_round(of(1)).train.labels)
    assert task.of_round(of(5, stage=2)) is task
    assert first[0].test is task.test


def test_classes_join_by_stages_and_are_tested_on_when_they_are_there() -> None:
    task = task_of("dataset.stages=[0.2,0.5,1]", "dataset.stages_by=class", "dataset.label_noise=0.3")
    stages = [task.of_round(of(1, stage=stage)) for stage in (1, 2, 3)]
    there = [set(one.test.labels.tolist()) for one in stages]
    assert [len(classes) for classes in there] == [2, 5, 10]
    assert there[0] < there[1] < there[2]
    for one, classes in zip(stages, there, strict=True):
        assert one.clean_labels is not None
        assert set(one.clean_labels.tolist()) == classes
        assert one.num_classes == 10
        assert len(one.test) == sum(int(label) in classes for label in task.test.labels)
    other = task_of("dataset.stages=[0.2,1]", "dataset.stages_by=class", "dataset.split_seed=1").of_round(of(1))
    assert set(other.test.labels.tolist()) != there[0]


def test_fewer_examples_than_classes_are_worth_a_warning() -> None:
    match = (
        r"^dataset\.growth: in round 1, 0\.001 of the [\d,]+ training examples is 1, for 10 classes; raise that share$"
    )
    with pytest.warns(UserWarning, match=match) as warned:
        task_of("dataset.growth=[0.001,1]")
    assert len(warned) == 1


def test_noise_and_growth_keep_to_each_other() -> None:
    task = task_of("dataset.growth=[0.2,1]", "dataset.label_noise=0.5")
    part = task.of_round(of(1))
    assert part.clean_labels is not None
    assert len(part.clean_labels) == len(part.train)
    everything = task.train.take(torch.arange(len(task.train)))
    labels = {image.numpy().tobytes(): int(label) for image, label in zip(everything, task.clean_labels, strict=True)}
    mine = [labels[image.numpy().tobytes()] for image in part.train.take(torch.arange(len(part.train)))]
    assert mine == part.clean_labels.tolist()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label_noise": 1}, "dataset.label_noise must be a number of at least 0 and below 1; got 1"),
        ({"imbalance": 0.5}, "dataset.imbalance must be a number of at least 1; got 0.5"),
        ({"growth": []}, "dataset.growth must be a list of shares, e.g. [0.1,1], or null; got []"),
        ({"growth": 0.1}, "dataset.growth must be a list of shares, e.g. [0.1,1], or null; got 0.1"),
        ({"growth": [0.5, 0.1]}, "dataset.growth must not fall from one round to the next; got [0.5, 0.1]"),
        ({"stages": [0.5, 0.1]}, "dataset.stages must not fall from one stage to the next; got [0.5, 0.1]"),
        (
            {"growth": [0.5], "stages": [0.5]},
            "dataset.growth is by round and dataset.stages by stage: set one of them to null",
        ),
        ({"growth": [0, 1]}, "each share in dataset.growth must be a number above 0 and at most 1; got 0"),
        ({"growth": [0.1, 2]}, "each share in dataset.growth must be a number above 0 and at most 1; got 2"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        Digits(**settings)  # type: ignore[arg-type]
    assert str(error.value) == message


def test_growth_needs_rounds(tmp_path: Path) -> None:
    experiment = tiny_experiment("method=bl", "dataset.growth=[0.5,1]")
    with pytest.raises(ConfigError, match=r"dataset\.growth has 2 shares, but bl has 1 round; .* method=restart"):
        run_experiment(experiment, Execution(results_dir=tmp_path))


def stages_of(tmp_path: Path, *words: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    experiment = tiny_experiment("dataset.stages=[0.5,1]", *words)
    result = run_experiment(experiment, Execution(results_dir=tmp_path))
    return result, Store(tmp_path).run(experiment.run_id).rows("rounds.jsonl")


@pytest.mark.parametrize(("method", "a_stage"), [("bl", 1), ("lw", 4)])
def test_every_stage_has_all_rounds_of_the_method_and_equal_steps(tmp_path: Path, method: str, a_stage: int) -> None:
    result, rows = stages_of(tmp_path, f"method={method}", "trainer.patience_epochs=null")
    assert [row["stage"] for row in rows] == [1] * a_stage + [2] * a_stage
    assert [row["index"] for row in rows] == list(range(1, 2 * a_stage + 1))
    assert [row["block"] for row in rows] == [*range(1, 5), *range(1, 5)] if method == "lw" else [0, 0]
    assert [sum(row["steps"] for row in rows if row["stage"] == stage) for stage in (1, 2)] == [32, 32]
    ends = [rows[a_stage - 1]["test_accuracy"], rows[-1]["test_accuracy"]]
    assert (result["stages"], result["mean_stage_accuracy"]) == (2, sum(ends) / 2)
    assert result["test_accuracy"] == ends[1]


def test_the_second_stage_of_a_fresh_network_is_a_run_on_all_data_in_no_way_older(tmp_path: Path) -> None:
    kept, fresh = (stages_of(tmp_path, f"method={name}")[1] for name in ("restart", "cold"))
    assert kept[0] == {**fresh[0], "seconds": kept[0]["seconds"]}
    assert kept[-1]["test_accuracy"] != fresh[-1]["test_accuracy"]


def test_a_run_that_is_cut_in_its_second_stage_ends_as_one_that_is_not(tmp_path: Path) -> None:
    words = ("method=lw", "dataset.stages=[0.5,1]", "dataset.stages_by=class")
    experiment = tiny_experiment(*words)
    for name, cut in (("whole", None), ("cut", 43)):
        execution = Execution(results_dir=tmp_path / name)
        if cut is not None:
            observer = InterruptAfter(cut)
            with pytest.raises(Interrupted):
                run_experiment(experiment, execution, observer=observer, interrupt=observer.interrupt)
        run_experiment(experiment, execution)
    assert run_files(tmp_path / "whole", experiment.run_id) == run_files(tmp_path / "cut", experiment.run_id)


@pytest.mark.slow
def test_a_run_on_noisy_growing_data_tells_accuracy_on_true_labels_apart(tmp_path: Path) -> None:
    words = ("dataset.growth=[0.5,1]", "dataset.label_noise=0.4", "trainer.lr=0.02", "trainer.max_steps=60")
    experiment = tiny_experiment("method=restart", *words)
    result = run_experiment(experiment, Execution(results_dir=tmp_path))
    rounds = (tmp_path / "runs" / experiment.run_id / "rounds.jsonl").read_text().splitlines()
    assert len(rounds) == 4
    measured = Store(tmp_path).run(experiment.run_id).diagnostics()
    assert measured is not None
    wrong, count = int(measured["memorization.wrong_labels"]), 54
    assert wrong == round(0.4 * count)
    # On the true labels: what is right of the labels that are true, and the wrong ones that are corrected.
    clean = result["clean_train_accuracy"] * count
    right = result["train_accuracy"] * count
    memorized, corrected = (float(measured[f"memorization.{name}"]) * wrong for name in ("memorized", "corrected"))
    assert clean == pytest.approx(right - memorized + corrected)
    plain = run_experiment(tiny_experiment("method=restart"), Execution(results_dir=tmp_path))
    assert "clean_train_accuracy" not in plain


def test_memorization_by_hand() -> None:
    task = task_of("dataset.label_noise=0.3")
    assert task.clean_labels is not None
    answers = task.train.labels.clone()
    wrong = (task.train.labels != task.clean_labels).nonzero().flatten()
    answers[wrong[: len(wrong) // 2]] = task.clean_labels[wrong[: len(wrong) // 2]]

    class Answers(BlockNet):
        place = 0

        def __init__(self) -> None:
            super().__init__([torch.nn.Identity()], torch.nn.Identity())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            part = answers[self.place : self.place + len(x)]
            self.place += len(x)
            return torch.nn.functional.one_hot(part, 10).float()

    found = dict(measure(Answers(), task, 0))
    assert int(found["wrong_labels"]) == len(wrong)
    assert float(found["corrected"]) == pytest.approx((len(wrong) // 2) / len(wrong))
    assert float(found["memorized"]) == pytest.approx(1 - (len(wrong) // 2) / len(wrong))


LABELS = np.array([0] * 50 + [1] * 30 + [2] * 20)


def draw(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return stratified(LABELS, count, stream(seed, "test"))


def test_what_rounding_leaves_goes_to_the_largest_remainders() -> None:
    # Exact shares of 7: 3.5, 2.1 and 1.4; one is left over.
    assert np.bincount(LABELS[draw(7)[0]]).tolist() == [4, 2, 1]
    # Of two equal remainders the lower class wins.
    drawn, _ = stratified(np.array([0, 0, 1, 1]), 1, stream(0, "test"))
    assert np.array([0, 0, 1, 1])[drawn].tolist() == [0]


def test_subset_of_the_training_split() -> None:
    np.testing.assert_array_equal(training_subset(LABELS, None, stream(0, "test")), np.arange(100))
    assert np.bincount(LABELS[training_subset(LABELS, 20, stream(0, "test"))]).tolist() == [10, 6, 4]


@pytest.mark.parametrize(
    ("count", "message"),
    [
        (101, "train_examples must be at most 100, the training split's size; got 101"),
        (2, "train_examples=2 leaves 1 classes without an example"),
    ],
)
def test_a_subset_that_cannot_be_drawn_is_refused(count: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        training_subset(LABELS, count, stream(0, "test"))


KEYS = [(number, f"image_{index:04d}.jpg") for number in range(3) for index in range(1, 9)]


def test_the_draw_of_as_many_of_each_class_never_changes() -> None:
    drawn, rest = draw_per_class(random.Random(1).sample(KEYS, len(KEYS)), 3)
    assert [(number, int(name[6:10])) for number, name in drawn] == [
        *((0, 1), (0, 6), (0, 7)),
        *((1, 4), (1, 6), (1, 8)),
        *((2, 4), (2, 5), (2, 7)),
    ]
    assert rest == sorted(set(KEYS) - set(drawn))
    assert draw_per_class(KEYS, 3, seed=1) != draw_per_class(KEYS, 3)
    with pytest.raises(ConfigError, match="class 0 has 8 images; 9 are to be drawn"):
        draw_per_class(KEYS, 9)


def test_a_share_of_each_class_is_drawn_and_never_all_of_it() -> None:
    labels = [0] * 10 + [1] * 5 + [2] * 2 + [3]
    drawn = draw_share(labels, 0.2)
    assert Counter(labels[row] for row in drawn) == {0: 2, 1: 1, 2: 1}
    assert drawn == draw_share(labels, 0.2) == {4, 8, 11, 15}
    assert Counter(labels[row] for row in draw_share(labels, 0.99)) == {0: 9, 1: 4, 2: 1}
