"""No fast path changes a result beyond rounding: gradients of every architecture, losses of each with every method.

The reference is the same network of torch's own modules (NCHW, eager), trained by the same methods and streams in fp32.
Every fast path that a CPU has takes part, including the compiled layers, and each test asserts that its network took
the ones that it has. Results are compared, not times, so a slow machine fails nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from compiled_layers import obstacle, use_compiled_layers
from factories import tiny_experiment
from observers import InterruptAfter, LossRecorder
from reference_network import reference_network

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.data.task import Task, load_task
from reinit_bench.kernels import convolution, norm
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.layers import Norm
from reinit_bench.run import experiment as experiment_module
from reinit_bench.run.experiment import Components, build_network, run_experiment
from reinit_bench.training.interrupt import Interrupted
from reinit_bench.training.observer import Observers
from reinit_bench.training.step import TrainingStep

MODELS = ["scnn", "mobilenet", "vgg16", "resnet50"]
WIDTHS = {"scnn": 1, "mobilenet": 0.5, "vgg16": 0.5, "resnet50": 0.5}
"""Compiled layers take channels in multiples of 16, and convolutions 32 or more."""
COMPILED_NORM = {"normalize", "normalize_gradient"}
COMPILED_CONVOLUTION = {"winograd", "winograd_gradient"}
FAST_PATHS = {
    "scnn": COMPILED_NORM | COMPILED_CONVOLUTION,
    "mobilenet": COMPILED_NORM | {"pointwise", "depthwise"},
    "vgg16": COMPILED_NORM | COMPILED_CONVOLUTION,
    "resnet50": COMPILED_NORM | COMPILED_CONVOLUTION | {"pointwise"},
}
"""The fast paths of each model on small images: functions of `kernels/*.c` and of `kernels/convolution.py`."""
STEPS, TOLERANCE = 8, 1e-3
"""Losses are compared over this many steps, within this relative tolerance.

Rounding errors grow from step to step, since ReLUs near zero and ties in max pooling flip: with noise of 1e-7 on the
first weights, losses differ by up to 3e-4 after eight steps.
"""


@pytest.fixture
def fast_paths(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Enables every fast path of this machine; counts how often each is taken."""
    can_compile = obstacle() is None
    calls = use_compiled_layers(monkeypatch) if can_compile else Counter[str]()

    def count(name: str) -> None:
        original = getattr(convolution, name)

        def counted(*arguments: object) -> torch.Tensor:
            calls[name] += 1
            return original(*arguments)

        monkeypatch.setattr(convolution, name, counted)

    for name in ("pointwise", "depthwise"):
        count(name)
    monkeypatch.setattr(norm, "_MANY_VALUES", 0)
    return calls


def assert_all_were_taken(calls: Counter[str], model: str) -> None:
    """Assert that the fast paths of this model, and no others, were taken; skip where it has none here."""
    wanted, reason = FAST_PATHS[model], obstacle()
    if reason is not None:
        wanted = wanted - COMPILED_NORM - COMPILED_CONVOLUTION
        if not wanted:
            pytest.skip(f"{model} has no fast path here: {reason}")
    assert set(calls) == wanted


def load_few(experiment: Experiment, device: torch.device) -> Task:
    """The task with 16 test images, for tests that need no accuracies: evaluating 500 takes longer than training."""
    task = load_task(experiment, device)
    return dataclasses.replace(task, test=task.test.part(np.arange(16)))


def losses_of(folder: Path, experiment: Experiment, compile_: str = "none") -> list[float]:
    """The losses of a run's first steps."""
    recorder, stop = LossRecorder(), InterruptAfter(STEPS)
    execution = Execution(results_dir=folder, device="cpu", compile=compile_, diagnostics=False)
    with contextlib.suppress(Interrupted):
        run_experiment(
            experiment, execution, observer=Observers(recorder, stop), interrupt=stop.interrupt, load=load_few
        )
    return recorder.losses


def build_plain(parts: Components, experiment: Experiment, task: Task) -> BlockNet:
    twin = reference_network(build_network(parts, experiment, task))
    assert not any(isinstance(module, Norm) for module in twin.modules())
    return twin


def reference_losses(folder: Path, experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The losses of the same run of the reference network."""
    with monkeypatch.context() as patch:
        patch.setattr(experiment_module, "build_network", build_plain)
        return losses_of(folder, experiment)


@pytest.mark.parametrize("model", MODELS)
def test_gradients_are_those_of_the_reference_network(fast_paths: Counter[str], model: str) -> None:
    """Rounding causes errors of 4e-5 of a gradient's norm; a lost tap or a gradient that is 10% too small, far more.

    With this seed no ReLU is so close to zero that rounding flips it: fp64 gives the same gradients.
    """
    experiment = small(model, "bl", "seed=1", steps=1)
    task = load_task(experiment, torch.device("cpu"))
    net = build_network(Components.of(experiment, Execution(device="cpu")), experiment, task)
    inputs, labels = task.plain_batch(torch.arange(8))

    def step(net: BlockNet) -> tuple[float, dict[str, torch.Tensor]]:
        loss, _ = TrainingStep(net, "fp32", len(labels))(inputs, labels)
        return loss.item(), {name: value.grad for name, value in net.named_parameters() if value.grad is not None}

    expected_loss, expected = step(reference_network(net))
    assert not fast_paths
    loss, gradients = step(net)
    assert_all_were_taken(fast_paths, model)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert gradients.keys() == expected.keys() == dict(net.named_parameters()).keys()
    errors = {name: float((gradients[name] - value).norm() / value.norm()) for name, value in expected.items()}
    assert max(errors.values()) < 1e-3, errors


@pytest.mark.parametrize(
    "model", ["scnn", "mobilenet", *(pytest.param(name, marks=pytest.mark.slow) for name in ("vgg16", "resnet50"))]
)
def test_losses_are_those_of_the_reference_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast_paths: Counter[str], model: str
) -> None:
    """Two rounds of two steps; in the second, block 1 is rescaled and normalized."""
    experiment = small(model, "lw", "method.schedule=[1,2]", steps=2)
    losses = losses_of(tmp_path / "ours", experiment)
    assert_all_were_taken(fast_paths, model)
    assert len(losses) == 4
    assert losses == pytest.approx(reference_losses(tmp_path / "reference", experiment, monkeypatch), rel=TOLERANCE)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("model", MODELS)
def test_losses_of_a_network_through_torch_compile_are_those_of_the_reference_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast_paths: Counter[str], model: str
) -> None:
    """A compiled network takes none of our fast paths in training; its evaluation, which is not compiled, does."""
    torch._dynamo.reset()
    experiment = small(model, "lw", steps=1)
    losses = losses_of(tmp_path / "ours", experiment, "aot_eager")
    assert not [name for name in fast_paths if name.endswith("_gradient")]
    assert losses == pytest.approx(reference_losses(tmp_path / "reference", experiment, monkeypatch), rel=TOLERANCE)
    torch._dynamo.reset()


def small(model: str, method: str, *overrides: str, steps: int) -> Experiment:
    """A network on 18 images in batches of 8, which are enough for the compiled convolutions.

    With so few images the deep networks do not converge at the paper's learning rate: their losses would show rounding,
    not errors.
    """
    return tiny_experiment(
        f"model={model}",
        f"method={method}",
        f"model.width={WIDTHS[model]}",
        "dataset.train_examples=20",
        f"image_size={16 if model == 'scnn' else 32}",
        "trainer.batch_size=8",
        f"trainer.max_steps={steps}",
        f"trainer.lr={0.0003 if model in ('vgg16', 'resnet50') else 0.003}",
        *overrides,
    )
