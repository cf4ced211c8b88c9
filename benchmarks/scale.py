"""The paper's whole grid on simulated clusters of 8, 64 and 512 GPUs: makespan, lost work, submissions.

    python benchmarks/scale.py [--gpus 8,64,512]

The project's own code plans, packs and submits, and its command is typed again once per virtual day; SLURM's commands
are stubs, and a run's work is a number of seconds (from the model that reinit_bench/sweep/cost.py states, with a random
factor per run), so that only the scheduling is measured here. docs/explanation/scale.md has the table. About a minute
per size.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests" / "sweep"))  # a test uses the simulation, too

from simulated_cluster import Weather
from simulated_study import HOUR, Report, study_on


def row(report: Report) -> list[str]:
    """A line of the table."""
    cluster, counts = report.cluster, report.cluster.counts
    work = sum(cluster.work.values())
    return [
        f"{cluster.gpus}",
        f"{report.makespan_seconds / (24 * HOUR):.1f}",
        f"{report.ideal_seconds / (24 * HOUR):.1f}",
        f"{work / (report.makespan_seconds * cluster.gpus):.0%}",
        f"{counts['submissions']}",
        f"{counts['tasks']:,}",
        f"{counts['preempted']:,}",
        f"{counts['killed']:,}",
        f"{counts['time limit']:,}",
        f"{cluster.lost_seconds / HOUR:.1f} ({cluster.lost_seconds / work:.2%})",
        f"{report.typed}",
    ]


HEADER = ["GPUs", "days", "ideal", "use", "sbatch", "tasks", "preempted", "killed", "limits", "GPU-hours lost", "typed"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpus", default="8,64,512", help="sizes, comma-separated")
    given = parser.parse_args()
    print("| " + " | ".join(HEADER) + " |\n|" + " --: |" * len(HEADER))
    for gpus in (int(word) for word in given.gpus.split(",")):
        with tempfile.TemporaryDirectory() as folder:
            report = study_on(gpus, Path(folder), Weather())
        print("| " + " | ".join(row(report)) + " |", flush=True)
    hours = [seconds / HOUR for seconds in report.cluster.work.values()]
    print(f"\n{sum(hours):,.0f} GPU-hours of work in {len(hours):,} runs; the longest run {max(hours):.0f} hours")


if __name__ == "__main__":
    main()
