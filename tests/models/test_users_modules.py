"""Networks of the user's are reset as they were built: all of torch's layers, modules of one's own, frozen, tied ..."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from bits import bit_equal, changed_names, copy_state
from factories import METHOD_FILES, tiny_experiment
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from reinit_bench import BlockNet, Reinitialization
from reinit_bench.core.config import Execution
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.task import load_task
from reinit_bench.models.initializers import HeNormal, initial_values
from reinit_bench.models.layers import Architecture
from reinit_bench.models.parameters import kind_of, owner_of
from reinit_bench.run.experiment import Components, build_network

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("Linear", "Embedding", "EmbeddingBag"), (40, 50)),
    **dict.fromkeys(("Conv1d", "Conv2d", "Conv3d"), (20, 30, 3)),
    **dict.fromkeys(("ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"), (20, 30, 3)),
    **dict.fromkeys(("LSTM", "GRU", "RNN", "LSTMCell", "GRUCell", "RNNCell"), (40, 50)),
    **dict.fromkeys(("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm", "LayerNorm", "RMSNorm"), (40,)),
    **dict.fromkeys(("TransformerEncoderLayer", "TransformerDecoderLayer"), (40, 2)),
    "AdaptiveLogSoftmaxWithLoss": (64, 100, [20, 50]),
    "Bilinear": (20, 20, 10),
    "GroupNorm": (2, 40),
    "LinearCrossEntropyLoss": (40, 50),
    "MultiheadAttention": (40, 2, 0.0, True, True),
    "PReLU": (40,),
    "RNNBase": ("LSTM", 40, 50),
    "Transformer": (40, 2, 1, 1, 40, 0.0, "relu", None, None, 1e-5, True),
}


def with_parameters() -> Iterator[Any]:
    """The classes of torch.nn whose modules have parameters of their own."""
    for name, kind in inspect.getmembers(nn, inspect.isclass):
        if issubclass(kind, nn.Module) and not name.startswith("Lazy") and name in ARGUMENTS:
            yield pytest.param(lambda kind=kind, name=name: kind(*ARGUMENTS[name]), id=name)


def test_no_layer_of_torch_is_forgotten() -> None:
    for name, kind in inspect.getmembers(nn, inspect.isclass):
        if issubclass(kind, nn.Module) and name not in ARGUMENTS and not name.startswith("Lazy"):
            for arguments in ((), (4,), (4, 4), (4, 4, 3)):
                try:
                    made = kind(*arguments)
                except Exception:  # whatever wrong arguments raise
                    continue
                assert not list(made.parameters()), name


class OwnNorm(nn.Module):
    def __init__(self, features: int = 4) -> None:
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.ones(features)), nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        return self.gain * (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-5) + self.shift


class Gated(nn.Module):
    """A scalar, a layer scale, and tokens that are drawn anew by `reset_parameters`."""

    def __init__(self) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.tensor(2.5))
        self.gamma = nn.Parameter(torch.full((4, 1), 1e-6))
        self.reg_token = nn.Parameter(torch.empty(1, 40, 50))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.reg_token, std=0.02)


def forgetful() -> nn.LSTM:
    """An LSTM whose forget gates begin open, as is usual."""
    lstm = nn.LSTM(40, 50)
    with torch.no_grad():
        lstm.bias_ih_l0[50:100] = 1.0
    return lstm


class Adapted(nn.Linear):
    """A layer that begins at zero, in a list; the whole draws its tokens."""

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        nn.init.ones_(self.bias)


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.ParameterList([torch.empty(1, 40, 50)])
        self.adapter = Adapted(4, 4)
        self.init_weights()

    def init_weights(self) -> None:
        nn.init.normal_(self.tokens[0], std=0.02)


OWN: dict[str, Callable[[], nn.Module]] = {
    "own norm": OwnNorm,
    "gated": Gated,
    "tokens": Tokens,
    "forget biases": forgetful,
    "padding": lambda: nn.Embedding(40, 50, padding_idx=0),
    "one slope": nn.PReLU,
    "grouped": lambda: nn.ConvTranspose2d(20, 30, 3, groups=5),
    "weight_norm": lambda: parametrizations.weight_norm(nn.Conv2d(20, 30, 3)),
    "weight_norm of a table": lambda: parametrizations.weight_norm(nn.Embedding(40, 50)),
    "spectral_norm": lambda: parametrizations.spectral_norm(nn.Linear(40, 50)),
    "orthogonal": lambda: parametrizations.orthogonal(nn.Linear(40, 50)),
    "orthogonal square": lambda: parametrizations.orthogonal(nn.Linear(40, 40)),
    "householder": lambda: parametrizations.orthogonal(
        nn.Linear(40, 50), orthogonal_map="householder", use_trivialization=False
    ),
    "cayley": lambda: parametrizations.orthogonal(nn.Linear(40, 40), orthogonal_map="cayley", use_trivialization=False),
}


def begun(method: str, net: BlockNet, index: int = 2, **others: Any) -> Reinitialization:
    resets = Reinitialization(method, net, **others)
    resets.begin(resets.rounds(10)[index - 1])
    return resets


def disturbed(net: nn.Module) -> nn.Module:
    """Trained, as it were; buffers too."""
    with torch.no_grad():
        for value in (*net.parameters(), *net.buffers()):
            if value.is_floating_point():
                value.mul_(1.5).add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(1)))
    return net


def he_deviation(module: nn.Module, value: Tensor) -> float:
    inputs = value[0].numel()
    if isinstance(module, nn.modules.conv._ConvTransposeNd):
        inputs = len(value) * value[0, 0].numel() // module.groups
    return math.sqrt(2 / inputs)


def reset(make: Callable[[], nn.Module], top: nn.Module) -> BlockNet:
    """A network that was trained, as it were, and reset as a whole."""
    net = BlockNet([make()], top)
    resets = Reinitialization("cold", net, repeats=2)
    disturbed(net)
    resets.begin(resets.rounds(10)[1])
    return net


def assert_distributed(found: Tensor, wanted: Tensor, name: str) -> None:
    """Constants where constants are, else mean and deviation alike."""
    if wanted.unique().numel() == 1:
        assert torch.equal(found, wanted), name
        return
    deviation = float(wanted.std())
    assert float(found.std()) == pytest.approx(deviation, rel=0.1 + 2 / math.sqrt(wanted.numel())), name
    assert abs(float(found.mean() - wanted.mean())) < 6 * deviation / math.sqrt(wanted.numel()), name
    assert not torch.equal(found, wanted), name


@pytest.mark.parametrize("make", [*with_parameters(), *(pytest.param(make, id=name) for name, make in OWN.items())])
def test_after_cold_every_parameter_is_distributed_as_in_a_newly_built_network(make: Callable[[], nn.Module]) -> None:
    net = reset(make, nn.Linear(3, 2))
    new = dict(BlockNet([make()], nn.Linear(3, 2)).named_parameters())
    for name, value in net.named_parameters():
        module, own = owner_of(net, name)
        kind = kind_of(module, own)
        if kind == "kernel" and value.numel() > 50:
            assert float(value.detach().std()) == pytest.approx(he_deviation(module, value), rel=0.2), name
        elif kind in ("scale", "shift"):
            assert torch.equal(value, torch.ones_like(value) if kind == "scale" else torch.zeros_like(value)), name
        elif kind is None and ".parametrizations." not in name:
            assert_distributed(value.detach(), new[name].detach(), name)


def test_what_the_constructor_made_special_stays_special() -> None:
    lstm, table = (reset(OWN[name], nn.Identity()) for name in ("forget biases", "padding"))
    assert lstm.get_parameter("blocks.0.bias_ih_l0")[50:100].unique().tolist() == [1.0]
    assert not table.get_parameter("blocks.0.weight")[0].any()


@pytest.mark.parametrize("name", [name for name in OWN if "_norm" in name or "orthogonal" in name or "house" in name])
def test_a_parametrized_weight_keeps_its_promise(name: str) -> None:
    """Its parts fit each other: magnitudes are norms, singular vectors are those of the new weight."""
    net = reset(OWN[name], nn.Identity())
    weight = net.blocks[0].weight.detach()
    values = torch.linalg.svdvals(weight.flatten(1))
    if "weight_norm" in name:
        deviation = he_deviation(net.blocks[0], weight) if weight.dim() == 4 else 1.0
        assert float(weight.std()) == pytest.approx(deviation, rel=0.1)
    else:
        assert float(values.max()) == pytest.approx(1.0, abs=0.15 if name == "spectral_norm" else 1e-4)
        assert name == "spectral_norm" or float(values.min()) == pytest.approx(1.0, abs=1e-4)


class Own(nn.Module):
    """Three blocks with norms of one's own, a head; with a token that nothing can draw again, if wished."""

    def __init__(self, wrap: Callable[[nn.Module], nn.Module] = lambda layer: layer, token: bool = False) -> None:
        super().__init__()
        self.a = nn.Sequential(wrap(nn.Linear(4, 4)), OwnNorm(), nn.PReLU())
        self.b = nn.Sequential(wrap(nn.Linear(4, 4)), OwnNorm(), nn.ReLU())
        self.head = nn.Linear(4, 3)
        self.token = nn.Parameter(torch.randn(1, 4)) if token else None

    def init_weights(self, layer: nn.Module) -> None:
        """For `apply`; not what resets this module."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(self.a(x))
        return self.head(x if self.token is None else x + self.token)


INPUTS = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(30) % 3
DATA = {"sample": (INPUTS, LABELS), "data": [(INPUTS, LABELS)]}
WRAPS = {
    "plain": lambda layer: layer,
    "weight_norm": parametrizations.weight_norm,
    "spectral_norm": parametrizations.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
}


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("block", [1, 2])
def test_after_lw_only_what_lies_above_is_new(wrap: str, block: int) -> None:
    net = BlockNet.wrap(Own(WRAPS[wrap]), ["a", "b"], sample=INPUTS)
    resets = Reinitialization("lw", net, **DATA)
    with torch.no_grad():
        for value in net.parameters():
            value.add_(0.1 * torch.randn(value.shape, generator=torch.Generator().manual_seed(2)))
    before = copy_state(net)
    resets.begin(resets.rounds(10)[block - 1])
    changed = changed_names(before, net) - {f"lambdas.{block - 1}.mean", f"lambdas.{block - 1}.std"}
    above = {name for name in changed if not name.startswith(tuple(f"model.{k}." for k in "ab"[:block]))}
    assert {"model.head.weight", "model.head.bias"} <= above
    # What is below has been rescaled, where a norm can be: nothing but kernels, or a weight norm's magnitudes.
    parts = {"plain": ("0.weight",), "weight_norm": ("original0",)}.get(wrap, ())
    assert all(name.endswith(parts) for name in changed - above)
    assert len(changed - above) == block * len(parts)
    net.eval()
    normalized = net.lambda_of(block)(net.block_output(INPUTS, block))
    assert normalized.std(correction=0).item() == pytest.approx(1.0, rel=1e-4)
    if block == 1:
        assert bit_equal(net.get_parameter("model.b.1.gain").detach(), torch.ones(4))


@pytest.mark.parametrize("wrap", list(WRAPS)[1:])
@pytest.mark.parametrize("method", ["wels", "sp", "dash", "fire", "kels", "redo"])
def test_single_elements_of_a_parametrized_weight_are_refused(wrap: str, method: str) -> None:
    net = BlockNet.wrap(Own(WRAPS[wrap]), ["a", "b"], sample=INPUTS)
    with pytest.raises(ConfigError, match=r"parametrized|cannot be followed"):
        begun(method, net, **DATA)


@pytest.mark.parametrize("method", sorted(METHOD_FILES))
def test_frozen_parameters_keep_their_values(method: str) -> None:
    net = BlockNet.wrap(Own(), ["a", "b"], sample=INPUTS)
    frozen = {"model.b.0.weight", "model.head.bias", "model.head.weight"}
    for name in frozen:
        net.get_parameter(name).requires_grad_(False)
    before = {name: net.get_parameter(name).detach().clone() for name in frozen}
    with pytest.warns(UserWarning, match="frozen parameters keep their values: model.b.0.weight, model.head.bias, "):
        resets = Reinitialization(method, net, **DATA)
    for round_ in resets.rounds(10)[:2]:
        if method in ("kels", "redo", "cbp", "snr"):
            with pytest.raises(ConfigError):  # it adds vectors that it has computed
                resets.begin(round_)
            return
        resets.begin(round_)
        resets.hooks.after_step(net)
        assert {name for name, value in net.named_parameters() if not value.requires_grad} == frozen
    assert all(bit_equal(net.get_parameter(name).detach(), value) for name, value in before.items())


class Tied(nn.Module):
    def __init__(self, head_first: bool) -> None:
        super().__init__()
        if head_first:
            self.head = nn.Linear(4, 6, bias=False)
        self.table = nn.Embedding(6, 4)
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)
        if not head_first:
            self.head = nn.Linear(4, 6, bias=False)
        self.table.weight = self.head.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.b(self.a(self.table(x).mean(1)).relu()).relu())


@pytest.mark.parametrize("head_first", [False, True])
def test_a_tied_head_is_refused_by_what_redraws_heads_and_left_alone_by_lw(head_first: bool) -> None:
    words = torch.arange(12).reshape(4, 3) % 6
    net = BlockNet.wrap(Tied(head_first), ["a", "b"], sample=words)
    for method in ("rifle", "fc"):
        with pytest.raises(ConfigError, match=r"^the classifier head shares model\.\w+\.weight with other layers"):
            begun(method, net, sample=words)
    before = copy_state(net)
    begun("lw", net, index=2, sample=words)
    shared = {"model.head.weight", "model.table.weight"}
    assert changed_names(before, net) & shared <= shared
    assert torch.equal(net.model.head.weight, net.model.table.weight)
    assert net.lambda_of(2).std != 1


def test_what_nothing_can_draw_is_refused_by_name_unless_the_network_can_be_built() -> None:
    net = BlockNet.wrap(Own(token=True), ["a", "b"], sample=INPUTS)
    message = r"^no fresh values are known for model\.token: give the module a reset_parameters\(\), or "
    with pytest.raises(ConfigError, match=message):
        begun("cold", net)
    old = net.get_parameter("model.token").detach().clone()
    begun("cold", net, initializer=lambda: Own(token=True))
    assert not torch.equal(net.get_parameter("model.token"), old)
    begun("wels", BlockNet.wrap(Own(token=True), ["a", "b"], sample=INPUTS))  # which draws no token


@dataclass(frozen=True, kw_only=True)
class OwnArchitecture(Architecture):
    def build(self, input_shape: tuple[int, ...], num_classes: int, dropout_rate: float) -> BlockNet:
        return BlockNet([nn.Flatten(), Own(token=True)], nn.Linear(3, num_classes))


def test_on_the_command_line_the_class_builds_it_again() -> None:
    experiment, execution = tiny_experiment("image_size=8"), Execution(device="cpu")
    components = Components(
        method=Components.of(experiment, execution).method,
        architecture=OwnArchitecture(),
        initializer=HeNormal(),
        device=torch.device("cpu"),
    )
    task = load_task(experiment, torch.device("cpu"))
    one, other = (build_network(components, experiment, task) for _ in range(2))
    assert bit_equal(copy_state(one), copy_state(other))
    name = "blocks.1.token"
    again = initial_values(disturbed(one), HeNormal(), [name], experiment.seed, "initialize")
    assert torch.equal(again[name], other.get_parameter(name))
    assert not torch.equal(initial_values(one, HeNormal(), [name], 1, "initialize")[name], again[name])
