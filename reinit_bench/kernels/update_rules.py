"""One step of torch's optimizers on stacked parameters.

Each takes the operations of `torch.optim` on the CPU (foreach, neither capturable nor amsgrad) in the same order, so
that every network in the stack ends with the bits that the optimizer itself would have given it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

State = dict[str, Tensor]
"""What an optimizer has accumulated for one parameter, each of the parameter's shape; empty before the first step."""


class UpdateRule(Protocol):
    """An optimizer with one learning rate for all steps."""

    @property
    def decay(self) -> float:
        """The penalty's factor, for the parameters that have one."""

    def update(self, values: Tensor, gradient: Tensor, state: State, step: int, decay: float) -> None:
        """Change `values` and `state` in place; `gradient` may be overwritten.

        Args:
            step: how many steps the state has seen, this one included.
            decay: the penalty's factor for this parameter.
        """


@dataclass(frozen=True, kw_only=True)
class Sgd:
    """`torch.optim.SGD`, without dampening."""

    lr: float
    momentum: float
    decay: float

    def update(self, values: Tensor, gradient: Tensor, state: State, step: int, decay: float) -> None:
        if decay:
            gradient.add_(values, alpha=decay)
        if self.momentum:
            before = state.get("momentum")
            gradient = gradient.clone() if before is None else before.mul_(self.momentum).add_(gradient)
            state["momentum"] = gradient
        values.add_(gradient, alpha=-self.lr)


@dataclass(frozen=True, kw_only=True)
class Adam:
    """`torch.optim.Adam`, or `torch.optim.AdamW` where the decay is decoupled; torch's betas and epsilon."""

    lr: float
    decay: float
    decoupled: bool
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def update(self, values: Tensor, gradient: Tensor, state: State, step: int, decay: float) -> None:
        if decay and self.decoupled:
            values.mul_(1 - self.lr * decay)
        elif decay:
            gradient.add_(values, alpha=decay)
        if not state:
            state.update(first=torch.zeros_like(values), second=torch.zeros_like(values))
        beta1, beta2 = self.betas
        state["first"].lerp_(gradient, 1 - beta1)
        state["second"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        denominator = state["second"].sqrt().div_((1 - beta2**step) ** 0.5).add_(self.epsilon)
        values.addcdiv_(state["first"], denominator, value=-(self.lr / (1 - beta1**step)))


@dataclass(frozen=True, kw_only=True)
class RmsProp:
    """`torch.optim.RMSprop`, neither centered nor with momentum; torch's smoothing constant and epsilon."""

    lr: float
    decay: float
    smoothing: float = 0.99
    epsilon: float = 1e-8

    def update(self, values: Tensor, gradient: Tensor, state: State, step: int, decay: float) -> None:
        if decay:
            gradient.add_(values, alpha=decay)
        if not state:
            state.update(second=torch.zeros_like(values))
        state["second"].mul_(self.smoothing).addcmul_(gradient, gradient, value=1 - self.smoothing)
        values.addcdiv_(gradient, state["second"].sqrt().add_(self.epsilon), value=-self.lr)
