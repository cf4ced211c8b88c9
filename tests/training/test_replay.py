"""Steps that are recorded and replayed (`compile=graph`) are those of `compile=none`, to the bit.

Nothing here runs on a GPU. In place of CUDA, a stand-in records every operation of torch's with its tensors, and does
the same operations again on the same tensors: as with a graph, what Python decides is decided once, and other tensors
than those recorded are not seen.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from bits import bit_equal
from factories import make_config, tiny_experiment
from observers import InterruptAfter, LossRecorder
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from training_helpers import TRAINER, mlp, train, vector_task

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.core.hooks import Hooks
from reinit_bench.kernels import convolution_cpu, norm_cpu
from reinit_bench.models.blocknet import BlockNet, Dropout
from reinit_bench.run.experiment import run_experiment
from reinit_bench.training import loop, replay
from reinit_bench.training.interrupt import Interrupted
from reinit_bench.training.replay import MOST_VARIANTS, WARM_UP
from reinit_bench.training.step import TrainingStep, backend_of

CUDA = torch.device("cuda")


class Operations(TorchDispatchMode):
    """Keeps every operation that is done, with its arguments and results, and what its arguments were before."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Callable[..., Any], Any, Any, Any]] = []
        self.given: dict[int, tuple[Tensor, Tensor]] = {}
        """By the address of its memory, a tensor that was there before, with a copy."""
        self.made: dict[int, Tensor] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        for tensor in tensors_in((args, kwargs)):
            if memory(tensor) not in self.made:
                self.given.setdefault(memory(tensor), (tensor, tensor.detach().clone()))
        result = function(*args, **kwargs)
        for tensor in tensors_in(result):
            if memory(tensor) not in self.given:
                self.made[memory(tensor)] = tensor
        self.done.append((function, args, kwargs, result))
        return result

    def undo(self) -> None:
        """As if nothing had been computed."""
        for tensor, before in self.given.values():
            tensor.copy_(before)
        for tensor in self.made.values():
            tensor.fill_(torch.nan if tensor.is_floating_point() else 77)

    def again(self) -> None:
        for function, args, kwargs, result in self.done:
            for old, new in zip(tensors_in(result), tensors_in(function(*args, **kwargs)), strict=True):
                if old is not new:
                    old.copy_(new)


