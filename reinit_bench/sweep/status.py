"""The states of runs, as tables and text and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table

from reinit_bench.core.config import Execution, Experiment
from reinit_bench.core.settings import ConfigError
from reinit_bench.store.store import Store
from reinit_bench.sweep.cost import GPU, NAMES, Cost, Rates, Sharing, alone, cost_of, rounded
from reinit_bench.sweep.grouping import grouped
from reinit_bench.sweep.plan import STATES, Plan, PlannedRun, state_of
from reinit_bench.sweep.slurm.queue import active_tasks, jobs_of

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C loader is ten times as fast, if available


def plan_table(plan: Plan, title: str, rates: Rates | None = None, auto: str = GPU, sharing: Sharing = alone) -> Table:
    """Counts by state for each dataset, model and conditions, and their sums; with `rates` also the GPU- or CPU-hours.

    Args:
        auto, sharing: what runs with `device=auto` will use, and how many share a GPU (`cost.cost_of`).
    """
    noun = "run" if len(plan.runs) == 1 else "runs"
    table = Table(title=f"{title}: {len(plan.runs):,} {noun}", title_justify="left")
    names, groups = grouped(plan.runs)
    for name in names:
        table.add_column(name)
    shown = [state for state in STATES if plan.counts[state]]
    kinds = list(cost_left(plan.runs, rates, auto, sharing=sharing).hours) if rates else []
    hours = f"{NAMES[kinds[0]] if len(kinds) == 1 else 'hours'} left"
    for column in (*shown, "all", *([hours] if rates else [])):
        table.add_column(column, justify="right")
    for key, runs in groups.items():
        table.add_row(*key, *_cells(runs, shown, rates, auto, sharing))
    table.add_section()
    table.add_row("all", *[""] * (len(names) - 1), *_cells(plan.runs, shown, rates, auto, sharing))
    return table


def _cells(
    runs: Sequence[PlannedRun], shown: Sequence[str], rates: Rates | None, auto: str, sharing: Sharing
) -> list[str]:
    counts = Counter(run.state for run in runs)
    cells = [f"{counts[state]:,}" if counts[state] else "" for state in shown]
    hours = [rounded(sum(cost_left(runs, rates, auto, sharing=sharing).hours.values()))] if rates else []
    return [*cells, f"{len(runs):,}", *hours]


def cost_left(
    runs: Iterable[PlannedRun], rates: Rates, auto: str = GPU, processes: int = 1, sharing: Sharing = alone
) -> Cost:
    """The expected time of the runs that are not done, each counted from its beginning; arguments as in `cost_of`."""
    left = ((run.experiment, run.execution.device) for run in runs if run.state != "done")
    return cost_of(left, rates, auto, processes, sharing)


def plan_json(
    plan: Plan,
    rates: Rates | None = None,
    auto: str = GPU,
    processes: int | None = None,
    sharing: Sharing = alone,
) -> str:
    """The plan as JSON: counts, in all and by group, and each run with its id, title, state and error.

    With `rates` also the hours that are left; with `processes` also how long these take together.
    """
    groups = []
    names, members_of = grouped(plan.runs)
    for key, members in members_of.items():
        counts = Counter(run.state for run in members)
        states = {state: counts[state] for state in STATES}
        hours = {"hours_left": cost_left(members, rates, auto, sharing=sharing).hours} if rates else {}
        groups.append({**dict(zip(names, key, strict=True)), **states, **hours})
    whole: dict[str, Any] = {"runs": len(plan.runs), "states": plan.counts, "waiting": plan.waiting}
    if rates:
        cost = cost_left(plan.runs, rates, auto, processes or 1, sharing)
        whole |= {"hours_left": cost.hours, "runs_with_measured_step_time": cost.measured}
        whole |= {"wall_hours_left": cost.wall_hours} if processes else {}
    return json.dumps({**whole, "groups": groups, "each": [_run_json(run) for run in plan.runs]}, indent=1)


def _run_json(run: PlannedRun) -> dict[str, Any]:
    told = {"run_id": run.run_id, "title": run.experiment.title, "state": run.state}
    return {**told, "error_kind": run.error_kind, "error": cause(run)} if run.state == "failed" else told


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
    jobs = jobs_of(tasks)
    configs = {run_id: stored_config(store, run_id) for run_id in store.run_ids() if run_id not in but}
    for task in tasks:
        if not configs.keys() >= set(task.run_ids):
            for run_id, config in zip(task.run_ids, task.batch.configs(task.index), strict=True):
                if run_id not in but:
                    configs.setdefault(run_id, config)
    execution, runs = Execution(results_dir=results_dir), []
    for run_id, config in configs.items():
        try:
            experiment = Experiment.from_dict(config)
        except (ConfigError, TypeError):
            continue  # a folder that is still being created, or not a run's
        state, status = state_of(run_id, store, jobs.get(run_id, ()))
        runs.append(PlannedRun(experiment=experiment, execution=execution, state=state, status=status))
    return Plan(runs=tuple(runs))


def stored_config(store: Store, run_id: str) -> dict[str, Any]:
    """A run's configuration, from its result if it has one (JSON is read much faster than YAML)."""
    try:
        result = store.read_result(run_id)
        if result is not None:
            config: dict[str, Any] = result["config"]
            return config
        read = yaml.load((store.run(run_id).path / "config.yaml").read_bytes(), Loader=_LOADER)
        return read if isinstance(read, dict) else {}
    except (OSError, yaml.YAMLError, ConfigError):
        return {}
