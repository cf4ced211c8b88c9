"""No fast path changes a result beyond rounding: loss by step of every architecture with every method.

The reference is the plain network (torch's own modules, NCHW, eager) trained by the same methods and streams in fp32.
Tolerance: each of the first steps of each round agrees within 1e-3 of its loss. Rounding grows from step to step, by up
to a factor of ten in these twelve steps; one norm computed wrongly, one tap missed or one gradient lost moves losses by
more than a hundredth.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from factories import tiny_experiment
from reference_network import reference_network

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.data.task import Task
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.layers import Norm
from reinit_bench.run import components as components_module
from reinit_bench.run.components import Components, build_network
from reinit_bench.run.experiment import run_experiment
from reinit_bench.training.observer import EpochEnd, Observer

METHODS = ["bl", "welsr", "dsd", "wels", "fc", "lw"]
MODELS = ["scnn", "mobilenet", "vgg16", "resnet50"]
TOLERANCE = 1e-3


class Losses(Observer):
    """All losses of a run, and its test accuracy."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def epoch_ended(self, event: EpochEnd) -> None:
        self.losses += event.losses


def curve(folder: Path, experiment: Experiment, compile_: str = "none") -> tuple[list[float], float]:
    """The losses of a run and its test accuracy."""
    observer = Losses()
    execution = Execution(results_dir=folder, device="cpu", compile=compile_)
    result = run_experiment(experiment, execution, observer=observer)
    return observer.losses, result["test_accuracy"]


def build_plain(parts: Components, experiment: Experiment, task: Task) -> BlockNet:
    twin = reference_network(build_network(parts, experiment, task))
    assert not any(isinstance(module, Norm) for module in twin.modules())
    return twin


def both(
    folder: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch, compile_: str = "none"
) -> tuple[tuple[list[float], float], tuple[list[float], float]]:
    """The run as it is, and of the plain network."""
    ours = curve(folder / "ours", experiment, compile_)
    with monkeypatch.context() as patch:
        patch.setattr(components_module, "build_network", build_plain)
        plain = curve(folder / "plain", experiment)
    return ours, plain


@pytest.mark.parametrize("model", MODELS)
def test_losses_of_the_baseline_are_those_of_the_plain_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    ours, plain = both(tmp_path, small(model, "bl", steps=1), monkeypatch)
    assert ours[0] == pytest.approx(plain[0], rel=TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["scnn", "vgg16"])
def test_losses_of_wide_networks_are_those_of_the_plain_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """Wide enough for the compiled convolutions, where there are any; the first eight steps, as above."""
    experiment = tiny_experiment(
        f"model={model}",
        "method=lw",
        f"model.width={1 if model == 'scnn' else 0.25}",
        "dataset.train_examples=40",
        "image_size=32",
        "trainer.batch_size=16",
        "trainer.max_steps=2",
        "trainer.lr=0.0003",
    )
    ours, plain = both(tmp_path, experiment, monkeypatch)
    assert len(ours[0]) == len(plain[0]) >= 8
    assert ours[0][:8] == pytest.approx(plain[0][:8], rel=TOLERANCE)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", MODELS)
def test_losses_of_every_method_are_those_of_the_plain_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, method: str
) -> None:
    """Two steps a round, in all K rounds; of resnet50's 32 steps the first 16, before rounding has grown too much."""
    ours, plain = both(tmp_path, small(model, method, steps=2), monkeypatch)
    assert len(ours[0]) == len(plain[0]) >= 8
    assert ours[0][:16] == pytest.approx(plain[0][:16], rel=TOLERANCE)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("model", MODELS)
def test_losses_of_a_compiled_network_are_those_of_the_plain_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    torch._dynamo.reset()
    ours, plain = both(tmp_path, small(model, "lw", steps=1), monkeypatch, "aot_eager")
    assert ours[0] == pytest.approx(plain[0], rel=TOLERANCE)
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("model", ["mobilenet", "scnn"])
def test_end_accuracies_over_seeds_are_indistinguishable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """Ten seeds on digits of the two models most of whose layers go other ways than the plain network's.

    Rounding may tip single runs, so the means are compared: they must agree within two standard errors of the paired
    differences, or within half a percentage point.
    """
    differences = []
    for seed in range(10):
        words = (f"model={model}", "method=lw", "image_size=16", "trainer.max_steps=12", "trainer.lr=0.02")
        words += ("model.width=1",) if model == "scnn" else ()
        experiment = tiny_experiment(*words, "dataset.train_examples=300", "trainer.batch_size=32", f"seed={seed}")
        ours, plain = both(tmp_path / str(seed), experiment, monkeypatch)
        assert plain[1] > 0.2, "the runs must have learned something"
        differences.append(ours[1] - plain[1])
    gaps = torch.tensor(differences)
    assert abs(gaps.mean()) <= max(2 * float(gaps.std()) / len(gaps) ** 0.5, 0.005)


def small(model: str, method: str, *, steps: int) -> Experiment:
    """A network of a tenth of its width on 32x32 pixels.

    So thin a resnet50 does not settle at the paper's learning rate: its losses would tell of rounding, not of errors.
    """
    return tiny_experiment(
        f"model={model}",
        f"method={method}",
        "model.width=0.1",
        "dataset.train_examples=40",
        "image_size=32",
        "trainer.batch_size=8",
        f"trainer.max_steps={steps}",
        f"trainer.lr={0.0003 if model == 'resnet50' else 0.003}",
    )
