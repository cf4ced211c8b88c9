"""Every architecture of images with every method, from configuration to result."""

from __future__ import annotations

from pathlib import Path

import pytest
from factories import METHODS, tiny_experiment

from reinit_bench.core.config import Execution
from reinit_bench.run.experiment import run_experiment
from reinit_bench.store.store import Store

BLOCKS = {"mobilenet": 7, "vgg16": 13, "resnet50": 16}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", BLOCKS)
def test_every_method_runs_its_rounds_on_every_architecture(tmp_path: Path, model: str, method: str) -> None:
    """One step in each of K rounds; the baseline takes all K steps in its only round."""
    experiment = tiny_experiment(
        f"model={model}",
        f"method={method}",
        "model.width=0.05",
        "dataset.train_examples=40",
        "image_size=32",
        "trainer.max_steps=1",
    )
    result = run_experiment(experiment, Execution(results_dir=tmp_path, device="cpu"))
    blocks = BLOCKS[model]
    assert (result["rounds"], result["steps"]) == (1 if method == "bl" else blocks, blocks)
    assert Store(tmp_path).read_result(experiment.run_id) == result
    # 500 test, 36 training and 4 validation examples: a fraction of anything else was not evaluated on them.
    counts = {"test": 500, "train": 36, "validation": 4}
    for split, count in counts.items():
        right = result[f"{split}_accuracy"] * count
        assert right == pytest.approx(round(right), abs=1e-9)
