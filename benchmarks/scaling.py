"""How time and memory grow, on the CPU: with steps, images, image size, rounds, runs and workers; with the batch.

    python benchmarks/scaling.py [--repeats 2] [--only steps,memory-batch] [--out docs]

Times are of whole experiments on digits: of `run_experiment` in this process with one thread, or, for runs and workers,
of `reinit-bench -m`. Points are measured in turns and the shortest time of each is kept, since other load on the
machine can only add to it. A straight line is fitted to each panel; `off the line` is the largest distance of a point
from it, as a share of the largest value. Two workers should instead halve the time.

Memory is counted and measured. Counted: the bytes of all tensors alive at the peak of two training steps, by running
them without data (torch's fake tensors), which works for batches that no machine at hand could hold; workspaces of
libraries are not included. Measured: the growth of a fresh process's resident memory over the same steps.

Writes `scaling.csv` and `scaling.png` to `--out`; with `--only` the other panels keep their values from the file. About
ten minutes on two cores; Linux only.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from gpu_step import MODELS
from matplotlib import pyplot as plt
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from reinit_bench.cli.compose import composer
from reinit_bench.core.config import Execution, Experiment
from reinit_bench.run.experiment import run_experiment
from reinit_bench.training.step import TrainingStep

SMALL = ["method=bl", "image_size=16", "trainer.batch_size=64", "trainer.patience_epochs=10000", "model.width=0.5"]
PER_GIB = 1 / 2**30
Found = dict[str, dict[str, list[float]]]
"""By panel and curve, the value at each point."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One curve.

    Attributes:
        name: for `--only`.
        x: what is varied, for the axis.
        y: what is measured, for the axis.
        values: the points on the x axis.
        measure: the curves' values at a point, by curve.
        linear: whether a straight line is expected.
    """

    name: str
    x: str
    y: str
    values: Sequence[int]
    measure: Callable[[int], Mapping[str, float]]
    linear: bool = True


def experiment(*words: str) -> Experiment:
    """An experiment on digits, composed from words as on the command line."""
    with composer() as compose:
        return Experiment.from_dict(compose.compose([*SMALL, *words]))


def whole_run(*words: str) -> dict[str, float]:
    """Seconds of one experiment in this process, data loading included."""
    chosen = experiment(*words)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        run_experiment(chosen, Execution(results_dir=Path(folder), device="cpu", diagnostics=False))
        return {"seconds": time.perf_counter() - began}


def steps(count: int) -> dict[str, float]:
    """The baseline trains in one round of K (4) times `max_steps`."""
    return whole_run(f"trainer.max_steps={count // 4}")


def images(count: int) -> dict[str, float]:
    """Thirty epochs of this many images, a tenth of which are for validation; the test set is always all of it."""
    per_epoch = -(-(count - count // 10) // 64)
    return whole_run(f"dataset.train_examples={count}", f"trainer.max_steps={30 * per_epoch // 4}")


def pixels(count: int) -> dict[str, float]:
    """A hundred steps at this many pixels."""
    return whole_run(f"image_size={round(count**0.5)}", "trainer.max_steps=25")


def rounds(count: int) -> dict[str, float]:
    """LW with K = 4 blocks, each `count / 4` times, 20 steps per round."""
    return whole_run("method=lw", f"method.repeats={count // 4}", "trainer.max_steps=20")


def sweep(runs: int, workers: int) -> dict[str, float]:
    """Seconds of a sweep on the command line."""
    with tempfile.TemporaryDirectory() as folder:
        words = [*SMALL, "method=lw", "trainer.max_steps=40", f"seed={','.join(map(str, range(runs)))}"]
        where = [f"results_dir={folder}", "logger=none", "device=cpu", "diagnostics=false"]
        pool = ["hydra/launcher=local", f"hydra.launcher.workers={workers}", "hydra.launcher.threads=1"]
        began = time.perf_counter()
        command = [sys.executable, "-m", "reinit_bench", "-m", *words[1:], *where, *pool]
        subprocess.run(command, check=True, capture_output=True)
        return {"seconds": time.perf_counter() - began}


class Peak(TorchDispatchMode):
    """Counts the bytes of the tensors created while it is active: those alive, and the most alive at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.most = 0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        tree_map_only(Tensor, self.note, made)
        return made

    def note(self, tensor: Tensor) -> None:
        """Count a tensor's storage, once."""
        storage = tensor.untyped_storage()
        if storage in self._known:
            return
        self._known.add(storage)
        self.live += storage.nbytes()
        self.most = max(self.most, self.live)
        weakref.finalize(storage, self._freed, storage.nbytes())

    def _freed(self, size: int) -> None:
        self.live -= size


