"""The programs in examples/ run, and the page about them shows what they do."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys

import pytest
import torch
from written import DOCS, REPOSITORY, blocks

PAGE = blocks(DOCS / "how-to" / "python.md")


def output_of(name: str, *words: str) -> str:
    command = [sys.executable, str(REPOSITORY / "examples" / name), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


def without_measurements(output: str) -> str:
    """The last digits depend on the processor."""
    return re.sub(r"\d\.\d\d", "#.##", output)


@pytest.mark.slow
def test_the_plain_loop_prints_what_the_page_shows() -> None:
    (shown,) = (block.text for block in PAGE if block.text.startswith("$ python examples/plain_loop.py\n"))
    assert without_measurements(shown.partition("\n")[2]) == without_measurements(output_of("plain_loop.py"))


@pytest.mark.slow
def test_the_plain_loop_takes_other_methods() -> None:
    assert [line.split()[:3] for line in output_of("plain_loop.py", "bl").splitlines()[1:]] == [["1", "0", "32"]]


@pytest.mark.slow
def test_lightning_s_trainer_runs_or_says_why_not() -> None:
    lines = output_of("lightning_trainer.py").splitlines()
    if importlib.util.find_spec("lightning") is None:
        assert lines == ["skipped: Lightning is not installed (pip install lightning)"]
    else:
        assert [line.split()[:3] for line in lines[-3:]] == [["1", "1", "100"], ["2", "2", "100"], ["3", "3", "100"]]


def test_the_five_lines_work() -> None:
    from torchvision.models import resnet18

    (text,) = (block.text for block in PAGE if "BlockNet.wrap" in block.text)
    trained: list[int] = []
    names = {
        "model": resnet18(num_classes=10),
        "inputs": torch.randn(8, 3, 32, 32),
        "train": lambda net, steps: trained.append(steps),
    }
    exec(text, names)
    assert trained == [10_000] * 4
    checkpoint = {"net": names["net"].state_dict(), "resets": names["resets"].state_dict()}
    (text,) = (block.text for block in PAGE if "load_state_dict" in block.text)
    exec(text, {**names, "saved": checkpoint})
    assert names["resets"].rounds(5)[0].index == 4
