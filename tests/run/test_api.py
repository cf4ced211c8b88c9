"""A method in a training loop of one's own: what the command line does, to the last bit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bits import bit_equal, changed_names, copy_state
from factories import METHOD_FILES, TINY, make_config
from torch import Tensor, nn

from reinit_bench import BlockNet, Reinitialization
from reinit_bench.core.config import Execution, Experiment
from reinit_bench.core.hooks import Hooks
from reinit_bench.core.randomness import derive, stream
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.task import Task, load_task
from reinit_bench.methods.base import Context, Mask, Redraw, Reinitializer, full_mask
from reinit_bench.methods.lw import Lw
from reinit_bench.methods.wels import Wels
from reinit_bench.models.initializers import HeNormal, initialize
from reinit_bench.models.mlp import Mlp
from reinit_bench.models.scnn import Scnn
from reinit_bench.run import experiment as run
from reinit_bench.training.loop import train_round

CPU = torch.device("cpu")


@dataclass(frozen=True, kw_only=True)
class Pulled(Redraw):
    """Redraws the head by a gradient over all data, and pulls towards the initial values while it trains."""

    def select(self, net: BlockNet, context: Context) -> Mask:
        total = sum(float(part["top.head.bias"].sum()) for part in context.gradients(net, 20))
        labels = context.examples(5)[1]
        return full_mask(net, net.names_in_head()) if total < 1e9 and len(labels) == 5 else {}

    def hooks(self, net: BlockNet, context: Context) -> Hooks:
        return Pull(context.initial())


class Pull(Hooks):
    """The more steps, the stronger: it has a state."""

    def __init__(self, initial: Mapping[str, Tensor]) -> None:
        self.initial = initial
        self.steps = 0

    def penalty(self, net: nn.Module) -> Tensor:
        terms = [(value - self.initial[name]).square().sum() for name, value in net.named_parameters()]
        return 1e-3 * self.steps * torch.stack(terms).sum()

    def after_step(self, net: nn.Module) -> None:
        self.steps += 1

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.steps = state["steps"]


METHODS: dict[str, tuple[str | Reinitializer, dict[str, Any]]] = {
    "lw": ("lw", {}),
    "lw that freezes": (Lw(freeze=True), {"freeze": True}),
    "wels": (Wels(), {}),
    "pulled": (Pulled(), {"_target_": f"{__name__}.Pulled", "name": "pulled"}),
}


def experiment_of(method: str) -> Experiment:
    name, fields = METHODS[method]
    config = make_config(*TINY, f"method={name}" if isinstance(name, str) else "method=lw", "seed=3")
    if isinstance(name, Wels):
        config = make_config(*TINY, "method=wels", "seed=3")
    if isinstance(name, Pulled):
        config["method"] = {"repeats": 1}
    config["method"] |= fields
    return Experiment.from_dict(config)


def scnn(experiment: Experiment, task: Task) -> BlockNet:
    net = Scnn(width=0.25).build(task.input_shape, task.num_classes, 0.0)
    initialize(net, HeNormal(), experiment.seed, "initialize")
    return net.to(memory_format=torch.channels_last)


def resets_for(method: str, net: BlockNet, task: Task, seed: int) -> Reinitialization:
    loader = list(task.batches("train", 7))
    return Reinitialization(
        METHODS[method][0], net, sample=task.sample(256, stream(seed, "sample")), data=loader, seed=seed
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_loop_of_one_s_own_does_what_the_command_does(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every round starts with the same bits, and the last ends with them."""
    experiment = experiment_of(method)
    expected: list[dict[str, Tensor]] = []

    def train_and_note(net: BlockNet, *args: Any, **kwargs: Any) -> Any:
        expected.append(copy_state(net))
        ended = train_round(net, *args, **kwargs)
        expected.append(copy_state(net))
        return ended

    monkeypatch.setattr(run, "train_round", train_and_note)
    run.run_experiment(experiment, Execution(results_dir=tmp_path, device="cpu", diagnostics=False))

    task = load_task(experiment, CPU)
    net = scnn(experiment, task)
    resets = resets_for(method, net, task, experiment.seed)
    found = []
    for round_ in resets.rounds(experiment.trainer.max_steps):
        resets.begin(round_)
        found.append(copy_state(net))
        frozen = {name for name, value in net.named_parameters() if not value.requires_grad}
        assert bool(frozen) == (method == "lw that freezes" and round_.index > 1)
        train_round(net, task, round_, experiment.trainer, seed=experiment.seed, frozen=frozen, hooks=resets.hooks)
        found.append(copy_state(net))
    assert len(found) == len(expected) == 8
    assert bit_equal(found, expected)