def train_twice(model: str, side: int, batch: int, precision: str, peak: Peak | None = None) -> None:
    """Two training steps on made-up images of three channels."""
    net = MODELS[model]().build((3, side, side), 100, 0.0)
    if peak is not None:
        for parameter in net.parameters():
            peak.note(parameter)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    step = TrainingStep(net, precision, batch)
    inputs = torch.ones(batch, 3, side, side).to(memory_format=torch.channels_last)
    labels = torch.zeros(batch, dtype=torch.int64)
    for _ in range(2):
        optimizer.zero_grad(set_to_none=True)
        step(inputs, labels)
        optimizer.step()


def counted(model: str, side: int, batch: int, precision: str) -> float:
    """GiB alive at the peak of a training step, without computing anything."""
    peak = Peak()
    with FakeTensorMode(), peak:
        train_twice(model, side, batch, precision, peak)
    return peak.most * PER_GIB


def measured(model: str, side: int, batch: int) -> float:
    """GiB by which a fresh process grows over the steps, in fp32."""
    words = [sys.executable, __file__, "--grow", model, str(side), str(batch)]
    return float(json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)) * PER_GIB


def grow(model: str, side: int, batch: int) -> None:
    """The body of the measuring process: small steps come first, for what is loaded only once."""
    import psutil

    train_twice(model, side, 2, "fp32")
    before = psutil.Process().memory_info().rss
    train_twice(model, side, batch, "fp32")
    # Not getrusage: its highest value is the parent's if that is larger.
    highest = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps(int(highest.split()[1]) * 1024 - before))


def memory_of_batch(batch: int) -> dict[str, float]:
    """scnn at 32x32, fp32."""
    return {"counted": counted("scnn", 32, batch, "fp32"), "measured": measured("scnn", 32, batch)}


def memory_of_pixels(count: int) -> dict[str, float]:
    """scnn, a batch of 128, fp32."""
    side = round(count**0.5)
    return {"counted": counted("scnn", side, 128, "fp32"), "measured": measured("scnn", side, 128)}


def memory_at_full_size(batch: int) -> dict[str, float]:
    """Every model at 224x224 in bf16."""
    return {model: counted(model, 224, batch, "bf16") for model in MODELS}


PANELS = (
    Panel(name="steps", x="steps", y="seconds", values=(40, 80, 160, 320), measure=steps),
    Panel(name="images", x="training images, 30 epochs", y="seconds", values=(162, 324, 648, 1296), measure=images),
    Panel(name="pixels", x="pixels, 100 steps", y="seconds", values=(256, 576, 1024, 2304), measure=pixels),
    Panel(name="rounds", x="rounds (K x N), 20 steps each", y="seconds", values=(4, 8, 16, 32), measure=rounds),
    Panel(
        name="runs",
        x="runs, two workers of one thread",
        y="seconds",
        values=(2, 4, 8, 16),
        measure=lambda n: sweep(n, 2),
    ),
    Panel(
        name="workers",
        x="workers of one thread, 8 runs",
        y="seconds",
        values=(1, 2),
        measure=lambda n: sweep(8, n),
        linear=False,
    ),
    Panel(
        name="memory-batch",
        x="batch, scnn 32x32, fp32",
        y="GiB",
        values=(64, 128, 256, 512),
        measure=memory_of_batch,
    ),
    Panel(
        name="memory-pixels",
        x="pixels, scnn, batch 128, fp32",
        y="GiB",
        values=(1024, 2304, 4096, 9216),
        measure=memory_of_pixels,
    ),
    Panel(
        name="memory-full",
        x="batch, 224x224, bf16 (counted)",
        y="GiB",
        values=(32, 64, 128, 256),
        measure=memory_at_full_size,
    ),
)


