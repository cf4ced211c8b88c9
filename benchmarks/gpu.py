"""Speed on a GPU: training steps beside plain PyTorch, and runs an hour of small networks, several at once.

    python benchmarks/gpu.py [steps|runs] [--models resnet50,mobilenet,vgg16] [--image-size 224] [--batch 256]
        [--workers 1,2,4,8,16] [--compile auto,none,reduce-overhead]

Steps (forward, backward, SGD with momentum, in bf16, on batches that are on the GPU) of

- plain: torch's own modules with GroupNorm(1), NCHW, eager, autocast: what a researcher would write;
- BatchNorm, and compiled: the same with BatchNorm, channels last: how fast the network is without the norm tax;
- eager: ours without a compiler, with our Triton norm;
- compiled: ours as experiments run it (`compile=auto`);
- reduce-overhead: `compile=reduce-overhead`.

Runs: those of `study=verdict` (scnn at half width, 28x28, batches of 32, LW, 1,000 digits) through the local launcher's
pool, for each number of workers and each `compile`. Counted are runs that end after each worker has ended its first,
so that starting and compiling are not in it. The baseline is one worker with `compile=auto`. The last column says how
many seeds end with the bits of one worker with the same `compile`.

Without a CUDA device this script says so and exits with 1. It has not been run on a GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import paired
import torch
from plain import plain_twin
from torch import nn

from reinit_bench.cli.compose import composer
from reinit_bench.core.machine import visible_gpus
from reinit_bench.core.settings import ConfigError
from reinit_bench.models.blocknet import BlockNet
from reinit_bench.models.layers import Architecture
from reinit_bench.models.mobilenet import MobileNet
from reinit_bench.models.resnet50 import ResNet50
from reinit_bench.models.scnn import Scnn
from reinit_bench.models.vgg16 import Vgg16
from reinit_bench.store.store import Store
from reinit_bench.sweep.plan import PlannedRun, make_plan
from reinit_bench.sweep.pool import Pool
from reinit_bench.sweep.slurm.queue import queued_runs
from reinit_bench.training.device import set_up_arithmetic
from reinit_bench.training.step import TrainingStep

MODELS: dict[str, type[Architecture]] = {"resnet50": ResNet50, "mobilenet": MobileNet, "vgg16": Vgg16, "scnn": Scnn}
SMALL_RUN = (
    *("dataset=digits", "dataset.train_examples=1000", "image_size=28", "model=scnn", "model.width=0.5", "method=lw"),
    *("trainer.lr=0.01", "trainer.weight_decay=0", "trainer.schedule=constant", "trainer.batch_size=32"),
    *("trainer.validation_fraction=0", "trainer.round_weights=last", "diagnostics=false", "logger=none"),
)


# --- steps ---


def ways(net: BlockNet) -> dict[str, tuple[nn.Module, str | None, torch.memory_format]]:
    """By name: the network, what compiles its step, and the images' layout."""
    last, nchw = torch.channels_last, torch.contiguous_format
    normed = plain_twin(net, batch_norm=True).to(memory_format=last)
    return {
        "plain": (plain_twin(net), None, nchw),
        "BatchNorm": (normed, None, last),
        "BatchNorm compiled": (normed, "inductor", last),
        "eager": (net, None, last),
        "compiled": (net, "inductor", last),
        "reduce-overhead": (net, "reduce-overhead", last),
    }


def images_a_second(
    net: nn.Module, backend: str | None, layout: torch.memory_format, arguments: argparse.Namespace, synchronize: Any
) -> float:
    """Images per second of one way, after warming up."""
    torch._dynamo.reset()
    device = torch.device(arguments.device)
    step = TrainingStep(net, "bf16", arguments.batch, backend=backend)
    shape = (arguments.batch, 3, arguments.image_size, arguments.image_size)
    images = torch.randn(shape, device=device).to(memory_format=layout)
    labels = torch.randint(100, (arguments.batch,), device=device)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9, fused=device.type == "cuda")
    began = 0.0
    for number in range(4 + arguments.steps):
        if number == 4:
            synchronize()
            began = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        step(images, labels)
        optimizer.step()
    synchronize()
    return arguments.steps * arguments.batch / (time.perf_counter() - began)


