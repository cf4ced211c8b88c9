"""How long the commands take that look at the paper's 2,448 runs, beside plain baselines.

    python benchmarks/many_runs.py [--repeats 3] [--sample 30]

Writes every run of `study=paper` as a finished one. Then, in fresh processes, imports included:

- tables: `reinit-bench tables --quiet` (every run read and validated, all tables built and written) against json.load,
  json_normalize, concat and one groupby of pandas, which validates nothing.
- figures, report, status, plan: how long each takes; there is nothing to compare them with.

And in one process: composing a configuration, against Hydra's own compose on a random sample, whose configurations must
be equal.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import paired
from hydra import compose as hydra_compose
from omegaconf import OmegaConf

from reinit_bench.cli.compose import composer
from reinit_bench.core.config import Experiment
from reinit_bench.store.files import write_json, write_lines
from reinit_bench.store.store import Store

STUDY = "study=paper"
AIMS = {"figures": 8.0, "report": 9.0, "status": 2.0, "plan": 4.0}
"""Seconds that a command may take on an idle machine."""

PLAIN = """
import json, sys
from pathlib import Path
import pandas as pd
frames = []
for path in sorted(Path(sys.argv[1], "runs").glob("*/result.json")):
    with path.open() as stream:
        frames.append(pd.json_normalize(json.load(stream)))
frame = pd.concat(frames, ignore_index=True)
keys = ["config.dataset._label_", "config.model.name", "config.method.name",
        "config.augmentation.name", "config.dropout.rate", "config.initializer.name"]
frame.groupby(keys)["test_accuracy"].agg(["size", "mean", "std"]).to_csv(sys.argv[1] + "/plain.csv")
assert len(frame) == int(sys.argv[2])
"""


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def process_seconds(*words: str) -> float:
    """Wall time of a fresh Python process."""
    return seconds(lambda: subprocess.run([sys.executable, *words], capture_output=True, check=True))


def compare_composition(sample: int) -> tuple[paired.Row, list[Experiment]]:
    """A configuration composed our way and Hydra's; and all experiments of the study."""
    with composer() as ours:
        jobs = [list(job) for job in ours.jobs([STUDY])]
        configs = list[dict]()
        mine = seconds(lambda: configs.extend(dict(ours.compose(job)) for job in jobs)) / len(jobs)
        chosen = random.Random(0).sample(range(len(jobs)), sample)
        sampled = list[object]()
        theirs = (
            seconds(lambda: sampled.extend(hydra_compose("config", overrides=jobs[one]) for one in chosen)) / sample
        )
    for one, config in zip(chosen, sampled, strict=True):
        assert OmegaConf.to_container(config, resolve=True) == configs[one], jobs[one]
    row = paired.row_of("composing a configuration, against Hydra's compose", [(mine, theirs)], "s", target=10)
    experiments = {one.run_id: one for one in map(Experiment.from_dict, configs)}
    return row, list(experiments.values())


def write_run(store: Store, experiment: Experiment, draw: random.Random) -> None:
    """Write one finished run as the store would."""
    folder = store.run(experiment.run_id)
    folder.create()
    accuracy = round(draw.uniform(0.05, 0.99), 4)
    ended = {"steps": 10_000, "train_accuracy": 1.0, "test_accuracy": accuracy}
    epoch = {"round": 1, "train_accuracy": accuracy, "validation_accuracy": accuracy}
    write_lines(folder.path / "rounds.jsonl", [{"index": number, **ended} for number in range(1, 14)])
    write_lines(folder.path / "history.jsonl", [{**epoch, "total_step": 650 * number} for number in range(1, 201)])
    result = {
        "run_id": experiment.run_id,
        "config": experiment.to_dict(),
        "test_accuracy": accuracy,
        "validation_accuracy": accuracy,
        "train_accuracy": 1.0,
        "rounds": 13,
        "steps": 130_000,
        "wall_seconds": 3600.0,
        "versions": {"reinit_bench": "0.1.0", "torch": "2.15.0", "python": "3.11.7"},
        "git_commit": "0" * 40,
        "device": "cuda",
        "study": "paper",
    }
    (folder.path / "config.yaml").write_text(json.dumps(result["config"], indent=1))
    write_json(folder.path / "status.json", {"state": "done", "attempt": 1})
    write_json(folder.path / "result.json", result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3, help="processes of each kind")
    parser.add_argument("--sample", type=int, default=30, help="configurations that Hydra composes")
    given = parser.parse_args()
    row, experiments = compare_composition(given.sample)
    paired.keep([row])
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        for experiment in experiments:
            write_run(Store(Path(folder)), experiment, draw)
        count, ours = len(experiments), ("-m", "reinit_bench")
        title = f"all tables from {count:,} runs, against json_normalize"
        tables = lambda: process_seconds(*ours, "tables", "--quiet", f"results_dir={folder}")  # noqa: E731
        plain = lambda: process_seconds("-c", PLAIN, folder, str(count))  # noqa: E731
        paired.keep([paired.in_turns(title, tables, plain, given.repeats, "s")])
        for name, aim in AIMS.items():
            words = [name, *([STUDY] if name in ("status", "plan") else []), f"results_dir={folder}"]
            median = statistics.median(process_seconds(*ours, *words) for _ in range(given.repeats))
            print(f"reinit-bench {name:8s} {median:5.2f} s (aim: {aim:g} s)", flush=True)


if __name__ == "__main__":
    main()
