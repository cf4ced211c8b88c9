"""The states of runs, reported: counts by state, failures by cause, and every run of a results folder."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from factories import tiny_experiment, write_result
from rich.console import Console
from rich.table import Table

from reinit_bench.core.config import Execution
from reinit_bench.store.files import write_json
from reinit_bench.store.store import Store
from reinit_bench.sweep.plan import Plan, PlannedRun
from reinit_bench.sweep.status import plan_json, plan_table, stored_plan, trouble

ERROR = "Traceback\n  deep\n  inside\nDiverged: nan"


def run(state: str, *overrides: str, **status: Any) -> PlannedRun:
    return PlannedRun(
        experiment=tiny_experiment(*overrides), execution=Execution(device="cpu"), state=state, status=status
    )


@pytest.fixture
def plan() -> Plan:
    return Plan(
        runs=(
            run("done", "seed=0"),
            run("missing", "seed=1"),
            run(
                "failed", "seed=2", error="Traceback\n  deep\n  inside\nDiverged: nan", error_kind="Diverged", host="h"
            ),
            run("done", "model=mobilenet", "image_size=32"),
            run("interrupted", "seed=3"),
        )
    )


def shown(table: Table) -> list[list[str]]:
    """The cells of a table as it is printed, row by row, without its title and lines."""
    out = io.StringIO()
    Console(file=out, width=120).print(table)
    rows = [line.strip("│┃┡┩ ").replace("┃", "│").split("│") for line in out.getvalue().splitlines()[1:]]
    return [[cell.strip() for cell in row] for row in rows if len(row) > 1]


def test_the_table_counts_states_by_dataset_and_model(plan: Plan) -> None:
    assert shown(plan_table(plan, "mine")) == [
        ["dataset", "model", "done", "interrupted", "failed", "missing", "all"],
        ["digits", "scnn", "1", "1", "1", "1", "4"],
        ["digits", "mobilenet", "1", "", "", "", "1"],
        ["all", "", "2", "1", "1", "1", "5"],
    ]
    assert plan_table(plan, "mine").title == "mine: 5 runs"


def test_failures_are_told_by_cause_with_the_end_of_their_error(plan: Plan) -> None:
    failed, interrupted = plan.runs[2].run_id, plan.runs[4].run_id
    told = [
        "1 failed: Diverged",
        f"failed: digits scnn lw seed 2 (run {failed}): Diverged: nan",
        "    deep",
        "    inside",
        "  on h",
        f"interrupted: digits scnn lw seed 3 (run {interrupted})",
    ]
    assert trouble(plan) == told
    assert trouble(plan, most=1) == [*told[:-1], "and 1 more"]


def test_json_has_each_group_and_each_run(plan: Plan) -> None:
    told = json.loads(plan_json(plan))
    assert (told["runs"], told["states"]["done"], told["states"]["failed"]) == (5, 2, 1)
    assert [(group["model"], group["done"], group["missing"]) for group in told["groups"]] == [
        ("scnn", 1, 1),
        ("mobilenet", 1, 0),
    ]
    assert told["each"][1] == {"run_id": plan.runs[1].run_id, "title": "digits scnn lw seed 1", "state": "missing"}
    assert (told["each"][2]["error_kind"], told["each"][2]["error"]) == ("Diverged", "Diverged: nan")
    assert "hours_left" not in told


def test_every_run_of_a_folder_is_found_but_those_left_out(tmp_path: Path) -> None:
    done, begun, broken = (tiny_experiment(f"seed={seed}") for seed in range(3))
    write_result(tmp_path, done)
    for experiment in (begun, broken):
        folder = Store(tmp_path).run(experiment.run_id)
        folder.create()
        folder.write_config(experiment)
        write_json(folder.path / "status.json", {"state": "interrupted"})
    (Store(tmp_path).run(broken.run_id).path / "config.yaml").write_text("seed: [")
    (tmp_path / "runs" / "not-a-run").mkdir()
    found = {run.run_id: run.state for run in stored_plan(tmp_path).runs}
    assert found == {done.run_id: "done", begun.run_id: "interrupted"}
    assert [run.run_id for run in stored_plan(tmp_path, but={done.run_id}).runs] == [begun.run_id]
