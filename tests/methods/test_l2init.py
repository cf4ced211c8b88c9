"""L2 Init: what a step makes of the pull; its gradient is held to the authors' in `test_authors_code`."""

from __future__ import annotations

import torch
from training_helpers import TRAINER, mlp, train, vector_task

from reinit_bench.methods.l2init import _Pull


def test_one_step_of_training_moves_by_the_learning_rate_times_the_pull() -> None:
    task, trainer = vector_task(), TRAINER
    plain, pulled = mlp(), mlp()
    initial = {name: value.detach() - 1.0 for name, value in pulled.named_parameters()}  # everything is 1 away
    train(plain, task, trainer, steps=1)
    train(pulled, task, trainer, steps=1, hooks=_Pull(initial, 0.5))
    for (name, one), other in zip(plain.named_parameters(), pulled.parameters(), strict=True):
        # The gradient of 0.5 * sum (w - w0)^2 is 1 for each element, and the learning rate 0.05.
        torch.testing.assert_close(other, one - 0.05, msg=name)
