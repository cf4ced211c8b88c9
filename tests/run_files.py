"""What a run left in its folder, without what may differ between two runs of the same experiment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VARYING = {"wall_seconds", "seconds", "attempts", "files", "sha256"}
"""Durations, attempts, and hashes of what holds durations."""


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The rows of a file with one JSON object a line."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def without_times(value: Any) -> Any:
    """A result, a row, or a list of them, without durations and the number of attempts."""
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in VARYING}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def run_files(results_dir: Path, run_id: str) -> dict[str, Any]:
    """The result, rounds and history of a finished run."""
    folder = results_dir / "runs" / run_id
    result = json.loads((folder / "result.json").read_text())
    rows = {name: read_jsonl(folder / f"{name}.jsonl") for name in ("rounds", "history")}
    return {"result": without_times(result), **without_times(rows)}