def mlp() -> BlockNet:
    net = Mlp(hidden=(6, 4)).build((5,), 3, 0.0)
    initialize(net, HeNormal(), 0, "initialize")
    return net


def vectors(count: int = 20) -> Tensor:
    return torch.randn(count, 5, generator=stream(0, "vectors"))


def images(count: int = 8) -> Tensor:
    return torch.randn(count, 3, 32, 32, generator=stream(0, "images"))


def resnet() -> nn.Module:
    from torchvision.models import resnet18

    model: nn.Module = resnet18(num_classes=10)
    return model


STAGES = ["layer1", "layer2", "layer3", "layer4"]


def test_fresh_values_can_come_from_the_network_s_own_constructor() -> None:
    net = BlockNet.wrap(resnet(), STAGES)
    resets = Reinitialization("lw", net, sample=images(), seed=1, initializer=resnet)
    round_ = resets.rounds(max_steps=5)[1]
    random = torch.get_rng_state()
    resets.begin(round_)
    assert torch.equal(torch.get_rng_state(), random)
    torch.manual_seed(derive(1, "reinitialize", 2))
    built = resnet().state_dict()
    for name in net.names_above(2):
        assert bit_equal(net.get_parameter(name).detach(), built[name.removeprefix("model.")])


def test_what_the_constructor_builds_must_be_the_network() -> None:
    net = BlockNet.wrap(nn.Sequential(nn.Linear(5, 4), nn.Linear(4, 3)), ["0"])
    resets = Reinitialization("lw", net, sample=vectors(), initializer=lambda: nn.Sequential(nn.Linear(5, 4)))
    message = "initializer must build the network anew; what it built has no model.1.weight like the net's"
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}$"):
        resets.begin(resets.rounds(5)[0])


def test_torch_s_random_numbers_and_the_modules_modes_are_left_alone() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(5, 4), nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
            self.head = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            output: Tensor = self.head(self.second(x + torch.randn_like(x)))
            return output

    model = Noisy()
    model.second[1].eval()
    random = torch.get_rng_state()
    resets = Reinitialization("lw", BlockNet.wrap(model, ["first", "second"]), sample=vectors())
    for round_ in resets.rounds(5):
        resets.begin(round_)
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in (model, model.first, model.second, model.second[1])] == [True] * 3 + [False]


def test_what_never_trained_stays_frozen() -> None:
    net = mlp()
    net.get_parameter("blocks.2.head.bias").requires_grad_(False)
    with pytest.warns(UserWarning, match=r"^frozen parameters keep their values: blocks\.2\.head\.bias$"):
        resets = Reinitialization(Lw(freeze=True), net, sample=vectors())
    for round_, below in zip(resets.rounds(5), (0, 2, 3), strict=True):
        resets.begin(round_)
        expected = (set(net.names_in_blocks(1, below)) - set(net.names_in_head())) | {"blocks.2.head.bias"}
        assert {name for name, value in net.named_parameters() if not value.requires_grad} == expected


@pytest.mark.parametrize("checkpoint", [(2, 0), (2, 3), (3, 5)])
def test_a_cut_loop_goes_on_to_the_same_bits(checkpoint: tuple[int, int]) -> None:
    """Checkpoints hold the network's state, that of `Reinitialization`, and where the loop was."""
    data = [(images()[..., :8, :8], torch.arange(8) % 3)]

    def start(state: Mapping[str, Any]) -> tuple[BlockNet, Reinitialization]:
        net = Scnn(width=0.1).build((3, 8, 8), 3, 0.0)
        initialize(net, HeNormal(), 5, "initialize")
        if state:
            net.load_state_dict(state["net"])
        resets = Reinitialization(Pulled(), net, sample=data[0], data=data, seed=5)
        if state:
            resets.load_state_dict(state["resets"])
        return net, resets

    def train(net: BlockNet, resets: Reinitialization, done: int) -> Iterator[tuple[int, int]]:
        """Yields the round and the steps done before each step, and at the round's end."""
        for round_ in resets.rounds(max_steps=5):
            resets.begin(round_)
            for step in range(done, round_.max_steps):
                yield round_.index, step
                net.zero_grad()
                penalty = resets.hooks.penalty(net)
                assert penalty is not None
                (net(data[0][0]).square().mean() + penalty).backward()
                with torch.no_grad():
                    for value in net.parameters():
                        value -= 0.1 * value.grad if value.grad is not None else 0.0
                    resets.hooks.after_step(net)
            done = 0
            yield round_.index, round_.max_steps

    net, resets = start({})
    saved: dict[str, Any] = {}
    for at in train(net, resets, 0):
        if at == checkpoint:
            saved = {"net": copy_state(net), "resets": resets.state_dict()}
    expected = copy_state(net)

    net, resets = start(saved)
    assert next(iter(resets.rounds(5))).index == checkpoint[0]
    first, *_ = train(net, resets, checkpoint[1])
    assert first == checkpoint
    assert bit_equal(copy_state(net), expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "redo"}, r"^this state belongs to another method: Cold\(.*\) instead of Redo\("),
        ({"seed": 1}, "^this state belongs to another seed: 0 instead of 1$"),
    ],
)
def test_a_state_of_another_method_or_seed_is_refused(given: dict[str, Any], message: str) -> None:
    state = Reinitialization("cold", mlp()).state_dict()
    with pytest.raises(ConfigError, match=message):
        Reinitialization(**{"method": "cold", "net": mlp(), **given}).load_state_dict(state)


