"""How runs stand, for people and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table

from reinit_bench.config import Experiment
from reinit_bench.settings import ConfigError
from reinit_bench.store import Store
from reinit_bench.sweep.plan import STATES, Plan, PlannedRun, state_of

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is ten times as fast, where there is one


def plan_table(plan: Plan, title: str) -> Table:
    """Counts by state for each dataset and model, and their sums."""
    table = Table(title=f"{title}: {len(plan.runs)} runs", title_justify="left")
    table.add_column("dataset")
    table.add_column("model")
    shown = [state for state in STATES if plan.counts[state]]
    for state in (*shown, "all"):
        table.add_column(state, justify="right")
    for (dataset, model), counts in _groups(plan).items():
        cells = [str(counts[state] or "") for state in shown]
        table.add_row(dataset, model, *cells, str(sum(counts.values())))
    table.add_section()
    table.add_row("all", "", *(str(plan.counts[state]) for state in shown), str(len(plan.runs)))
    return table


def plan_json(plan: Plan) -> str:
    """The plan as JSON: counts, and each run with its id, title and state."""
    runs = [{"run_id": run.run_id, "title": run.experiment.title, "state": run.state} for run in plan.runs]
    groups = [{"dataset": dataset, "model": model, **counts} for (dataset, model), counts in _groups(plan).items()]
    return json.dumps({"runs": len(plan.runs), "states": plan.counts, "groups": groups, "each": runs}, indent=1)


def trouble(plan: Plan) -> list[str]:
    """A line on each failed or interrupted run: what it is, where it lies, and why."""
    lines = []
    for run in plan.in_state("failed", "interrupted"):
        why = cause(run)
        lines.append(f"{run.state}: {run.experiment.title} (run {run.run_id}){f': {why}' if why else ''}")
    return lines


def cause(run: PlannedRun) -> str:
    """The last line of what went wrong; empty where nothing is known to have."""
    lines = str(run.status.get("error") or "").strip().splitlines()
    return lines[-1] if lines else ""


def stored_plan(results_dir: Path, but: Container[str] = ()) -> Plan:
    """Every run that the results folder holds, `but` those with these ids."""
    store = Store(results_dir)
    runs = []
    for run_id in (found for found in store.run_ids() if found not in but):
        try:
            config: dict[str, Any] = yaml.load((store.run(run_id).path / "config.yaml").read_bytes(), Loader=_LOADER)
            experiment = Experiment.from_dict(config)
        except (OSError, yaml.YAMLError, ConfigError, TypeError):
            continue  # a folder that is being made, or no run's
        state, status = state_of(run_id, store)
        runs.append(PlannedRun(experiment=experiment, config=config, state=state, status=status))
    return Plan(runs=tuple(runs))


def _groups(plan: Plan) -> dict[tuple[str, str], Counter[str]]:
    groups: dict[tuple[str, str], Counter[str]] = {}
    for run in plan.runs:
        key = (run.experiment.dataset["name"], run.experiment.model["name"])
        groups.setdefault(key, Counter())[run.state] += 1
    return groups
