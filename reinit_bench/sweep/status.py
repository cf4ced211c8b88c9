"""The states of runs, as tables and text and as JSON."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.store.reader import read
from reinit_bench.store.store import Store
from reinit_bench.sweep.cost import NAMES, Estimate, short
from reinit_bench.sweep.plan import STATES, Plan, PlannedRun, state_of, stored_state
from reinit_bench.sweep.slurm.queue import active_tasks, jobs_of

NAMED_BY = ("dataset", "model")


def plan_table(plan: Plan, title: str, estimate: Estimate | None = None) -> Table:
    """Counts by state for each dataset and model, and their sums; with `estimate` the hours left too."""
    noun = "run" if len(plan.runs) == 1 else "runs"
    table = Table(title=f"{title}: {len(plan.runs):,} {noun}", title_justify="left")
    shown = [state for state in STATES if plan.counts[state]]
    for column in NAMED_BY:
        table.add_column(column)
    for column in (*shown, "all"):
        table.add_column(column, justify="right")
    if estimate:
        kinds = list(estimate.cost(plan.runs).hours)
        table.add_column(f"{NAMES[kinds[0]] if len(kinds) == 1 else 'hours'} left", justify="right")
    for section in (grouped(plan.runs), {("all", ""): plan.runs}):
        for key, runs in section.items():
            counts = Counter(run.state for run in runs)
            cells = [*(f"{counts[state]:,}" if counts[state] else "" for state in shown), f"{len(runs):,}"]
            hours = [short(sum(estimate.cost(runs).hours.values()))] if estimate else []
            table.add_row(*map(Text, key), *cells, *hours)  # names are text, never markup
        table.add_section()
    return table


def plan_json(plan: Plan, estimate: Estimate | None = None) -> str:
    """The plan as JSON: counts, in all and by group, and each run with its id, title, state and error.

    With `estimate` also the hours that are left and, on this machine, how long these take together.
    """
    groups = []
    for key, members in grouped(plan.runs).items():
        hours = {"hours_left": estimate.cost(members).hours} if estimate else {}
        groups.append({**dict(zip(NAMED_BY, key, strict=True)), **Plan(runs=tuple(members)).counts, **hours})
    whole: dict[str, Any] = {"runs": len(plan.runs), "states": plan.counts, "waiting": plan.waiting}
    if estimate:
        cost = estimate.cost(plan.runs)
        whole |= {"hours_left": cost.hours, "runs_with_measured_step_time": cost.measured}
        whole |= {"wall_hours_left": cost.wall_hours} if estimate.processes else {}
    each = [
        {"run_id": run.run_id, "title": run.experiment.title, "state": run.state}
        | ({"error_kind": run.error_kind, "error": cause(run)} if run.state == "failed" else {})
        for run in plan.runs
    ]
    return json.dumps({**whole, "groups": groups, "each": each}, indent=1)


def grouped(runs: Iterable[PlannedRun]) -> dict[tuple[str, str], Sequence[PlannedRun]]:
    """The runs by dataset and model."""
    groups: defaultdict[tuple[str, str], list[PlannedRun]] = defaultdict(list)
    for run in runs:
        groups[run.experiment.dataset["name"], run.experiment.model["name"]].append(run)
    return {**groups}


def trouble(plan: Plan, most: int = 20, last_lines: int = 3) -> list[str]:
    """Failures by cause, and for each failed or interrupted run what it is and its error's last lines.

    Args:
        most: how many runs are shown individually.
        last_lines: how many lines of each error are shown.
    """
    failed, cut = plan.in_state("failed"), plan.in_state("interrupted")
    kinds = Counter(run.error_kind for run in failed)
    lines = [f"{count} failed: {kind}" for kind, count in kinds.most_common()]
    for run in [*failed, *cut][:most]:
        why = cause(run)
        lines.append(f"{run.state}: {run.experiment.title} (run {run.run_id}){': ' + why if why else ''}")
        where = [run.status[key] for key in ("host", "slurm_job") if run.status.get(key)]
        if run.state == "failed":
            lines += [f"  {line}" for line in _error_lines(run)[-last_lines:-1]]
            lines += [f"  on {', job '.join(where)}"] if where else []
    left_out = len(failed) + len(cut) - most
    return [*lines, f"and {left_out} more"] if left_out > 0 else lines


def cause(run: PlannedRun) -> str:
    """The last line of a run's error; empty if none is known."""
    return (_error_lines(run) or [""])[-1]


def _error_lines(run: PlannedRun) -> list[str]:
    return str(run.status.get("error") or "").strip().splitlines()


def stored_plan(results_dir: Path, but: Container[str] = ()) -> Plan:
    """Every run that is in the results folder or in a SLURM task, except those whose ids are in `but`."""
    store, tasks = Store(results_dir), active_tasks(results_dir, strict=False)
    jobs, reading = jobs_of(tasks), read(store, but=but)
    found = [
        (run.experiment, *stored_state(store.run(run.run_id), run.result, run.status, jobs.get(run.run_id, ())))
        for run in reading.runs
    ]
    known = {run.run_id for run in reading.runs}
    for task in tasks:
        new = {run_id for run_id in task.run_ids if run_id not in known and run_id not in but}
        for config in task.batch.configs(task.index) if new else ():
            experiment = Experiment.from_dict(config)
            if experiment.run_id in new - known:
                known.add(experiment.run_id)
                found.append((experiment, *state_of(experiment.run_id, store, jobs[experiment.run_id])))
    execution = Execution(results_dir=results_dir)
    runs = (PlannedRun(experiment=one, execution=execution, state=state, status=kept) for one, state, kept in found)
    return Plan(runs=tuple(runs), left_out=reading.left_out)
