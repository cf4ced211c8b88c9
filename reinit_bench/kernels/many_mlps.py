"""Full-batch steps on several multilayer perceptrons at once, with the gradients written out.

The weights of all networks are stored in one tensor per parameter, with the network as its first dimension. Elementwise
work is done for all of them in one call, and no graph is built, which is what makes it fast; matrix products and sums
over examples are done network by network with the very operations that autograd would use, so that each network ends
with the same bits as if trained alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from reinit_bench.kernels.update_rules import State, UpdateRule

# The operations behind autograd's own backward passes: nothing else gives the same bits.
_relu_backward = torch.ops.aten.threshold_backward
_log_softmax_backward = torch.ops.aten._log_softmax_backward_data


@dataclass(frozen=True)
class Accumulated:
    """What the optimizer of one network has accumulated.

    Attributes:
        steps: how many steps it has taken.
        states: by the parameter's name.
    """

    steps: int
    states: Mapping[str, State]


@dataclass(frozen=True)
class Steps:
    """Losses and accuracy of the steps of one network.

    Attributes:
        losses: each step's cross-entropy before its update, shape (steps,), exact up to the last bits.
        last_loss: the last step's loss, bit-equal to that of a network trained alone.
        last_accuracy: accuracy (fraction) on the training set before the last update.
        optimizer: what the optimizer has accumulated after the last update.
    """

    losses: Tensor
    last_loss: float
    last_accuracy: float
    optimizer: Accumulated

    @property
    def first_bad(self) -> int | None:
        """The first step, from 1, whose loss is NaN or infinite; None if all are finite."""
        bad = (~torch.isfinite(self.losses)).nonzero()
        return int(bad[0]) + 1 if len(bad) else None


@torch.no_grad()
def train_mlps(
    nets: Sequence[nn.Module],
    inputs: Sequence[Tensor],
    labels: Sequence[Tensor],
    num_classes: int,
    steps: int,
    rule: UpdateRule,
    *,
    frozen: Set[str] = frozenset(),
    carried: Sequence[Accumulated] | None = None,
    check: Callable[[], None] = lambda: None,
) -> list[Steps]:
    """Take `steps` full-batch steps on every network, in place; returns each network's losses and accuracy.

    Args:
        nets: networks of one architecture, without dropout, on the CPU: `blocks`, each a dense layer with or without a
            ReLU, and `lambdas`, one after each block.
        inputs: each network's training examples, (examples, features).
        labels: their class numbers, (examples,).
        rule: the optimizer; its decay is for kernels only.
        frozen: names of parameters that stay as they are.
        carried: what each network's optimizer had accumulated before, over equally many steps; None: it begins anew.
        check: called before every step; if it raises, the networks are left as they were.
    """
    layers: list[DenseLayer] = []
    below = inputs
    before = carried[0].steps if carried else 0
    states = [each.states for each in carried or ()]
    for block in range(len(nets[0].get_submodule("blocks"))):  # type: ignore[arg-type]
        layers.append(DenseLayer(nets, block, below, frozen, states))
        below = layers[-1].outputs
    loss = CrossEntropy(labels, num_classes)
    losses = torch.empty(steps, len(nets))
    for step in range(steps):
        check()
        for layer in layers:
            layer.forward()
        losses[step] = loss.forward(layers[-1].output)
        gradient: Tensor | None = loss.backward()
        for layer in reversed(layers):
            assert gradient is not None
            gradient = layer.backward(gradient)
        for layer in layers:
            layer.update(rule, before + step + 1)
    for layer in layers:
        layer.give_back()
    said = zip(losses.T.contiguous(), loss.exact(), loss.accuracy(), strict=True)
    return [
        Steps(*each, Accumulated(before + steps, {name: s for layer in layers for name, s in layer.states_of(run)}))
        for run, each in enumerate(said)
    ]


class DenseLayer:
    """One block of an MLP for all runs: dense, ReLU if it is hidden, the lambda layer if that is filled.

    All buffers, and the views of each run in them, are created once: a view costs as much as a small product.

    Args:
        nets: the runs' networks; their weights are copied here, and back by `give_back`.
        block: the block's number, from 0.
        inputs: the block's inputs, one (examples, features) tensor per run; the tensors must stay the same.
        frozen: names of parameters that are not trained.
        states: what each run's optimizer has accumulated before, by parameter; empty where it begins anew.

    Attributes:
        output: (runs, examples, units), overwritten by every `forward`.
        outputs: views of it, one per run.
    """

    def __init__(
        self,
        nets: Sequence[nn.Module],
        block: int,
        inputs: Sequence[Tensor],
        frozen: Set[str],
        states: Sequence[Mapping[str, State]] = (),
    ) -> None:
        modules = dict(nets[0].get_submodule(f"blocks.{block}").named_modules())
        name = next(name for name, module in modules.items() if isinstance(module, nn.Linear))
        path = f"blocks.{block}.{name}"
        self._nets, self._path, self._inputs = nets, path, list(inputs)
        self._is_hidden = any(isinstance(module, nn.ReLU) for module in modules.values())
        self._frozen = {kind for kind in ("weight", "bias") if f"{path}.{kind}" in frozen}
        self._values = {kind: self._stacked(f"{path}.{kind}") for kind in ("weight", "bias")}
        self._gradients = {kind: torch.empty_like(values) for kind, values in self._values.items()}
        self._states = {kind: _stacked_state(states, f"{path}.{kind}") for kind in self._values}
        self._mean, self._std = (self._stacked(f"lambdas.{block}.{kind}")[:, None, None] for kind in ("mean", "std"))
        self._has_lambda = bool((self._mean != 0).any()) or bool((self._std != 1).any())
        self._make_buffers(wants_input_gradient=block > 0)

    def _stacked(self, name: str) -> Tensor:
        path, _, kind = name.rpartition(".")
        return torch.stack([getattr(net.get_submodule(path), kind).detach() for net in self._nets])

    def _make_buffers(self, *, wants_input_gradient: bool) -> None:
        weight, bias = self._values["weight"], self._values["bias"]
        runs, units, features = weight.shape
        shape = (runs, len(self._inputs[0]), units)
        self._active = torch.empty(shape)
        self.output = torch.empty(shape) if self._has_lambda else self._active
        self.outputs = list(self.output.unbind())
        self._delta = torch.empty(shape)
        deltas, weights = self._delta.unbind(), weight.unbind()
        weight_gradients, bias_gradients = (self._gradients[kind].unbind() for kind in ("weight", "bias"))
        self._products = list(
            zip(bias.unbind(), self._inputs, (w.t() for w in weights), self._active.unbind(), strict=True)
        )
        self._weight_products = list(zip((d.t() for d in deltas), self._inputs, weight_gradients, strict=True))
        self._bias_sums = list(zip(deltas, bias_gradients, strict=True))
        self._input_gradient = torch.empty(runs, shape[1], features) if wants_input_gradient else None
        passed = () if self._input_gradient is None else self._input_gradient.unbind()
        self._input_products = list(zip(deltas, weights, passed, strict=False))

    def forward(self) -> None:
        """Fill `output`."""
        for bias, inputs, weight, out in self._products:
            torch.addmm(bias, inputs, weight, out=out)
        if self._is_hidden:
            self._active.relu_()
        if self._has_lambda:
            torch.sub(self._active, self._mean, out=self.output).div_(self._std)

    def backward(self, gradient: Tensor) -> Tensor | None:
        """Propagate the gradient of `output`; returns that of the inputs, None in the first block."""
        if self._has_lambda:
            gradient = torch.div(gradient, self._std, out=self._delta)
        if self._is_hidden:
            _relu_backward(gradient, self._active, 0, grad_input=self._delta)
        elif gradient is not self._delta:
            self._delta.copy_(gradient)
        for delta, inputs, out in self._weight_products:
            torch.mm(delta, inputs, out=out)
        for delta, out in self._bias_sums:
            torch.sum(delta, 0, out=out)
        for delta, weight, out in self._input_products:
            torch.mm(delta, weight, out=out)
        return self._input_gradient

    def update(self, rule: UpdateRule, step: int) -> None:
        """The optimizer's step number `step`, from 1, with the penalty on the kernel only."""
        for kind, values in self._values.items():
            if kind not in self._frozen:
                decay = rule.decay if kind == "weight" else 0.0
                rule.update(values, self._gradients[kind], self._states[kind], step, decay)

    def states_of(self, run: int) -> Iterator[tuple[str, State]]:
        """What the optimizer has accumulated for a run: each parameter's name and state."""
        for kind, state in self._states.items():
            yield f"{self._path}.{kind}", {name: values[run].clone() for name, values in state.items()}

    def give_back(self) -> None:
        """Copy the trained values into the networks."""
        for kind, values in self._values.items():
            for net, value in zip(self._nets, values, strict=True):
                net.get_parameter(f"{self._path}.{kind}").copy_(value)


