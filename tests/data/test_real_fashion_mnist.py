"""The real Fashion-MNIST, from the files that Debian's package installs: they are upstream's, and they are prepared."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from real_builders import BLOCKED

from reinit_bench.cli.compose import composer
from reinit_bench.cli.main import main
from reinit_bench.core.config import Execution, Experiment
from reinit_bench.data.preparing.command import command, section
from reinit_bench.data.preparing.environment import VARIABLE
from reinit_bench.run.experiment import run_experiment

FOLDER = Path(section("fashion_mnist")["folders"][0])

pytestmark = [
    pytest.mark.prepare,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not FOLDER.is_dir(), reason="needs the real Fashion-MNIST: make fashion-mnist"),
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, python: Path) -> Iterator[Path]:
    """A folder in which the command has prepared it, without a network."""
    folder = tmp_path_factory.mktemp("real")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**BLOCKED, VARIABLE: str(python), "REINIT_BENCH_DATA": str(folder)}.items():
            patch.setenv(name, value)
        yield folder


def test_it_is_prepared_without_a_network_and_trained_on(
    prepared: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert command(["dataset=fashion_mnist"]) == 0
    told = capfd.readouterr().err.splitlines()
    assert f"fashion_mnist 3.0.1: read from {FOLDER}" in told
    assert told[-1] == f"fashion_mnist: ready in {prepared} (55 MB)"
    manifest = json.loads((prepared / "cache" / "fashion_mnist-3.0.1-native" / "manifest.json").read_text())
    assert manifest["label_histogram"] == {
        split: {str(number): count for number in range(10)} for split, count in (("train", 6000), ("test", 1000))
    }
    raw = np.frombuffer(gzip.decompress((FOLDER / "t10k-images-idx3-ubyte.gz").read_bytes()), np.uint8)[16:]
    images = np.load(prepared / "cache" / "fashion_mnist-3.0.1-native" / "test_native.npy")
    assert sorted(map(bytes, images.reshape(10_000, -1))) == sorted(map(bytes, raw.reshape(10_000, -1)))
    torch.set_num_threads(1)
    words = ["dataset=fashion_mnist", "dataset.train_examples=200", "trainer.max_steps=5", "image_size=28"]
    with composer() as compose:
        experiment = Experiment.from_dict(compose.compose([*words, "model=scnn", "model.width=0.25", "method=bl"]))
    result = run_experiment(experiment, Execution(results_dir=tmp_path, device="cpu"))
    assert result["steps"] == 20
    assert 0.0 <= result["test_accuracy"] <= 1.0
    assert main(["prepare", "dataset=fashion_mnist", "--check"]) == 0