def test_a_state_of_another_network_is_refused() -> None:
    state = Reinitialization("bl", mlp()).state_dict()
    other = Reinitialization("bl", Mlp(hidden=(6,)).build((5,), 3, 0.0))
    with pytest.raises(ConfigError, match=r"^this state belongs to a network with other parameters$"):
        other.load_state_dict(state)


def test_rounds_are_those_of_the_method() -> None:
    def blocks(*args: Any, **kwargs: Any) -> list[tuple[int, int]]:
        resets = Reinitialization(*args, mlp(), **kwargs)
        assert type(resets.hooks) is Hooks
        return [(one.block, one.max_steps) for one in resets.rounds(max_steps=7)]

    assert blocks("lw") == blocks(Lw()) == [(1, 7), (2, 7), (3, 7)]
    assert blocks("lw", repeats=2) == blocks(Lw(repeats=2)) == [(1, 7), (1, 7), (2, 7), (2, 7), (3, 7), (3, 7)]
    assert blocks("bl", repeats=2) == [(0, 42)]


@pytest.mark.parametrize("sizes", [[20], [7, 7, 6], [1] * 20, [3, 17]])
def test_the_data_are_served_in_the_batches_that_the_method_asks_for(sizes: list[int]) -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    @dataclass(frozen=True, kw_only=True)
    class Looks(Reinitializer):
        def prepare(self, net: BlockNet, context: Context) -> None:
            seen.extend(context.batches(8))

    x, labels = vectors(), torch.arange(20)
    resets = Reinitialization(Looks(), mlp(), data=list(zip(x.split(sizes), labels.split(sizes), strict=True)))
    resets.begin(resets.rounds(5)[0])
    assert [len(part) for _, part in seen] == [8, 8, 4]
    assert torch.equal(torch.cat([inputs for inputs, _ in seen]), x)
    assert torch.equal(torch.cat([part for _, part in seen]), labels)


@dataclass(frozen=True, kw_only=True)
class Asks(Reinitializer):
    """Asks its context for one thing."""

    what: str = "sample"

    def prepare(self, net: BlockNet, context: Context) -> None:
        list(getattr(context, self.what)(4))


def begun(method: str | Reinitializer, **given: Any) -> Callable[[], None]:
    def begin() -> None:
        resets = Reinitialization(method, mlp(), **given)
        resets.begin(resets.rounds(5)[0])

    return begin


