"""One training step: in micro-batches, compiled, out of memory; and the evaluation of a split."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bits import bit_equal
from factories import tiny_experiment
from observers import LossRecorder
from torch import Tensor, nn
from torch._dynamo.utils import counters
from training_helpers import TRAINER, RecordingObserver, make_split, make_task, mlp, train, vector_task

from reinit_bench.core.config import Execution
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.task import Task
from reinit_bench.models.blocknet import BlockNet, Dropout
from reinit_bench.models.scnn import Scnn
from reinit_bench.run.experiment import run_experiment
from reinit_bench.training import step as step_module
from reinit_bench.training.step import Metrics, OutOfMemory, TrainingStep, backend_of, compiled_forward, evaluate


def images(count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(count, 1, 8, 8, generator=generator).to(memory_format=torch.channels_last)
    return x, torch.randint(10, (count,), generator=generator)


def gradients(net: nn.Module, micro_batch: int | None, count: int) -> tuple[float, int, dict[str, Tensor]]:
    """Loss, right answers and gradients of one step, with dropout drawn from a fixed seed."""
    one = TrainingStep(net, "fp32", count, micro_batch)
    net.zero_grad()
    for dropout in one.dropouts:
        dropout.generator = torch.Generator().manual_seed(5)
    loss, right = one(*images(count))
    return float(loss), int(right), {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("rate", [0.0, 0.5])
@pytest.mark.parametrize("micro_batch", [1, 4, 10, 11])
def test_micro_batches_give_the_gradients_of_the_whole_batch(micro_batch: int, rate: float) -> None:
    """11 examples, in parts that divide it and parts that do not; 11 is the whole batch, and bit-equal."""
    torch.manual_seed(0)
    net = Scnn(width=0.25).build((1, 8, 8), 10, rate)
    whole, parts = gradients(net, None, 11), gradients(net, micro_batch, 11)
    assert parts[0] == pytest.approx(whole[0], rel=1e-5)
    assert parts[1] == whole[1]
    assert parts[2].keys() == whole[2].keys()
    for name, gradient in whole[2].items():
        torch.testing.assert_close(parts[2][name], gradient, rtol=1e-4, atol=1e-6)
    assert bit_equal(parts, whole) == (micro_batch == 11)
    assert all(module.part is None for module in net.modules() if isinstance(module, Dropout))


def test_a_round_in_micro_batches_has_the_same_losses() -> None:
    seen, watchers = list[int](), list[RecordingObserver]()
    for micro_batch in (None, 2):
        net = mlp(0.25)
        net.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
        watchers.append(RecordingObserver(net))
        train(net, vector_task(), replace(TRAINER, micro_batch=micro_batch), steps=12, observer=watchers[-1])
        assert max(seen) == (30 if micro_batch is None else 2)  # evaluation too
        seen.clear()
    assert watchers[1].losses == pytest.approx(watchers[0].losses, rel=1e-4)


def test_compile_is_checked_and_auto_follows_the_device() -> None:
    with pytest.raises(ConfigError, match="compile must be one of auto, none, inductor"):
        Execution(compile="on")
    assert backend_of("auto", torch.device("cpu")) is None
    assert backend_of("auto", torch.device("cuda")) == "inductor"
    assert backend_of("none", torch.device("cuda")) is None
    assert backend_of("aot_eager", torch.device("cpu")) == "aot_eager"


def losses(folder: Path, compile_: str, *overrides: str) -> list[float]:
    observer = LossRecorder()
    execution = Execution(results_dir=folder, device="cpu", compile=compile_)
    run_experiment(tiny_experiment("trainer.max_steps=5", *overrides), execution, observer=observer)
    return observer.losses


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_once_for_all_rounds_and_runs(tmp_path: Path, backend: str) -> None:
    """Four rounds of LW fill a lambda and rescale weights each; a second run is a new network."""
    torch._dynamo.reset()
    compiled_forward.cache_clear()
    counters.clear()
    expected = losses(tmp_path / "plain", "none", "method=lw")
    assert counters["stats"].get("unique_graphs", 0) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert losses(tmp_path / "a", backend, "method=lw") == pytest.approx(expected, rel=1e-4)
        assert counters["stats"]["unique_graphs"] == 1
        losses(tmp_path / "b", backend, "method=lw", "seed=1")
        losses(tmp_path / "c", backend, "method=wels")
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["recompiles"]
    torch._dynamo.reset()


def test_a_network_that_cannot_be_compiled_trains_uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._dynamo.exc import TorchDynamoException

    def broken(net: nn.Module, inputs: Tensor, labels: Tensor, precision: str) -> tuple[Tensor, Tensor]:
        raise TorchDynamoException("no compiler here\nmore lines")

    monkeypatch.setattr(step_module, "compiled_forward", lambda backend: broken)
    one = TrainingStep(mlp(), "fp32", 4, backend="inductor")
    with pytest.warns(UserWarning, match=r"training without \(no compiler here\); compile=none avoids this"):
        first, _ = one(torch.ones(4, 5), torch.zeros(4, dtype=torch.int64))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert one(torch.ones(4, 5), torch.zeros(4, dtype=torch.int64))[0] == first


def test_reduce_overhead_is_torch_compiles_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is handed over, and a loss outlives the next step, which a CUDA graph writes to the same place."""
    place, asked = torch.zeros(()), {}

    def compiler(function: Callable[..., tuple[Tensor, Tensor]], **settings: object) -> object:
        asked.update(settings)

        def compiled(*arguments: object) -> tuple[Tensor, Tensor]:
            loss, logits = function(*arguments)
            loss.data = place.copy_(loss.detach())
            return loss, logits

        return compiled

    monkeypatch.setattr(torch, "compile", compiler)
    compiled_forward.cache_clear()
    one, labels = TrainingStep(mlp(), "fp32", 4, backend="reduce-overhead"), torch.zeros(4, dtype=torch.int64)
    first, _ = one(torch.ones(4, 5), labels)
    kept = first.clone()
    one(2 * torch.ones(4, 5), labels)
    compiled_forward.cache_clear()
    assert asked == {"backend": "inductor", "mode": "reduce-overhead", "dynamic": False}
    assert torch.equal(first, kept)
    with pytest.raises(ConfigError, match=r"compile=reduce-overhead cannot be used with trainer\.micro_batch"):
        train(mlp(), vector_task(), replace(TRAINER, micro_batch=2), steps=1, compile_="reduce-overhead")


