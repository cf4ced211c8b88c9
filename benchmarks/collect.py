"""How long it takes from 2,448 finished runs on disk to all tables (ours, and plain pandas), figures and the report.

    python benchmarks/collect.py [--runs 2448] [--repeats 3]

Writes the paper's whole grid (one seed) as synthetic run folders, then times fresh processes in turn, imports included:
`reinit-bench tables --quiet` (every run read and validated; all tables built and written), and the plain way
(json.load, json_normalize and concat, one groupby; nothing validated). Prints the median of each and their ratio. Then
in turn, as often: `reinit-bench figures`, which draws and writes every figure that these runs can fill, and
`reinit-bench report`. Takes about three minutes on two cores.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import latest
import yaml

from reinit_bench.analysis.frame import paper
from reinit_bench.core.config import Experiment

TARGET_SECONDS = 3.0
FIGURES_SECONDS = 8.0
REPORT_SECONDS = 9.0
CONF = Path(__file__).resolve().parents[1] / "conf"

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
print(len(frame))
"""


def option(group: str, name: str) -> dict[str, Any]:
    """One option of a Hydra group, as in its file."""
    content: dict[str, Any] = yaml.safe_load((CONF / group / f"{name}.yaml").read_text())
    return content


def dataset(label: str) -> dict[str, Any]:
    """A section for one of the paper's datasets."""
    name = label.lower().replace("-", "_")
    return {"_target_": "none", "name": name, "_label_": label, "train_examples": None, "split_seed": 0}


def grid() -> Iterator[dict[str, Any]]:
    """The choices behind Tables 2, 6, 7 with both initializers (1,728) and behind Figure 2 (768, 48 of them again)."""
    initializers = ("he_normal", "xavier_uniform")
    names = ("dataset", "model", "method", "condition", "initializer")
    conditions = [("none", "none"), ("mild", "none"), ("mild", "p25")]
    for choice in product(paper.DATASETS, paper.MODELS, paper.LETTERS, conditions, initializers):
        yield dict(zip(names, choice, strict=True))
    conditions.append(("mild", "p50"))
    trainers = (
        {"lr": lr, "momentum": momentum, "weight_decay": decay}
        for lr, momentum, decay in product((0.001, 0.003, 0.01), (0.0, 0.9), (0.0, 1e-5))
    )
    for trainer in trainers:
        for choice in product(("CIFAR10", "CIFAR100"), ("vgg16", "mobilenet"), ("bl", "lw"), conditions, initializers):
            yield {**dict(zip(names, choice, strict=True)), "trainer": trainer}


def experiments() -> dict[str, Experiment]:
    """All experiments of the grid by run id, each once."""
    groups = ("model", "method", "augmentation", "dropout", "initializer")
    options = {g: {path.stem: option(g, path.stem) for path in (CONF / g).glob("*.yaml")} for g in groups}
    trainer = option("trainer", "paper")
    found = {}
    for choice in grid():
        augmentation, dropout = choice["condition"]
        picked = {**choice, "augmentation": augmentation, "dropout": dropout}
        config = {group: options[group][picked[group]] for group in groups}
        config |= {"dataset": dataset(choice["dataset"]), "trainer": trainer | choice.get("trainer", {})}
        experiment = Experiment.from_dict({**config, "seed": 0, "image_size": 224, "precision": "fp32"})
        found[experiment.run_id] = experiment
    return found


def write_run(folder: Path, run_id: str, experiment: Experiment, draw: random.Random) -> None:
    """Write one finished run as the store would."""
    folder.mkdir(parents=True)
    accuracy = round(draw.uniform(0.05, 0.99), 4)
    result = {
        "run_id": run_id,
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
        "weights_sha256": f"{draw.getrandbits(256):064x}",
        "study": "paper",
    }
    ended = {"steps": 10_000, "train_accuracy": 1.0, "test_accuracy": accuracy}
    epoch = {"round": 1, "train_accuracy": accuracy, "validation_accuracy": accuracy}
    epochs = "".join(json.dumps({**epoch, "total_step": 650 * number}) + "\n" for number in range(1, 201))
    (folder / "config.yaml").write_text(json.dumps(result["config"], indent=1))
    (folder / "rounds.jsonl").write_text("".join(json.dumps({"index": n, **ended}) + "\n" for n in range(1, 14)))
    (folder / "history.jsonl").write_text(epochs)
    (folder / "status.json").write_text(json.dumps({"state": "done"}))
    (folder / "result.json").write_text(json.dumps(result, indent=1))


def seconds(*words: str) -> tuple[float, float, str]:
    """Wall and processor time of a fresh Python process, and what it printed."""
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True)
    elapsed, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return elapsed, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def tables(results: Path, expected: int) -> tuple[float, float]:
    """Like `seconds`, for `reinit-bench tables`, which must have found all runs."""
    elapsed, processor, _ = seconds("-m", "reinit_bench", "tables", "--quiet", f"results_dir={results}")
    with (results / "tables" / "table2.csv").open(newline="") as stream:
        held = sum(int(row["n"]) for row in csv.DictReader(stream))
    assert 0 < held <= expected, held
    return elapsed, processor


def program(text: str, results: Path, expected: int) -> tuple[float, float]:
    """Like `seconds`, for a program that prints how many runs it found."""
    elapsed, processor, printed = seconds("-c", text, str(results))
    assert int(printed) == expected, printed
    return elapsed, processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2448, help="how many of the grid's 2,448 runs to write")
    parser.add_argument("--repeats", type=int, default=3, help="processes of each kind")
    arguments = parser.parse_args()
    draw = random.Random(0)
    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch)
        chosen = list(experiments().items())[: arguments.runs]
        for run_id, experiment in chosen:
            write_run(results / "runs" / run_id, run_id, experiment, draw)
        times: dict[str, list[tuple[float, float]]] = {"ours": [], "plain": []}
        for _ in range(arguments.repeats):
            times["ours"].append(tables(results, len(chosen)))
            times["plain"].append(program(PLAIN, results, len(chosen)))
        for _ in range(arguments.repeats):
            for name in ("figures", "report"):
                times.setdefault(name, []).append(seconds("-m", "reinit_bench", name, f"results_dir={results}")[:2])
        drawn = sorted(path.stem for path in (results / "figures").glob("*.png"))
        megabytes = (results / "report.html").stat().st_size / 1e6
    ours, plain, drawing, report = (
        [statistics.median(kind) for kind in zip(*times[name], strict=True)]
        for name in ("ours", "plain", "figures", "report")
    )
    print(f"{len(chosen)} runs into all tables, fresh process, median of {arguments.repeats}: wall, processor time")
    print(f"  ours   {ours[0]:6.2f} s {ours[1]:6.2f} s   (target {TARGET_SECONDS:g} s on an idle machine)")
    print(f"  plain  {plain[0]:6.2f} s {plain[1]:6.2f} s")
    print(f"  plain / ours = {plain[0] / ours[0]:.1f}, processor time {plain[1] / ours[1]:.1f}")
    name = f"all tables from {len(chosen)} runs, against json_normalize"
    latest.merge([latest.row(name, ours[0], plain[0], plain[0] / ours[0], None, "s")])
    print(f"fresh process, median of {arguments.repeats}: wall, processor time")
    print(f"  figures {drawing[0]:5.2f} s {drawing[1]:6.2f} s   (target {FIGURES_SECONDS:g} s)   {', '.join(drawn)}")
    print(f"  report  {report[0]:5.2f} s {report[1]:6.2f} s   (target {REPORT_SECONDS:g} s), {megabytes:.1f} MB")


if __name__ == "__main__":
    main()