REFUSED: list[tuple[Callable[[], object], str]] = [
    (begun("lw"), "Lw looks at training examples: give Reinitialization sample=INPUTS"),
    (
        begun(Asks(what="examples"), sample=vectors()),
        "Asks looks at labelled training examples: give Reinitialization sample=(INPUTS, LABELS)",
    ),
    (begun(Asks(what="batches")), "Asks looks at all training data: give Reinitialization data=LOADER"),
    (
        lambda: Reinitialization("lw", nn.Linear(2, 2)),  # type: ignore[arg-type]
        "net must be a BlockNet: BlockNet.wrap(net, blocks=[...]) makes one of any module",
    ),
    (
        lambda: Reinitialization("lw", mlp(), data=iter([])),
        "data must be iterable more than once, as a list or a DataLoader is",
    ),
    *(
        (
            lambda seed=seed: Reinitialization("lw", mlp(), seed=seed),  # type: ignore[arg-type, misc]
            f"seed must be a whole number of at least 0; got {seed!r}",
        )
        for seed in (0.0, True, "0", None, -1)
    ),
    (
        lambda: Reinitialization(None, mlp()),  # type: ignore[arg-type]
        "method must be a method's name, or an object such as Lw(); got None",
    ),
    (
        lambda: Reinitialization("lw", mlp(), initializer=None),  # type: ignore[arg-type]
        "initializer must be an initializer's name, an object such as HeNormal(), or a function that builds the model; "
        "got None",
    ),
    (lambda: Reinitialization("lw", mlp()).rounds(0), "max_steps must be a whole number of at least 1; got 0"),
    (
        lambda: Reinitialization("lw", mlp(), sample=vectors().numpy()),  # type: ignore[arg-type]
        "sample must be a tensor of inputs, or one of inputs and one of labels: sample=(INPUTS, LABELS)",
    ),
    (
        lambda: Reinitialization("lw", mlp()).begin(1),  # type: ignore[arg-type]
        "begin takes one of rounds(max_steps); got 1",
    ),
    (lambda: Reinitialization("lw", mlp(), repeats=0), "method.repeats must be a whole number of at least 1; got 0"),
    (
        lambda: Reinitialization("lw", mlp(), initializer="zeros"),
        "there is no initializer 'zeros'; there are he_normal, xavier_uniform",
    ),
]


@pytest.mark.parametrize(("use", "message"), REFUSED, ids=[message[:30] for _, message in REFUSED])
def test_what_is_missing_or_wrong_is_said_in_one_line(use: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        use()
    assert str(error.value) == message


def test_a_seed_of_numpys_draws_what_pythons_does() -> None:
    drawn = []
    for seed in (3, np.int64(3)):
        net = mlp()
        resets = Reinitialization("cold", net, seed=seed)  # type: ignore[arg-type]
        resets.begin(resets.rounds(5)[1])
        drawn.append(copy_state(net))
    assert bit_equal(*drawn)


def test_an_unknown_method_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"^there is no method 'lww'; there are (\w+, )*lw, (\w+, )*wels(, \w+)*$"):
        Reinitialization("lww", mlp())


def test_a_sample_alone_or_with_labels_is_enough() -> None:
    for sample in (vectors(), (vectors(), torch.arange(20)), [vectors(), torch.arange(20)]):
        begun("lw", sample=sample)()


def own_network() -> nn.Module:
    """Two convolutional blocks with BatchNorm in between, and a dense head."""
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()),
        nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Flatten(),
        nn.Linear(24, 3),
    )


@pytest.mark.parametrize("method", sorted(METHOD_FILES))
def test_every_method_works_on_a_network_of_ones_own_and_is_deterministic(method: str) -> None:
    inputs, labels = torch.randn(24, 1, 4, 4, generator=stream(0, "x")), torch.arange(24) % 3
    ends, random = [], torch.get_rng_state()
    for _ in range(2):
        torch.manual_seed(0)
        net = BlockNet.wrap(own_network(), blocks=["0", "1"])
        data = [(inputs, labels)]
        resets = Reinitialization(method, net, sample=(inputs, labels), data=data, seed=1, initializer=own_network)
        for index, round_ in enumerate(resets.rounds(max_steps=4), start=1):
            before = copy_state(net)
            resets.begin(round_)
            changed = changed_names(before, net)
            assert index != 1 or not changed or method == "lw"
            optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.05, momentum=0.9)
            for _ in range(2):
                train_an_epoch(net, resets.hooks, optimizer, inputs, labels)
        assert all(value.is_leaf for value in net.parameters())
        ends.append(copy_state(net))
    torch.set_rng_state(random)
    assert bit_equal(ends[0], ends[1])
    assert all(bool(torch.isfinite(value).all()) for value in ends[0].values())


def train_an_epoch(
    net: BlockNet, hooks: Hooks, optimizer: torch.optim.Optimizer, inputs: Tensor, labels: Tensor
) -> None:
    """One step, with every call of the hooks, which need no `no_grad` around them."""
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(net(inputs), hooks.targets(inputs, labels))
    penalty = hooks.penalty(net)
    (loss if penalty is None else loss + penalty).backward()
    hooks.before_step(net)
    optimizer.step()
    hooks.after_step(net)
    hooks.after_epoch(net, optimizer)