class Hungry(nn.Module):
    """Takes more memory than there is."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def forward(self, x: Tensor) -> Tensor:
        raise self.error


def hungry(error: BaseException) -> BlockNet:
    net = mlp()
    net.top = Hungry(error)
    return net


CPU_ERROR = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), CPU_ERROR])
def test_running_out_of_memory_is_one_line_that_says_what_to_lower(error: BaseException) -> None:
    with pytest.raises(OutOfMemory) as caught:
        train(hungry(error), vector_task(), steps=1)
    assert str(caught.value) == (
        "this machine does not have enough memory for 5 examples of 5 at once in fp32; "
        "try trainer.micro_batch=2 or precision=bf16"
    )
    assert isinstance(caught.value, ConfigError)
    with pytest.raises(OutOfMemory, match=r"1 example of 5 at once in bf16; try a smaller model\.width$"):
        train(hungry(error), vector_task(), replace(TRAINER, micro_batch=1), steps=1, precision="bf16")


LOG3 = math.log(3.0)
SURE, UNSURE = -math.log(0.75), -math.log(0.25)


def logits_of(rows: list[tuple[float, float]], labels: list[int]) -> Task:
    """A task whose inputs are the logits of a network that changes nothing, one for each split."""
    test = make_split(torch.tensor(rows), torch.tensor(labels))
    train, validation = make_split(test.stored[:2], test.labels[:2]), make_split(test.stored[2:3], test.labels[2:3])
    return make_task(train, validation, test, classes=2)


ROWS, LABELS = [(LOG3, 0.0), (LOG3, 0.0), (0.0, LOG3), (LOG3, 0.0)], [0, 1, 1, 0]
"""Probabilities of 3/4 and 1/4; the second is wrong."""


@pytest.mark.parametrize(
    ("name", "accuracy", "loss"),
    [("train", 0.5, (SURE + UNSURE) / 2), ("validation", 1.0, SURE), ("test", 0.75, (3 * SURE + UNSURE) / 4)],
)
def test_accuracy_and_loss_of_each_split(name: str, accuracy: float, loss: float) -> None:
    net = BlockNet([nn.Identity()], nn.Identity())
    metrics = evaluate(net, logits_of(ROWS, LABELS), name, "fp32")
    assert metrics == Metrics(accuracy=accuracy, loss=pytest.approx(loss, rel=1e-6))


def test_every_example_counts_once_whatever_the_batch_sizes() -> None:
    """2,500 examples are batches of 1,000, 1,000 and 500; the mean of their means would give 2/3."""
    task = logits_of([(LOG3, 0.0)] * 2500, [0] * 2000 + [1] * 500)
    assert [len(labels) for _, labels in task.batches("test")] == [1000, 1000, 500]
    metrics = evaluate(BlockNet([nn.Identity()], nn.Identity()), task, "test", "fp32")
    assert metrics == Metrics(accuracy=0.8, loss=pytest.approx(0.8 * SURE + 0.2 * UNSURE, rel=1e-6))


@pytest.mark.parametrize("training", [True, False])
def test_evaluation_is_without_dropout_and_restores_the_mode(training: bool) -> None:
    net = BlockNet([Dropout(0.9)], nn.Identity()).train(training)
    metrics = evaluate(net, logits_of(ROWS, LABELS), "test", "fp32")
    assert metrics.loss == pytest.approx((3 * SURE + UNSURE) / 4, rel=1e-6)
    assert [module.training for module in net.modules()] == [training] * len(list(net.modules()))
