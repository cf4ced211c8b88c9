"""The states of runs, as tables and text and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Mapping, Sequence
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

CONDITIONS: Mapping[str, Any] = {
    "dataset.builder": None,
    "dataset.label_noise": 0.0,
    "dataset.clean_validation": False,
    "dataset.imbalance": 1.0,
    "dataset.growth": None,
    "model.arch": None,
    "model.norm": "group",
    "augmentation": "none",
    "dropout": "none",
    "initializer": "he_normal",
    "trainer.optimizer": "sgd",
    "trainer.schedule": "plateau",
}
"""What makes a condition, as typed, with the usual value, which is not shown."""

MOST_GROUPS = 60
"""With more groups than this, conditions are left out: a table must be read at a glance."""

Groups = dict[tuple[str, ...], list[PlannedRun]]


def plan_table(plan: Plan, title: str, estimate: Estimate | None = None) -> Table:
    """Counts by state for each dataset, model and conditions, and their sums; with `estimate` the hours left too."""
    noun = "run" if len(plan.runs) == 1 else "runs"
    table = Table(title=f"{title}: {len(plan.runs):,} {noun}", title_justify="left")
    names, groups = grouped(plan.runs)
    for name in names:
        table.add_column(name)
    shown = [state for state in STATES if plan.counts[state]]
    for column in (*shown, "all"):
        table.add_column(column, justify="right")
    if estimate:
        kinds = list(estimate.cost(plan.runs).hours)
        table.add_column(f"{NAMES[kinds[0]] if len(kinds) == 1 else 'hours'} left", justify="right")

    def add(key: Sequence[str], runs: Sequence[PlannedRun]) -> None:
        counts = Counter(run.state for run in runs)
        cells = [f"{counts[state]:,}" if counts[state] else "" for state in shown]
        hours = [short(sum(estimate.cost(runs).hours.values()))] if estimate else []
        table.add_row(
            *map(Text, key),
            *cells,  # names are text, never markup
            f"{len(runs):,}",
            *hours,
        )

    for key, runs in groups.items():
        add(key, runs)
    table.add_section()
    add(["all", *[""] * (len(names) - 1)], plan.runs)
    return table


def plan_json(plan: Plan, estimate: Estimate | None = None) -> str:
    """The plan as JSON: counts, in all and by group, and each run with its id, title, state and error.

    With `estimate` also the hours that are left and, on this machine, how long these take together.
    """
    groups = []
    names, members_of = grouped(plan.runs)
    for key, members in members_of.items():
        counts = Counter(run.state for run in members)
        hours = {"hours_left": estimate.cost(members).hours} if estimate else {}
        groups.append({**dict(zip(names, key, strict=True)), **{state: counts[state] for state in STATES}, **hours})
    whole: dict[str, Any] = {"runs": len(plan.runs), "states": plan.counts, "waiting": plan.waiting}
    if estimate:
        cost = estimate.cost(plan.runs)
        whole |= {"hours_left": cost.hours, "runs_with_measured_step_time": cost.measured}
        whole |= {"wall_hours_left": cost.wall_hours} if estimate.processes else {}
    return json.dumps({**whole, "groups": groups, "each": [_run_json(run) for run in plan.runs]}, indent=1)


def grouped(runs: Sequence[PlannedRun]) -> tuple[tuple[str, ...], Groups]:
    """What the groups are told apart by (`dataset`, `model` and, if some vary, `conditions`), and each group's runs.

    A group's conditions are those that vary among all runs, as typed: `dataset.label_noise=0.2 trainer.optimizer=sam`.
    """
    described = [{name: _typed(_value(run.experiment, name)) for name in CONDITIONS} for run in runs]
    varying = [name for name in CONDITIONS if len({values[name] for values in described}) > 1]
    usual = {name: _typed(CONDITIONS[name]) for name in varying}
    groups: Groups = {}
    for run, values in zip(runs, described, strict=True):
        words = " ".join(f"{name}={values[name]}" for name in varying if values[name] != usual[name])
        groups.setdefault((*_dataset_and_model(run), words), []).append(run)
    if varying and len(groups) <= MOST_GROUPS:
        return ("dataset", "model", "conditions"), groups
    without: Groups = {}
    for run in runs:
        without.setdefault(_dataset_and_model(run), []).append(run)
    return ("dataset", "model"), without


def _dataset_and_model(run: PlannedRun) -> tuple[str, str]:
    return run.experiment.dataset["name"], run.experiment.model["name"]


def _value(experiment: Experiment, name: str) -> Any:
    """A condition of an experiment; of an older one that lacks the field, what its absence meant."""
    section, _, field = name.partition(".")
    part = getattr(experiment, section)
    if name == "dataset.builder" and part.get("builder") == part["name"]:
        return None  # the dataset's name says it
    if not field:
        return part["name"]
    return part.get(field, CONDITIONS[name]) if isinstance(part, Mapping) else getattr(part, field)


def _typed(value: Any) -> str:
    """A value as a user types it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(_typed, value))}]"
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


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
    reading, execution = read(store, but=but), Execution(results_dir=results_dir)
    runs = []
    for run in reading.runs:
        state, status = stored_state(store.run(run.run_id), run.result, run.status, jobs.get(run.run_id, ()))
        runs.append(PlannedRun(experiment=run.experiment, execution=execution, state=state, status=status))
    known = {run.run_id for run in reading.runs}
    for task in tasks:
        if not known >= set(task.run_ids):
            for run_id, config in zip(task.run_ids, task.batch.configs(task.index), strict=True):
                if run_id not in known and run_id not in but:
                    known.add(run_id)
                    state, status = state_of(run_id, store, jobs.get(run_id, ()))
                    experiment = Experiment.from_dict(config)
                    runs.append(PlannedRun(experiment=experiment, execution=execution, state=state, status=status))
    return Plan(runs=tuple(runs), left_out=reading.left_out)
