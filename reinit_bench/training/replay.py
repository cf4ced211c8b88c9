"""The step of a small network, recorded once as a CUDA graph and replayed (`compile=graph`).

The kernels of a small network take less time than to launch them one by one; a graph launches all of them at once. The
network, its loss and its backward pass are recorded; the optimizer, a method's hooks and the drawing of dropout's masks
stay outside. What is replayed are the kernels of `compile=none`, in their order.

A graph keeps addresses and what Python decided when it was recorded. Therefore inputs are copied into the tensors that
it reads, the gradients that it writes are handed to the parameters after each replay, and it is recorded anew for each
round, and within one if the network's tensors have been replaced.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from reinit_bench.models.blocknet import Dropout, Lambda

WARM_UP = 3
"""Steps taken as usual before one is recorded: libraries set themselves up in their first calls."""
MOST_VARIANTS = 4
"""So many are recorded in one round at most: a network that changes more often is not worth recording."""

Step = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""Takes inputs, labels and targets; adds to the gradients; returns the loss and the number of correct answers."""
Masks = Sequence[tuple[Dropout, Tensor]]
"""Dropout layers in the order in which they are called, each with the mask that it multiplies by."""
T = TypeVar("T")


class CannotRecord(Exception):
    """A step cannot be recorded; the message says why."""


class StepRecorder(Protocol):
    """What records and replays work on a device."""

    def warm_up(self, work: Callable[[], T]) -> T:
        """Do `work` as it will be recorded."""

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        """Record `work`, without its results; returns what does it again, on the same tensors."""


class CudaStepRecorder:
    """Records CUDA graphs, by torch's rules for them: warmed up and recorded on one stream of their own."""

    def __init__(self) -> None:
        self.stream = torch.cuda.Stream()

    def warm_up(self, work: Callable[[], T]) -> T:
        current = torch.cuda.current_stream()
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            result = work()
        current.wait_stream(self.stream)
        return result

    def record(self, work: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        # Thread-local: the thread that writes checkpoints may copy from the device meanwhile.
        with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
            work()
        return graph.replay


@dataclass
class _Recording:
    """A recorded step, and the tensors that it reads and writes."""

    replay: Callable[[], None]
    read: Sequence[Tensor]
    """Inputs, labels and, if they are others, targets."""
    masks: Masks
    loss: Tensor
    right: Tensor
    gradients: Sequence[tuple[nn.Parameter, Tensor]]


@dataclass
class _Variant:
    """What one recording serves: steps of one shape, with the network in one state."""

    taken: int = 0
    masks: Masks = ()
    recording: _Recording | None = None


class ReplayedStep:
    """Takes steps with whole minibatches: the first few as usual, then by replaying.

    If a step cannot be recorded, all are taken as usual, and a warning says why.

    Args:
        step: what is recorded.
        recorder: makes what records it.
    """

    def __init__(self, net: nn.Module, step: Step, recorder: Callable[[], StepRecorder]) -> None:
        self._step, self._make_recorder = step, recorder
        self._modules, self._parameters = list(net.modules()), list(net.parameters())
        self._dropouts = [module for module in self._modules if isinstance(module, Dropout) and module.rate > 0]
        self._lambdas = [module for module in self._modules if isinstance(module, Lambda)]
        self._norms = [module for module in self._modules if isinstance(module, nn.modules.batchnorm._NormBase)]
        self._recorder: StepRecorder | None = None
        self._variants: dict[Any, _Variant] = {}
        self._gave_up = False

    def __call__(self, inputs: Tensor, labels: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """As `step`: adds to the parameters' gradients; returns the loss and the number of correct answers."""
        # A graph writes gradients and adds to none.
        if self._gave_up or any(parameter.grad is not None for parameter in self._parameters):
            return self._step(inputs, labels, targets)
        try:
            return self._recorded_or_not(inputs, labels, targets)
        except CannotRecord as error:
            warnings.warn(
                f"cannot replay the step as a CUDA graph, training without ({error}); compile=none avoids this",
                stacklevel=3,
            )
        self._gave_up = True
        self._variants.clear()
        return self._step(inputs, labels, targets)

    def _recorded_or_not(self, inputs: Tensor, labels: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        variant = self._variants.setdefault(self._state(inputs, labels, targets), _Variant())
        if len(self._variants) > MOST_VARIANTS:
            raise CannotRecord("the network is changed too often while a round trains")
        if variant.recording is None:
            self._recorder = self._recorder or self._make_recorder()
            variant.taken += 1
            if variant.taken <= WARM_UP:
                with self._masks_seen() as variant.masks:
                    return self._recorder.warm_up(lambda: self._step(inputs, labels, targets))
            variant.recording = self._record(self._recorder, variant.masks, inputs, labels, targets)
        return _replay(variant.recording, inputs, labels, targets)

    def _state(self, inputs: Tensor, labels: Tensor, targets: Tensor) -> Any:
        """What a recording depends on: shapes, the addresses of the network's tensors, and what Python decides."""
        # The modules' own dicts: to look all tensors up by name takes as long as a replay.
        tensors = [
            tensor
            for module in self._modules
            for own in (module._parameters, module._buffers)
            for tensor in own.values()
            if tensor is not None
        ]
        return (
            (inputs.shape, inputs.dtype, labels.shape, targets.shape, targets.dtype, targets is labels),
            tuple((tensor.data_ptr(), tensor.requires_grad) for tensor in tensors),
            tuple((norm.momentum, norm.training) for norm in self._norms),
            tuple(slot.is_identity for slot in self._lambdas),
        )

    @contextmanager
    def _masks_seen(self) -> Iterator[list[tuple[Dropout, Tensor]]]:
        """Within the block, a list fills with each dropout layer that is called and room for the mask that it draws."""
        masks: list[tuple[Dropout, Tensor]] = []
        handles = [
            dropout.register_forward_pre_hook(lambda layer, given: masks.append((layer, torch.empty_like(given[0]))))
            for dropout in self._dropouts
        ]
        try:
            yield masks
        finally:
            for handle in handles:
                handle.remove()

    def _record(
        self, recorder: StepRecorder, masks: Masks, inputs: Tensor, labels: Tensor, targets: Tensor
    ) -> _Recording:
        read = [tensor.clone() for tensor in (inputs, labels, *([] if targets is labels else [targets]))]
        results: list[tuple[Tensor, Tensor]] = []
        try:
            for dropout in self._dropouts:
                dropout.drawn = iter([mask for layer, mask in masks if layer is dropout])
            replay = recorder.record(lambda: results.append(self._step(read[0], read[1], read[-1])))
            gradients = [(one, one.grad) for one in self._parameters if one.grad is not None]
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise CannotRecord((str(error).strip() or type(error).__name__).splitlines()[0]) from error
        finally:
            for dropout in self._dropouts:
                dropout.drawn = None
            for parameter in self._parameters:
                parameter.grad = None
        return _Recording(replay, read, masks, *results[-1], gradients)


def _replay(recording: _Recording, *batch: Tensor) -> tuple[Tensor, Tensor]:
    for tensor, given in zip(recording.read, batch, strict=False):  # targets that are the labels are not read
        tensor.copy_(given)
    for dropout, mask in recording.masks:
        dropout.draw(mask)
    recording.replay()
    for parameter, gradient in recording.gradients:
        parameter.grad = gradient
    # The next replay writes to the same tensors.
    return recording.loss.clone(), recording.right.clone()
