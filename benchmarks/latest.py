"""The latest figures of every benchmark: `python benchmarks/latest.py` prints them as one table.

Each script merges its rows into `benchmarks/latest.json`, a list of `name, ours, baseline, ratio, target, device,
unit`; a row replaces the one with the same name and device. `ratio` is how many times better ours is, `target` the
least it should be (null: none was set).
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("latest.json")
COLUMNS = ("name", "ours", "baseline", "ratio", "target", "device", "unit")


def cpu_name() -> str:
    """The machine that figures were measured on, if not on a GPU."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"cpu, {cores} cores, {platform.machine()}"


def row(
    name: str,
    ours: float | None,
    baseline: float | None,
    ratio: float | None,
    target: float | None,
    unit: str,
    device: str = "",
) -> dict[str, Any]:
    """One row of the table, with figures rounded to four digits; None stands for a missing one."""
    rounded = [None if value is None else float(f"{value:.4g}") for value in (ours, baseline, ratio, target)]
    return dict(zip(COLUMNS, (name, *rounded, device or cpu_name(), unit), strict=True))


def merge(rows: Sequence[dict[str, Any]], file: Path = FILE) -> None:
    """Print `rows` and put them into the file."""
    kept = read(file)
    for new in rows:
        kept = [old for old in kept if (old["name"], old["device"]) != (new["name"], new["device"])] + [new]
    temporary = file.with_suffix(".tmp")
    temporary.write_text(json.dumps(kept, indent=1) + "\n")
    temporary.replace(file)
    print(table(rows))


def read(file: Path = FILE) -> list[dict[str, Any]]:
    """All rows; empty if nothing has been measured yet."""
    return json.loads(file.read_text()) if file.exists() else []


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as a table in plain text, which says whether each target is met."""
    head = ("benchmark", "ours", "baseline", "unit", "ratio", "target", "", "device")
    lines = [head]
    for entry in rows:
        ratio, target = entry["ratio"], entry["target"]
        verdict = "" if ratio is None or target is None else "met" if ratio >= target else "missed"
        figures = [_short(entry[key]) for key in ("ours", "baseline")]
        lines.append((entry["name"], *figures, entry["unit"], _short(ratio), _short(target), verdict, entry["device"]))
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _short(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


if __name__ == "__main__":
    print(table(read()) if FILE.exists() else "nothing measured yet: make bench")
