"""Ours and a baseline, measured in turns; and the table of the latest figures: `python benchmarks/paired.py`.

Each benchmark merges its rows into `benchmarks/latest.json`; a row replaces the one with the same name and device.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE = Path(__file__).with_name("latest.json")


def cpu_name() -> str:
    """The machine that figures were measured on, if not on a GPU."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"cpu, {cores} cores, {platform.machine()}"


@dataclass(frozen=True)
class Row:
    """One figure beside its baseline.

    Attributes:
        ratio: how many times better ours is.
        target: the least that the ratio should be; None: none was set.
    """

    name: str
    ours: float
    baseline: float
    ratio: float
    unit: str
    target: float | None = None
    device: str = field(default_factory=cpu_name)


def in_turns(
    name: str,
    ours: Callable[[], float],
    baseline: Callable[[], float],
    pairs: int,
    unit: str,
    *,
    target: float | None = None,
    warm_ups: int = 0,
) -> Row:
    """Measure both `pairs` times, in turns so that a drifting machine affects them alike; medians.

    Args:
        ours, baseline: measure once; return a rate, or seconds where `unit` is s.
        warm_ups: pairs that do not count, which load kernels and fill caches.
    """
    turns = [(ours(), baseline()) for _ in range(warm_ups + pairs)][warm_ups:]
    return row_of(name, turns, unit, target=target)


def row_of(name: str, turns: Iterable[tuple[float, float]], unit: str, *, target: float | None = None) -> Row:
    """The row of figures (ours, baseline) that were measured in turns: medians, and the median of the ratios."""
    turns = list(turns)
    mine, other = (statistics.median(column) for column in zip(*turns, strict=True))
    ratio = statistics.median(b / a if unit == "s" else a / b for a, b in turns)
    return Row(name, mine, other, ratio, unit, target)


def keep(rows: Sequence[Row]) -> None:
    """Print `rows` and put them into the file."""
    replaced = {(new.name, new.device) for new in rows}
    kept = [old for old in latest() if (old.name, old.device) not in replaced]
    temporary = FILE.with_suffix(".tmp")
    temporary.write_text(json.dumps([asdict(row) for row in (*kept, *rows)], indent=1) + "\n")
    temporary.replace(FILE)
    print(table(rows), flush=True)


def latest() -> list[Row]:
    """All rows; empty if nothing has been measured yet."""
    return [Row(**values) for values in json.loads(FILE.read_text())] if FILE.exists() else []


def table(rows: Sequence[Row]) -> str:
    """The rows as a table in plain text, which says whether each target is met."""
    lines = [("benchmark", "ours", "baseline", "unit", "ratio", "target", "device")]
    for row in rows:
        target = "" if row.target is None else f"{row.target:g} {'met' if row.ratio >= row.target else 'missed'}"
        lines.append(
            (row.name, _short(row.ours), _short(row.baseline), row.unit, f"{row.ratio:.2f}", target, row.device)
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join("  ".join(cells).rstrip() for cells in padded)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


if __name__ == "__main__":
    print(table(latest()) if FILE.exists() else "nothing measured yet: make bench")