def measure_all(panels: Sequence[Panel], repeats: int) -> Found:
    """The smallest value at each point."""
    found: Found = {}
    for panel in panels:
        turns = 1 if panel.name.startswith("memory") else repeats
        points: list[list[Mapping[str, float]]] = [[] for _ in panel.values]
        for _ in range(turns):
            for place, value in enumerate(panel.values):
                points[place].append(panel.measure(value))
        curves = points[0][0].keys()
        found[panel.name] = {curve: [min(turn[curve] for turn in point) for point in points] for curve in curves}
        for curve, values in found[panel.name].items():
            shown = "  ".join(f"{x:,}: {y:.3g}" for x, y in zip(panel.values, values, strict=True))
            print(f"{panel.name:14s} {curve:10s} {panel.y:8s} {shown}   {verdict(panel, values)}", flush=True)
    return found


def read(path: Path) -> Found:
    """What an earlier call measured for the panels that still exist."""
    found: Found = {}
    if path.exists():
        with path.open(newline="") as stream:
            for row in csv.DictReader(stream):
                found.setdefault(row["panel"], {}).setdefault(row["curve"], []).append(float(row["value"]))
    return {panel.name: found[panel.name] for panel in PANELS if panel.name in found}


def write(found: Found, path: Path) -> None:
    """Write one row per point."""
    with path.open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("panel", "curve", "x", "value", "unit"))
        for panel in PANELS:
            for curve, values in found.get(panel.name, {}).items():
                points = zip(panel.values, values, strict=True)
                rows.writerows((panel.name, curve, x, f"{y:.4g}", panel.y) for x, y in points)


def line(x: Sequence[int], y: Sequence[float]) -> tuple[float, float, float]:
    """Slope and intercept of the fitted line, and the largest distance from it over the largest value."""
    slope, intercept = np.polyfit(x, y, 1)
    off = float(np.max(np.abs(np.asarray(y) - (slope * np.asarray(x) + intercept))))
    return float(slope), float(intercept), off / max(y)


def verdict(panel: Panel, values: Sequence[float]) -> str:
    """How straight the curve is, in words."""
    if not panel.linear:
        return f"{values[0] / values[-1]:.2f} times as fast"
    slope, intercept, off = line(panel.values, values)
    return f"{slope:.3g} each, {intercept:.2g} fixed, off the line {off:.0%}"


def draw(panels: Sequence[Panel], found: Found, path: Path) -> None:
    """Draw one small plot per panel, with the fitted lines dashed."""
    columns = min(3, len(panels))
    height = -(-len(panels) // columns)
    figure, axes = plt.subplots(height, columns, figsize=(3.4 * columns, 2.7 * height), squeeze=False)
    for place in range(height * columns):
        axis = axes.flat[place]
        if place >= len(panels):
            axis.set_axis_off()
            continue
        panel = panels[place]
        for curve, values in found[panel.name].items():
            (drawn,) = axis.plot(panel.values, values, "o", label=curve, markersize=4)
            if panel.linear:
                slope, intercept, _ = line(panel.values, values)
                ends = np.asarray([0, max(panel.values)])
                axis.plot(ends, slope * ends + intercept, "--", linewidth=1, color=drawn.get_color())
        axis.set(xlabel=panel.x, ylabel=panel.y, ylim=(0, None), xlim=(0, None))
        if not panel.linear:
            axis.set_xticks(panel.values)
        if len(found[panel.name]) > 1:
            axis.legend(fontsize=7, frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--only", default=",".join(panel.name for panel in PANELS), help="panels, comma-separated")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--grow", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.grow:
        grow(arguments.grow[0], int(arguments.grow[1]), int(arguments.grow[2]))
        return
    names = arguments.only.split(",")
    unknown = sorted(set(names) - {panel.name for panel in PANELS})
    if unknown:
        parser.error(f"there is no panel {unknown[0]!r}; choose from {', '.join(panel.name for panel in PANELS)}")
    panels = [panel for panel in PANELS if panel.name in names]
    matplotlib.use("Agg")
    if any(not panel.name.startswith("memory") for panel in panels):
        whole_run("trainer.max_steps=5")  # loads kernels
    found = {**read(arguments.out / "scaling.csv"), **measure_all(panels, arguments.repeats)}
    write(found, arguments.out / "scaling.csv")
    draw([panel for panel in PANELS if panel.name in found], found, arguments.out / "scaling.png")


if __name__ == "__main__":
    main()
