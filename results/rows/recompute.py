"""The headline numbers again, from the bundle, with numpy alone: python results/rows/recompute.py [BUNDLE]."""

import csv
import json
import sys
import tarfile
from collections import defaultdict
from pathlib import Path

import numpy as np

here = Path(__file__).resolve().parent
in_paper = {"CALTECH101-96": "CALTECH101", "CIFAR100-PART": "CIFAR100"}
with open(here.parent / "paper" / "table6.csv") as file:
    published = {(row["dataset"], row["model"], row["method"]): row["accuracy"] for row in csv.DictReader(file)}

accuracy = defaultdict(dict)  # in percent, by seed, for each dataset and arm
with tarfile.open(sys.argv[1] if len(sys.argv) > 1 else here / "runs.tar.gz") as bundle:
    for name in bundle.getnames():
        result = json.load(bundle.extractfile(name)) if name.endswith("/result.json") else None
        if result and result["config"]["augmentation"]["name"] == "none":  # Table 6's condition
            config = result["config"]
            arm = "bl_long" if config["trainer"]["patience_epochs"] == 240 else config["method"]["name"]
            accuracy[config["dataset"]["_label_"], arm][config["seed"]] = 100 * result["test_accuracy"]

met = []
for dataset, arm in sorted(accuracy):
    for base in ("bl", "restart", "bl_long"):
        ours, theirs = accuracy[dataset, arm], accuracy.get((dataset, base), {})
        gains = [ours[seed] - theirs[seed] for seed in ours if seed in theirs and arm != base]
        if gains:
            print(f"{dataset} {arm} over {base}: {np.mean(gains):+.4f} (n = {len(gains)})")
        paper, of_bl = (published.get((in_paper.get(dataset, dataset), "scnn", name)) for name in (arm, "bl"))
        if gains and base == "bl" and paper and abs(gain := round(float(paper) - float(of_bl), 6)) >= 0.3:
            met.append(bool(np.mean(gains) * gain > 1e-6))
print(f"{sum(met)} of {len(met)} of the paper's signs met")
