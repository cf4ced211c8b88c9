from __future__ import annotations

from collections.abc import Sequence

import pytest
from training_helpers import ScriptValidation

from reinit_bench.data.task import Task
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.training import loop
from reinit_bench.training.step import Metrics


@pytest.fixture
def script_validation(monkeypatch: pytest.MonkeyPatch) -> ScriptValidation:
    """Sets the (accuracy, loss) of each epoch's validation; the other splits are evaluated as usual."""

    def script(metrics: Sequence[tuple[float, float]]) -> None:
        scripted, evaluate = iter(metrics), loop.evaluate

        def scripted_evaluate(net: BlockNet, task: Task, split: str, precision: str, batch: int | None) -> Metrics:
            return Metrics(*next(scripted)) if split == "validation" else evaluate(net, task, split, precision, batch)

        monkeypatch.setattr(loop, "evaluate", scripted_evaluate)

    return script
