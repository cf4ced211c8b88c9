"""What a host of repositories reads: workflows call what is here, and the version is one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from reinit_bench.core.version import __version__

REPOSITORY = Path(__file__).parent.parent.parent
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))


def commands(workflow: Path) -> list[str]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"]
    return [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_calls_only_targets_and_files_that_exist(workflow: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    for line in commands(workflow):
        assert set(re.findall(r"\bmake ([a-z-]+)", line)) <= targets
        assert all((REPOSITORY / path).is_file() for path in re.findall(r"\bbash (\S+)", line))


def test_the_workflows_run_all_of_ci_and_the_checklist_of_a_release() -> None:
    said = "\n".join(command for workflow in WORKFLOWS for command in commands(workflow))
    for words in ("bash .ci/run", "make demo", "make test-fast", "make docs", "make test-newest", "make release"):
        assert words in said


def test_the_version_is_one() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    archive = json.loads((REPOSITORY / ".zenodo.json").read_text())
    assert citation["version"] == archive["version"] == __version__
    assert re.search(rf"^## {re.escape(__version__)} - ", (REPOSITORY / "CHANGELOG.md").read_text(), re.MULTILINE)
