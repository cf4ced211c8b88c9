"""Every method with every network: two rounds, cut and resumed, end with the same bits, hooks included.

A new yaml in conf/method or conf/model is tested without being named here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from bits import bit_equal
from factories import METHOD_FILES, tiny_experiment
from observers import InterruptAfter

from reinit_bench.core.conf_dir import conf_dir
from reinit_bench.core.config import Execution, Experiment
from reinit_bench.models.channel_tracing import NotFollowed
from reinit_bench.run.experiment import run_experiment
from reinit_bench.training.checkpoint import read_checkpoint
from reinit_bench.training.interrupt import Interrupted

STEPS = 6
"""Of a round: two epochs of three batches. What acts every so many epochs acts once in each round."""

CUTS = (2, 7)
"""Steps after which a run is cut: within an epoch of the first round, and in the second round."""

PAPERS = ("mlp", "scnn", "mobilenet", "vgg16", "resnet50")
OTHERS = (
    *sorted({path.stem for path in (conf_dir() / "model").glob("*.yaml")} - set(PAPERS)),
    "scnn model.norm=batch",
    "mobilenet model.norm=none",
    "mobilenet model.grouping=single model.padding=same model.conv_bias=true",
)
"""All other networks, some with further settings."""

SMALLER = {"resnet18": (), "vit_tiny": (), "torchvision": ("model.arch=mobilenet_v3_small",)}
"""Models whose images may be smaller than others' (vgg16's may not), and further settings of theirs."""


SOONER = {"cbp": ("method.rate=0.2", "method.maturity=1"), "snr": ("method.least=1", "method.most=20")}
"""Settings of methods that would do nothing in so few steps."""


def experiment_of(method: str, model: str) -> Experiment:
    task = (
        ("dataset=synthetic", "dataset.test_examples=20", "trainer.validation_fraction=0.1", "image_size=null")
        if model == "mlp"
        else ("dataset=digits", "image_size=32", "model.width=0.05")
    )
    if model in SMALLER:
        task = (*task, "image_size=8", *SMALLER[model])
    every = ["method.every=1"] if "every" in METHOD_FILES[method] else []
    sizes = ("dataset.train_examples=40", "trainer.batch_size=13", f"trainer.max_steps={STEPS}")
    quick = ("trainer.lr=0.01", "trainer.round_weights=last", "dropout=p25", "trainer.checkpoint_every=100")
    return tiny_experiment(
        *f"model={model}".split(), f"method={method}", *task, *sizes, *quick, *every, *SOONER.get(method, ())
    )


def state_after(experiment: Experiment, results: Path, steps: tuple[int, ...]) -> dict[str, Any]:
    """The checkpoint of a run that is cut after each of these steps, and resumed but for the last."""
    execution = Execution(results_dir=results, device="cpu", diagnostics=False)
    for before, step in zip((0, *steps), steps, strict=False):
        observer = InterruptAfter(step - before)
        with pytest.raises(Interrupted):
            run_experiment(experiment, execution, observer=observer, interrupt=observer.interrupt)
    return read_checkpoint(results / "runs" / experiment.run_id / "checkpoint.pt", torch.device("cpu"))


def without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_seconds(item) for key, item in value.items() if key != "seconds"}
    return [without_seconds(item) for item in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(METHOD_FILES))
@pytest.mark.parametrize("network", [*PAPERS, *(pytest.param(other, marks=pytest.mark.long) for other in OTHERS)])
def test_two_rounds_that_are_cut_and_resumed_end_with_the_same_bits(network: str, method: str, tmp_path: Path) -> None:
    experiment, last = experiment_of(method, network), 2 * STEPS - 1
    try:
        uncut = without_seconds(state_after(experiment, tmp_path / "uncut", (last,)))
    except NotFollowed:
        if network != "vit_tiny":  # only attention may hide which channels belong together
            raise
        return
    cut = without_seconds(state_after(experiment, tmp_path / "cut", (*CUTS, last)))
    assert bit_equal(uncut, cut)
    assert len(uncut["rounds"]) == (0 if METHOD_FILES[method].get("_rounds_") == 1 else 1)
