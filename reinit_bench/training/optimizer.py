"""The optimizer of one round, the learning rate of each step, and where SAM takes its gradient.

The weight penalty is on kernels only (Appendix B.1).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from reinit_bench.core.config import Trainer
from reinit_bench.core.settings import ConfigError
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.parameters import is_kernel
from reinit_bench.training.muon import MuonAndAdamW

T = TypeVar("T", bound=torch.optim.Optimizer)
_SMALLEST = 1e-12  # a gradient shorter than this has no direction worth following


def make_optimizer(net: nn.Module, trainer: Trainer, frozen: Set[str] = frozenset()) -> torch.optim.Optimizer:
    """`trainer.optimizer` over the parameters of `net` that are not frozen: kernels with the penalty, the rest without.

    `sam` is SGD: where the gradient is taken is the loop's business. Adam's betas, RMSprop's smoothing
    constant (0.99) and their epsilon are torch's. `muon` is Muon on the kernels but for the head's, AdamW on the rest.
    """
    trained = {name: value for name, value in net.named_parameters() if name not in frozen}
    if trainer.optimizer == "muon":
        head = f"{head_name(net)}."
        inner = [name for name, value in trained.items() if is_kernel(name, value) and not name.startswith(head)]
        others = [value for name, value in trained.items() if name not in inner]
        return MuonAndAdamW([trained[name] for name in inner], others, trainer.lr, trainer.weight_decay)
    groups = [
        {
            "params": [value for name, value in trained.items() if is_kernel(name, value)],
            "weight_decay": gradient_decay(trainer),
        },
        {"params": [value for name, value in trained.items() if not is_kernel(name, value)], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    # On a GPU one fused kernel does the whole step; on the CPU fusing gains nothing.
    on_gpu = bool(trained) and all(p.is_cuda for p in trained.values())
    if trainer.optimizer in ("adam", "adamw"):
        kind = _light(torch.optim.AdamW if trainer.optimizer == "adamw" else torch.optim.Adam)
        return kind(groups, lr=trainer.lr, fused=on_gpu, foreach=not on_gpu)
    if trainer.optimizer == "rmsprop":
        return _light(torch.optim.RMSprop)(groups, lr=trainer.lr, foreach=True)
    return _light(torch.optim.SGD)(groups, lr=trainer.lr, momentum=trainer.momentum, fused=on_gpu, foreach=not on_gpu)


def head_name(net: nn.Module) -> str:
    """The classifier head: a BlockNet's, or else the last dense layer."""
    if isinstance(net, BlockNet):
        return net.head_name()
    return next((name for name, layer in reversed(list(net.named_modules())) if isinstance(layer, nn.Linear)), "")


def _light(kind: type[T]) -> type[T]:
    """The same optimizer, which does not load torch's compiler.

    torch wraps these methods so that its compiler leaves them alone, and their first call imports it: 1.6 s for every
    process. Here they are never compiled, only the network's passes are.
    """
    wrapped = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in wrapped}
    return type(kind.__name__, (kind,), {**methods, "step": torch.no_grad()(inspect.unwrap(kind.step))})


def gradient_decay(trainer: Trainer) -> float:
    """The factor of a kernel in its penalty's gradient (torch's `weight_decay`).

    The authors' framework adds penalty * sum(w^2) to the loss, whose gradient is 2 * penalty * w. AdamW has no such
    penalty, nor has Muon: it shrinks a kernel by lr * penalty at each step.
    """
    if trainer.optimizer in ("adamw", "muon"):
        return trainer.weight_decay
    return trainer.weight_decay * (2.0 if trainer.weight_decay_form == "l2" else 1.0)


def check_carried(carried: object | None, frozen: Set[str]) -> None:
    """Raise ConfigError if an optimizer's state is to be carried over to a round that freezes parameters."""
    if carried is not None and frozen:
        raise ConfigError("trainer.optimizer_between_rounds=carry cannot be used with a method that freezes parameters")


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set the learning rate of every parameter group to `lr`."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def has_constant_lr(trainer: Trainer) -> bool:
    """Whether every step has the round's own learning rate (which a plateau may lower after an epoch)."""
    return trainer.schedule != "cosine" and trainer.warmup_steps == 0


def schedule_factor(trainer: Trainer, step: int, max_steps: int) -> float:
    """What step number `step` (from 0) of a round of at most `max_steps` multiplies the learning rate by.

    It rises linearly over `trainer.warmup_steps`, the last of which has all of it. A cosine then falls from 1 towards
    0, which it would have one step after the last.
    """
    if step < trainer.warmup_steps:
        return (step + 1) / trainer.warmup_steps
    if trainer.schedule != "cosine":
        return 1.0
    return 0.5 * (1.0 + math.cos(math.pi * (step - trainer.warmup_steps) / (max_steps - trainer.warmup_steps)))


@contextmanager
def worst_point_nearby(net: nn.Module, radius: float) -> Iterator[None]:
    """Within the block, the trained parameters are moved by `radius` along their joint gradient; then back, exactly.

    This is sharpness-aware minimization (Foret et al. 2021): the step's gradient is taken there. Gradients must
    have been computed before; the block replaces them. BatchNorm's running statistics stay as they are.
    """
    moved = [value for value in net.parameters() if value.grad is not None]
    before = [value.detach().clone() for value in moved]
    statistics = [module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    momenta = [module.momentum for module in statistics]
    _move(moved, radius)
    for module in statistics:
        module.momentum = 0.0
    try:
        yield
    finally:
        with torch.no_grad():
            for value, old in zip(moved, before, strict=True):
                value.copy_(old)
        for module, momentum in zip(statistics, momenta, strict=True):
            module.momentum = momentum


@torch.no_grad()
def _move(parameters: Sequence[Tensor], radius: float) -> None:
    gradients = [value.grad for value in parameters if value.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))
    scale = radius / norm.clamp_min(_SMALLEST)
    for value, gradient in zip(parameters, gradients, strict=True):
        value.add_(gradient * scale)
