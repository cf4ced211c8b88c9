"""The optimizer of one round; the weight penalty is on kernels only (Appendix B.1)."""

from __future__ import annotations

import inspect
from collections.abc import Set
from typing import TypeVar

import torch
from torch import nn

from reinit_bench.core.config import Trainer
from reinit_bench.core.settings import ConfigError
from reinit_bench.models.parameters import is_kernel

T = TypeVar("T", bound=torch.optim.Optimizer)


def make_optimizer(net: nn.Module, trainer: Trainer, frozen: Set[str] = frozenset()) -> torch.optim.Optimizer:
    """`trainer.optimizer` over the parameters of `net` that are not frozen: kernels with the penalty, the rest without.

    `sam` is SGD: where the gradient is taken is the loop's business. Adam's betas, RMSprop's smoothing
    constant (0.99) and their epsilon are torch's.
    """
    trained = {name: value for name, value in net.named_parameters() if name not in frozen}
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
    penalty: it shrinks a kernel by lr * penalty at each step.
    """
    if trainer.optimizer == "adamw":
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