def compare_steps(arguments: argparse.Namespace, name: str) -> list[paired.Row]:
    """All ways of one model in turns; ours beside plain PyTorch and beside the faster BatchNorm."""
    device = torch.device(arguments.device)
    synchronize: Callable[[], None] = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    shape = (3, arguments.image_size, arguments.image_size)
    net = MODELS[name]().build(shape, 100, 0.0).to(device=device, memory_format=torch.channels_last)
    rates: dict[str, list[float]] = {}
    for _ in range(arguments.pairs):
        for way, (module, backend, layout) in ways(net).items():
            with contextlib.suppress(torch.OutOfMemoryError):
                rates.setdefault(way, []).append(images_a_second(module, backend, layout, arguments, synchronize))
    medians = {way: statistics.median(found) for way, found in rates.items()}
    title = f"{name}, {arguments.image_size}x{arguments.image_size}, batch {arguments.batch}, bf16"
    print(title, *(f"{way} {rate:,.0f} images/s" for way, rate in medians.items()), sep="\n  ")
    ours, label = medians["compiled"], device_name(device)
    normed = max(medians.get(way, 0.0) for way in ("BatchNorm", "BatchNorm compiled"))
    besides = {"plain": medians.get("plain", 0.0), "BatchNorm": normed}
    return [
        paired.Row(f"step over {beside}: {title}", ours, other, ours / other, "images/s", device=label)
        for beside, other in besides.items()
        if other
    ]


def device_name(device: torch.device) -> str:
    """The GPU's name."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else paired.cpu_name()


# --- runs ---


def runs_an_hour(
    arguments: argparse.Namespace, compile_: str, workers: int, gpus: list[str]
) -> tuple[float, Mapping[int, str]]:
    """The rate of so many workers, and by seed a hash of the run's weights.

    Raises:
        ConfigError: a run failed, or a worker cannot start.
    """
    ends: list[float] = []

    def heard(run: PlannedRun, kind: str, values: Mapping[str, Any]) -> None:
        if kind == "done":
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as folder, composer() as compose:
        chosen = [f"device={arguments.device}", f"compile={compile_}", f"trainer.max_steps={arguments.round_steps}"]
        words = [*SMALL_RUN, *chosen, f"results_dir={folder}", f"seed=range({workers * arguments.runs})"]
        runs = make_plan(compose.planned(compose.jobs(words)), queued_runs).runs
        outcome = Pool(workers, 1, gpus).run(runs, heard)
        if outcome.count("done") < len(runs):
            raise ConfigError(next(iter(outcome.causes.values()), "interrupted"))
        results = {run.experiment.seed: Store(Path(folder)).read_result(run.run_id) or {} for run in runs}
    counted = ends[workers - 1 :]
    rate = 3600 * (len(counted) - 1) / (counted[-1] - counted[0])
    return rate, {seed: result["weights_sha256"] for seed, result in results.items()}


def compare_runs(arguments: argparse.Namespace) -> list[paired.Row]:
    """Every number of workers with every `compile`; one row for each."""
    gpus = visible_gpus()[:1] if arguments.device == "cuda" else []
    label, rows = device_name(torch.device(arguments.device)), list[paired.Row]()
    alone: dict[str, Mapping[int, str]] = {}
    print("compile          workers  runs/hour  bits as alone")
    for workers in sorted({1, *map(int, arguments.workers.split(","))}):
        for compile_ in arguments.compile.split(","):
            try:
                rate, bits = runs_an_hour(arguments, compile_, workers, gpus)
            except ConfigError as error:
                print(f"{compile_:15s}  {workers:7d}  not measured: {error}")
                continue
            before = alone.setdefault(compile_, bits)
            same = sum(bits[seed] == before[seed] for seed in before.keys() & bits.keys())
            print(
                f"{compile_:15s}  {workers:7d}  {rate:9.0f}  {same} of {len(before.keys() & bits.keys())}", flush=True
            )
            base = rows[0].ours if rows else rate
            name = f"small runs on one GPU: {workers} at once, compile={compile_}"
            rows.append(paired.Row(name, rate, base, rate / base, "runs/hour", device=label))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="both", choices=("both", "steps", "runs"))
    parser.add_argument("--models", default="resnet50,mobilenet,vgg16", help="comma-separated")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--workers", default="1,2,4,8,16", help="comma-separated")
    parser.add_argument("--compile", default="auto,none,reduce-overhead", help="comma-separated; the first is the base")
    parser.add_argument("--runs", type=int, default=5, help="for each worker")
    parser.add_argument("--round-steps", type=int, default=500, help="of a round of such a run")
    parser.add_argument("--device", default="cuda", help="cpu only to try the script: its figures mean nothing")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("no CUDA device here: this benchmark needs one")
    set_up_arithmetic(torch.device(arguments.device))
    show = paired.keep if arguments.device == "cuda" else lambda rows: print(paired.table(rows))
    if arguments.what in ("both", "steps"):
        for name in arguments.models.split(","):
            show(compare_steps(arguments, name))
    if arguments.what in ("both", "runs"):
        show(compare_runs(arguments))


if __name__ == "__main__":
    main()