def tensors_in(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


class Recorder:
    """Records on the CPU, and counts."""

    recorded = replayed = 0
    refuses = ""

    def warm_up(self, work: Callable[[], Any]) -> Any:
        return work()

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        with Operations() as operations:
            work()
            if Recorder.refuses:
                raise RuntimeError(Recorder.refuses)
        with torch.no_grad():
            operations.undo()
        Recorder.recorded += 1

        def again() -> None:
            Recorder.replayed += 1
            with torch.no_grad():
                operations.again()

        return again


@pytest.fixture(autouse=True)
def _recorder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of these tests with `compile=graph` are recorded by the stand-in."""
    monkeypatch.setattr(replay, "CudaStepRecorder", Recorder)
    monkeypatch.setattr(loop, "backend_of", lambda compile_, device: backend_of(compile_, CUDA))
    for name, value in (("recorded", 0), ("replayed", 0), ("refuses", "")):
        monkeypatch.setattr(Recorder, name, value)
    # They are no operations of torch's.
    monkeypatch.setattr(convolution_cpu, "serves", lambda *tensors: False)
    monkeypatch.setattr(norm_cpu, "serves", lambda *tensors: False)


def outcome(folder: Path, compile_: str, experiment: Experiment) -> tuple[list[list[float]], dict[str, Any]]:
    """The losses of each epoch's steps, and those parts of its result that do not tell the time."""
    observer = LossRecorder()
    execution = Execution(results_dir=folder, device="cpu", compile=compile_, diagnostics=False)
    result = run_experiment(experiment, execution, observer=observer)
    return observer.epochs, {name: result[name] for name in ("weights_sha256", "test_accuracy", "test_loss", "steps")}


@pytest.mark.slow
@pytest.mark.parametrize(
    "overrides",
    [
        ("method=lw",),  # fills lambdas, which every recording must see
        ("method=wels", "dropout=p50"),
        ("method=bl", "precision=bf16"),
        ("method=l2init",),  # a penalty adds to the gradients
        ("method=ban",),  # targets that are not the labels
        ("method=swr", "trainer.optimizer=adamw", "trainer.schedule=cosine"),
        ("method=llf", "model.norm=batch"),  # running statistics are written by the step
        ("method=hare", "augmentation=standard"),
        ("method=bl", "trainer.optimizer=sam", "model.norm=batch", "dropout=p25"),
    ],
    ids=" ".join,
)
def test_a_replayed_run_has_the_bits_of_a_plain_one(overrides: tuple[str, ...], tmp_path: Path) -> None:
    """The first three steps of an epoch are of whole batches, the fourth is not."""
    experiment = tiny_experiment("trainer.max_steps=14", *overrides)
    plain = outcome(tmp_path / "plain", "none", experiment)
    assert Recorder.recorded == 0
    assert outcome(tmp_path / "replayed", "graph", experiment) == plain
    whole = sum(min(len(losses), 3) for losses in plain[0])
    passes = 2 if "trainer.optimizer=sam" in overrides else 1
    assert Recorder.replayed == passes * whole - WARM_UP * Recorder.recorded
    assert Recorder.recorded > 0


@pytest.mark.slow
def test_a_run_that_is_cut_within_a_round_resumes_to_the_same_bits(tmp_path: Path) -> None:
    experiment = tiny_experiment("trainer.max_steps=14", "method=lw", "dropout=p25")
    expected = outcome(tmp_path / "plain", "none", experiment)[1]
    observer = InterruptAfter(14 + 9)
    execution = Execution(results_dir=tmp_path / "cut", device="cpu", compile="graph", diagnostics=False)
    with pytest.raises(Interrupted):
        run_experiment(experiment, execution, observer=observer, interrupt=observer.interrupt)
    assert Recorder.replayed > 0
    assert outcome(tmp_path / "cut", "graph", experiment)[1] == expected


def batch(count: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 5, generator=generator), torch.randint(3, (count,), generator=generator)


def gradients_of(net: nn.Module, step: TrainingStep, *given: Tensor) -> dict[str, Tensor]:
    net.zero_grad()
    step(*given)
    return {name: value.grad.clone() for name, value in net.named_parameters() if value.grad is not None}


def replaying(net: BlockNet, count: int = 4) -> TrainingStep:
    """A step that has been recorded."""
    step = TrainingStep(net, "fp32", count, backend="graph")
    for seed in range(WARM_UP + 1):
        gradients_of(net, step, *batch(count, seed))
    assert Recorder.replayed > 0
    return step


def plainly(net: BlockNet, *given: Tensor) -> dict[str, Tensor]:
    return gradients_of(net, TrainingStep(net, "fp32", len(given[0])), *given)


def test_a_batch_of_another_size_and_what_is_added_to_gradients_are_not_replayed() -> None:
    net = mlp()
    step, before = replaying(net), Recorder.replayed
    assert bit_equal(gradients_of(net, step, *batch(3)), plainly(net, *batch(3)))
    once = plainly(net, *batch())
    net.zero_grad()
    step(*batch())
    step(*batch())
    assert all(torch.equal(value.grad, 2 * once[name]) for name, value in net.named_parameters())
    assert Recorder.replayed == before + 1


def test_a_loss_outlives_the_next_step() -> None:
    net = mlp()
    step = replaying(net)
    net.zero_grad()
    loss, right = step(*batch(seed=8))
    kept = float(loss), int(right)
    gradients_of(net, step, *batch(seed=9))
    assert (float(loss), int(right)) == kept


def test_frozen_parameters_get_no_gradients() -> None:
    net = mlp()
    frozen = {"blocks.0.dense.weight", "blocks.0.dense.bias"}
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name not in frozen)
    step = replaying(net)
    found = gradients_of(net, step, *batch(seed=8))
    assert bit_equal(found, plainly(net, *batch(seed=8)))
    assert found.keys() == {name for name, _ in net.named_parameters()} - frozen


def test_a_dropout_layer_that_is_called_twice_draws_two_masks() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dropout = Dropout(0.5)

        def forward(self, x: Tensor) -> Tensor:
            return self.dropout(x) + self.dropout(2 * x)

    torch.manual_seed(0)
    net = BlockNet([nn.Linear(5, 8)], nn.Sequential(Twice(), nn.Linear(8, 3)))
    step, found = replaying(net), []
    for one in (step, TrainingStep(net, "fp32", 4)):
        one.dropouts[0].generator = torch.Generator().manual_seed(3)
        found.append(gradients_of(net, one, *batch(seed=8)))
    assert bit_equal(*found)


