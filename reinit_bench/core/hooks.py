"""Hooks: what a method does while a round trains. The training loop calls them and knows no method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class Hooks:
    """Does nothing; a subclass overrides what it needs. One object serves one round of one run.

    In each step: `targets`, the backward pass of the loss, that of `penalty`, `before_step`, the optimizer's step,
    `after_step`. All but `penalty` run under `torch.no_grad`, whoever calls them.

    Attributes:
        optimizer: the round's, set by whoever trains, for hooks that clear what it has accumulated for weights that
            they redraw; None: there is nothing to clear.
    """

    optimizer: torch.optim.Optimizer | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("begin", "targets", "before_step", "after_step", "after_epoch"):
            if name in vars(cls):
                setattr(cls, name, torch.no_grad()(vars(cls)[name]))

    def begin(self, net: nn.Module) -> None:
        """The round begins: `net` is as the method's `transform` has left it. Not called when a round is resumed."""

    def targets(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """What the cross-entropy is taken to: class numbers (n,), or probabilities (n, classes).

        Args:
            inputs: the minibatch as the network gets it, (n, ...).
            labels: class numbers (n,).
        """
        return labels

    def penalty(self, net: nn.Module) -> Tensor | None:
        """A scalar whose gradient is added to that of the loss."""
        return None

    def before_step(self, net: nn.Module) -> None:
        """The parameters' gradients are complete, the optimizer has not used them yet."""

    def after_step(self, net: nn.Module) -> None:
        """The optimizer has taken a step."""

    def after_epoch(self, net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """An epoch of this round has ended, has been validated, and another one follows."""

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold: plain values and tensors."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
