"""What the paper's grid costs: GPU-hours of study=paper at the measured training rates of plain PyTorch and of ours.

    make bench-gpu && python benchmarks/cost.py

Counts the images that all 2,448 runs train on, by the model that reinit_bench/sweep/cost.py states (a round lasts 100
epochs or its step limit, the baseline as long as all rounds), and divides them by the images per second that
benchmarks/gpu_step.py wrote to latest.json for each architecture, ours and plain. Rates that were not measured are left
out; nothing is guessed in their place.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

import latest
from rich.console import Console
from rich.table import Table

from reinit_bench.cli.compose import composer
from reinit_bench.core.config import Experiment
from reinit_bench.sweep.cost import modelled_steps

STUDY = ("study=paper",)


def experiments() -> list[Experiment]:
    """The distinct runs of the study."""
    with composer() as compose:
        every = [Experiment.from_dict(compose.compose(list(job))) for job in compose.jobs(STUDY)]
    return list({each.run_id: each for each in every}.values())


def rates(kind: str) -> dict[str, float]:
    """Images per second at 224x224 on a GPU, by architecture: `ours` or `baseline` of the rows over plain PyTorch."""
    found = {}
    for row in latest.read():
        name, _, title = row["name"].partition(": ")
        if name == "step over plain" and ", 224x224," in title and row[kind]:
            found[title.partition(",")[0]] = float(row[kind])
    return found


def table(runs: Iterable[Experiment], plain: Mapping[str, float], ours: Mapping[str, float]) -> Table:
    """Per architecture: runs, images, and the GPU-hours that they take at either rate."""
    count: Counter[str] = Counter()
    images: defaultdict[str, float] = defaultdict(float)
    for run in runs:
        count[run.model["name"]] += 1
        images[run.model["name"]] += modelled_steps(run) * run.trainer.batch_size
    shown = Table(title=f"study=paper: {sum(count.values()):,} runs")
    for heading in ("model", "runs", "images", "plain, images/s", "ours", "plain, GPU-hours", "ours"):
        shown.add_column(heading, justify="left" if heading == "model" else "right")
    for model, total in images.items():
        speeds = [found.get(model) for found in (plain, ours)]
        hours = [f"{total / speed / 3600:,.0f}" if speed else "not measured" for speed in speeds]
        quoted = [f"{speed:,.0f}" if speed else "not measured" for speed in speeds]
        shown.add_row(model, f"{count[model]:,}", f"{total / 1e9:,.2f} billion", *quoted, *hours)
    shown.add_section()
    shown.add_row("all", f"{sum(count.values()):,}", f"{sum(images.values()) / 1e9:,.2f} billion")
    return shown


def main() -> None:
    Console(width=120).print(table(experiments(), rates("baseline"), rates("ours")))


if __name__ == "__main__":
    main()