@pytest.mark.parametrize("change", ["data", "buffer", "lambda", "frozen"])
def test_a_network_that_changes_within_a_round_is_recorded_anew(change: str) -> None:
    net = mlp()
    slot, weight = net.lambda_of(1), net.get_parameter("blocks.1.dense.weight")
    if change == "buffer":
        slot.fill(torch.tensor(0.1), torch.tensor(2.0))
    step = replaying(net)
    if change == "data":
        weight.data = weight.detach() * 2
    elif change == "buffer":
        slot.mean = torch.tensor(0.7)
    elif change == "lambda":
        slot.fill(torch.tensor(0.1), torch.tensor(2.0))
    else:
        weight.requires_grad_(False)
    for seed in range(WARM_UP + 2):
        assert bit_equal(gradients_of(net, step, *batch(seed=seed)), plainly(net, *batch(seed=seed)))
    assert Recorder.recorded == 2


def test_a_network_that_changes_at_every_step_is_recorded_no_more() -> None:
    net, kept = mlp(), list[Tensor]()
    weight, step = net.get_parameter("blocks.1.dense.weight"), TrainingStep(net, "fp32", 4, backend="graph")

    def train_on() -> None:
        for seed in range(3 * MOST_VARIANTS):
            kept.append(weight.detach().clone())  # kept, or two could have one address
            weight.data = kept[-1]
            assert bit_equal(gradients_of(net, step, *batch(seed=seed)), plainly(net, *batch(seed=seed)))

    with pytest.warns(UserWarning, match=r"the network is changed too often .*; compile=none avoids this") as said:
        train_on()
    assert len(said) == 1
    assert Recorder.recorded == 0


def test_a_step_that_cannot_be_recorded_is_taken_as_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Recorder, "refuses", "CUDA error: operation not permitted when stream is capturing\nmore")
    net = mlp(0.5)
    step, plain = (TrainingStep(net, "fp32", 4, backend=backend) for backend in ("graph", None))

    def train_on() -> None:
        for seed in range(WARM_UP + 3):
            found = []
            for one in (step, plain):
                for dropout in one.dropouts:
                    dropout.generator = torch.Generator().manual_seed(seed)
                found.append(gradients_of(net, one, *batch(seed=seed)))
            assert bit_equal(*found)

    with pytest.warns(UserWarning, match=r"training without \(CUDA error: .* capturing\); compile=none avoids") as said:
        train_on()
    assert len(said) == 1


def test_memory_that_runs_out_while_recording_is_no_reason_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Recorder, work: Callable[[], None]) -> Callable[[], None]:
        raise torch.OutOfMemoryError("no more")

    monkeypatch.setattr(Recorder, "record", full)
    with pytest.raises(torch.OutOfMemoryError):
        replaying(mlp())


def test_steps_in_micro_batches_are_not_replayed() -> None:
    net = mlp()
    step = TrainingStep(net, "fp32", 4, 2, backend="graph")
    for seed in range(WARM_UP + 2):
        gradients_of(net, step, *batch(seed=seed))
    assert Recorder.recorded == 0


class Doubling(Hooks):
    def before_step(self, net: nn.Module) -> None:
        for parameter in net.parameters():
            assert parameter.grad is not None
            parameter.grad.mul_(2)


def test_hooks_may_change_the_gradients_in_place() -> None:
    ends = []
    for compile_ in ("none", "graph"):
        net = mlp()
        train(net, vector_task(), TRAINER, steps=14, hooks=Doubling(), compile_=compile_)
        ends.append(net.state_dict())
    assert Recorder.replayed > 0
    assert bit_equal(dict(ends[0]), dict(ends[1]))


def test_on_the_cpu_there_is_nothing_to_replay() -> None:
    assert Experiment.from_dict(make_config("compile=graph")).run_id == Experiment.from_dict(make_config()).run_id
    assert backend_of("graph", CUDA) == "graph"
    with pytest.warns(UserWarning, match="compile=graph is for GPUs; on the CPU it is compile=none"):
        assert backend_of("graph", torch.device("cpu")) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert backend_of("auto", torch.device("cpu")) is None
