"""Dense layers and cross-entropy of several runs side by side, with their gradients written out."""

from __future__ import annotations

from collections.abc import Sequence, Set

import torch
from torch import Tensor, nn
from torch.nn import functional

from reinit_bench.core.config import Trainer
from reinit_bench.models.blocknet import BlockNet

# The operations behind autograd's own backward passes: nothing else gives the same bits.
_relu_backward = torch.ops.aten.threshold_backward
_log_softmax_backward = torch.ops.aten._log_softmax_backward_data


class DenseLayer:
    """One block of an MLP for all runs: dense, ReLU where it is hidden, the lambda layer where that is filled.

    All buffers, and the views of each run in them, are made once: a view costs as much as a small product.

    Args:
        nets: the runs' networks; their weights are copied here, and back by `give_back`.
        block: the block's number, from 0.
        inputs: what comes in, one (examples, features) tensor per run; the tensors must stay the same.
        frozen: names of parameters that are not trained.

    Attributes:
        output: (runs, examples, units), overwritten by every `forward`.
        outputs: views of it, one per run.
    """

    def __init__(self, nets: Sequence[BlockNet], block: int, inputs: Sequence[Tensor], frozen: Set[str]) -> None:
        modules = dict(nets[0].blocks[block].named_modules())
        name = next(name for name, module in modules.items() if isinstance(module, nn.Linear))
        path = f"blocks.{block}.{name}"
        self._nets, self._path, self._inputs = nets, path, list(inputs)
        self._is_hidden = any(isinstance(module, nn.ReLU) for module in modules.values())
        self._frozen = {kind for kind in ("weight", "bias") if f"{path}.{kind}" in frozen}
        self._values = {kind: self._stacked(f"{path}.{kind}") for kind in ("weight", "bias")}
        self._gradients = {kind: torch.empty_like(values) for kind, values in self._values.items()}
        self._momenta: dict[str, Tensor] = {}
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
        """Take in the gradient of `output`; returns that of the inputs, None in the first block."""
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

    def update(self, trainer: Trainer) -> None:
        """One SGD step as `torch.optim.SGD` takes it, the penalty on the kernel only (`training.optimizer`)."""
        decay = trainer.weight_decay * (2.0 if trainer.weight_decay_form == "l2" else 1.0)
        for kind, values in self._values.items():
            if kind in self._frozen:
                continue
            gradient = self._gradients[kind]
            if decay and kind == "weight":
                gradient.add_(values, alpha=decay)
            if trainer.momentum:
                before = self._momenta.get(kind)
                momentum = gradient.clone() if before is None else before.mul_(trainer.momentum).add_(gradient)
                self._momenta[kind] = gradient = momentum
            values.add_(gradient, alpha=-trainer.lr)

    def give_back(self) -> None:
        """Copy the trained values into the networks."""
        for kind, values in self._values.items():
            for net, value in zip(self._nets, values, strict=True):
                net.get_parameter(f"{self._path}.{kind}").copy_(value)


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
        """The last loss of each run, summed as a run alone sums it."""
        pairs = zip(self._logits, self._labels, strict=True)
        return tuple(float(functional.cross_entropy(logits, labels)) for logits, labels in pairs)

    def accuracy(self) -> tuple[float, ...]:
        """Each run's share of right answers at the last `forward`."""
        right = (self._logits.argmax(-1) == self._labels).sum(1)
        return tuple(int(count) / self._labels.shape[1] for count in right)