def _stacked_state(states: Sequence[Mapping[str, State]], parameter: str) -> State:
    """One state of a parameter for all runs, from the states of each run; empty where there are none."""
    own = [state.get(parameter, {}) for state in states]
    return {name: torch.stack([state[name] for state in own]) for name in (own[0] if own else ())}


class CrossEntropy:
    """Mean cross-entropy of each run over its training examples, and its gradient.

    Args:
        labels: each run's class numbers, (examples,).
    """

    def __init__(self, labels: Sequence[Tensor], num_classes: int) -> None:
        self._labels = torch.stack(list(labels))
        count = self._labels.shape[1]
        # The gradient with respect to the log-probabilities never changes.
        self._at_labels = torch.zeros(*self._labels.shape, num_classes)
        self._at_labels.scatter_(2, self._labels[..., None], -1.0 / count)
        self._logits = self._log_probabilities = torch.empty(0)

    def forward(self, logits: Tensor) -> Tensor:
        """Each run's loss, shape (runs,); `logits` has shape (runs, examples, classes)."""
        self._logits = logits
        self._log_probabilities = torch.log_softmax(logits, -1)
        return -self._log_probabilities.gather(2, self._labels[..., None]).mean(dim=(1, 2))

    def backward(self) -> Tensor:
        """The gradient with respect to the logits."""
        gradient: Tensor = _log_softmax_backward(self._at_labels, self._log_probabilities, -1, torch.float32)
        return gradient

    def exact(self) -> tuple[float, ...]:
        """The last loss of each run, summed as it would be for a run alone."""
        pairs = zip(self._logits, self._labels, strict=True)
        return tuple(float(functional.cross_entropy(logits, labels)) for logits, labels in pairs)

    def accuracy(self) -> tuple[float, ...]:
        """Each run's accuracy (fraction) at the last `forward`."""
        right = (self._logits.argmax(-1) == self._labels).sum(1)
        return tuple(int(count) / self._labels.shape[1] for count in right)
