"""Forward and backward pass over one minibatch, whole or in parts, eager or compiled; and evaluation of a split.

There is one compiled function per process. What it has compiled for one network serves every network of the same
architecture, shapes and precision, since weights and lambdas are its inputs: new rounds, reinitializations, filled
lambdas and further runs compile nothing. Batches of another size (an epoch's last) run eagerly.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from reinit_bench.core.machine import gpu_workers
from reinit_bench.core.settings import ConfigError
from reinit_bench.data.task import Task
from reinit_bench.models.blocknet import Dropout
from reinit_bench.training.device import autocast

Forward = Callable[[nn.Module, Tensor, Tensor, str], tuple[Tensor, Tensor]]

REDUCE_OVERHEAD = "reduce-overhead"
"""The setting of `compile` that is a mode of inductor: it replays what it has compiled as CUDA graphs."""

_VARIANTS = 64
"""How many variants (network, shape, precision) a process may compile; torch's own limit is 8, then it gives up."""


class OutOfMemory(ConfigError):
    """The step does not fit into memory."""


class TrainingStep:
    """Gradients of the mean cross-entropy over a minibatch.

    Args:
        precision: fp32 or bf16.
        batch_size: examples of a whole minibatch.
        micro_batch: examples that go through the network at once; the gradients of the parts are summed. This is exact
            up to rounding, since there are no batch statistics and dropout draws one mask for the whole minibatch.
            None: all of them.
        backend: what compiles the forward pass, or `reduce-overhead`; None: nothing is compiled.
    """

    def __init__(
        self,
        net: nn.Module,
        precision: str,
        batch_size: int,
        micro_batch: int | None = None,
        backend: str | None = None,
    ) -> None:
        self.net, self.precision, self.micro_batch = net, precision, micro_batch
        self.dropouts = [module for module in net.modules() if isinstance(module, Dropout) and module.rate > 0]
        self._full = min(batch_size, micro_batch or batch_size)
        self._compiled = None if backend is None else compiled_forward(backend)

    def __call__(self, inputs: Tensor, labels: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Add to the parameters' gradients; returns the loss and the number of correct answers, both on the device.

        Args:
            targets: what the cross-entropy is taken to, if not the labels: probabilities (n, classes).
        """
        if targets is None:
            targets = labels
        count = len(labels)
        size = self.micro_batch or count
        if size >= count:
            loss, logits = self._forward(inputs, targets)
            loss.backward()
            return loss.detach(), _right(logits, labels)
        loss, right = torch.zeros((), device=labels.device), torch.zeros((), dtype=torch.int64, device=labels.device)
        for start in range(0, count, size):
            for dropout in self.dropouts:
                dropout.part = (start, count)
            part, answers = inputs[start : start + size], labels[start : start + size]
            part_loss, logits = self._forward(part, targets[start : start + size])
            part_loss = part_loss * (len(answers) / count)
            part_loss.backward()
            loss += part_loss.detach()
            right += _right(logits, answers)
        for dropout in self.dropouts:
            dropout.part = None
        return loss, right

    def _forward(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        if self._compiled is None or len(targets) != self._full:
            return forward(self.net, inputs, targets, self.precision)
        from torch._dynamo.exc import TorchDynamoException

        try:
            loss, logits = self._compiled(self.net, inputs, targets, self.precision)
        except TorchDynamoException as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            warnings.warn(
                f"cannot compile the network, training without ({reason}); compile=none avoids this", stacklevel=2
            )
            self._compiled = None
            return forward(self.net, inputs, targets, self.precision)
        return loss.clone(), logits  # a CUDA graph writes the next step's loss to the same place


def forward(net: nn.Module, inputs: Tensor, targets: Tensor, precision: str) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy to class numbers (n,) or probabilities (n, classes), and the logits (n, classes)."""
    with autocast(inputs.device, precision):
        logits = net(inputs)
    return functional.cross_entropy(logits.float(), targets), logits


@dataclass(frozen=True)
class Metrics:
    """Accuracy (fraction) and mean cross-entropy over one split."""

    accuracy: float
    loss: float


@torch.no_grad()
def evaluate(net: nn.Module, task: Task, split: str, precision: str, batch: int | None = None) -> Metrics:
    """Evaluate on `split` (train, validation or test) without augmentation; reads the device once, at the end.

    `batch` examples go through the network at once; None: as many as the task chooses.
    """
    was_training = net.training
    net.eval()
    sums = torch.zeros(2, dtype=torch.float64, device=task.device)
    count = 0
    for inputs, labels in task.batches(split, batch):
        with autocast(task.device, precision):
            logits = net(inputs).float()
        sums[0] += (logits.argmax(1) == labels).sum()
        sums[1] += functional.cross_entropy(logits, labels, reduction="sum")
        count += len(labels)
    net.train(was_training)
    correct, loss = sums.tolist()
    return Metrics(accuracy=correct / count, loss=loss / count)


@functools.cache
def compiled_forward(backend: str) -> Forward:
    """`forward`, compiled by `backend` (inductor, aot_eager or eager) or in inductor's mode, for fixed shapes."""
    import torch._dynamo

    # The compiler does not support generators, so masks are drawn outside. Declared here and not in the class, because
    # it loads the whole compiler.
    Dropout.mask = torch.compiler.disable(Dropout.mask)  # type: ignore[method-assign]
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _VARIANTS)
    kind, mode = ("inductor", backend) if backend == REDUCE_OVERHEAD else (backend, None)
    compiled: Forward = torch.compile(forward, backend=kind, mode=mode, dynamic=False)
    return compiled


def backend_of(compile_: str, device: torch.device) -> str | None:
    """The backend for this setting of `compile`: with auto, inductor on a GPU and nothing on the CPU.

    On the CPU, compiling was measured to gain nothing and to cost 9 to 15 seconds.
    """
    if compile_ == "auto":
        return "inductor" if device.type == "cuda" else None
    return None if compile_ == "none" else compile_


@contextmanager
def memory_explained(device: torch.device, shape: tuple[int, ...], precision: str, at_once: int) -> Iterator[None]:
    """Turn an out-of-memory error into one line that says what to reduce.

    Args:
        shape: the shape of one input.
        at_once: examples that go through the network at once.

    Raises:
        OutOfMemory: there was not enough memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # On the CPU torch has no error type for it.
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and "can't allocate memory" not in str(error):
            raise
        where = "the GPU" if device.type == "cuda" else "this machine"
        size = "x".join(map(str, shape))
        remedies = [f"trainer.micro_batch={max(1, at_once // 2)}"] if at_once > 1 else []
        remedies += ["a smaller image_size"] if len(shape) == 3 else []
        remedies += ["precision=bf16"] if precision == "fp32" else []
        remedies += ["fewer hydra.launcher.workers_per_gpu"] if gpu_workers() > 1 else []
        examples = "example" if at_once == 1 else "examples"
        raise OutOfMemory(
            f"{where} does not have enough memory for {at_once} {examples} of {size} at once in {precision}; try "
            f"{' or '.join(remedies) or 'a smaller model.width'}"
        ) from error


def _right(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.detach().argmax(1) == labels).sum()
