"""The generated reference leaves nothing out: every group, option, field, command, study and target is there."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from reference_pages import GROUPS, click_command, options_of, pages
from written import DOCS, REPOSITORY

from reinit_bench.cli.commands import summaries
from reinit_bench.core.conf_dir import conf_dir
from reinit_bench.core.config import Execution, Experiment

CONF = conf_dir()
NO_FIELDS = ("study", "experiment", "base")
OPTIONS = [path for path in sorted(CONF.rglob("*.yaml")) if path.parent != CONF and path.parent.name not in NO_FIELDS]
ROW = re.compile(r"^\| `(?P<name>[\w.]+)` \| (?P<cells>.*) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    return pages()


def rows(page: str) -> dict[str, list[str]]:
    """The cells of each row of fields: type, default, allowed values, meaning, whether it is in the run id."""
    found = {match["name"]: [cell.strip() for cell in match["cells"].split(" | ")] for match in ROW.finditer(page)}
    return {name: cells for name, cells in found.items() if len(cells) == 5}


def test_every_group_has_a_page() -> None:
    groups = {path.parent.relative_to(CONF).as_posix() for path in OPTIONS}
    assert groups == set(GROUPS)


@pytest.mark.parametrize("path", OPTIONS, ids=lambda path: f"{path.parent.name}={path.stem}")
def test_every_option_is_there_with_every_field(path: Path, made: dict[str, str]) -> None:
    group = path.parent.relative_to(CONF).as_posix()
    page = made[f"reference/{path.parent.name}.md"]
    assert re.search(rf"^(##+ .*\b{path.stem}\b|\*\*{path.stem}\*\*)", page, re.MULTILINE)
    content = yaml.safe_load(path.read_text())
    section = content[group] if isinstance(content.get(group), dict) else content
    own = {key for key in section if not key.startswith("_") and key not in ("name", "defaults")}
    kind = next(option.kind for option in options_of(group) if option.name == path.stem)
    expected = own | {spec.name for spec in (fields(kind) if kind else ())}
    prefix = "hydra.launcher" if group == "hydra/launcher" else group
    assert {f"{prefix}.{name}" for name in expected} <= set(rows(page))


def test_fields_outside_the_groups_are_all_there(made: dict[str, str]) -> None:
    known = yaml.safe_load((CONF / "config.yaml").read_text())
    expected = {spec.name for kind in (Experiment, Execution) for spec in fields(kind)} & set(known)
    assert set(rows(made["reference/run.md"])) == expected - {"study"}
    assert expected > {"seed", "image_size", "results_dir"}


def test_every_field_has_a_type_a_default_and_a_meaning(made: dict[str, str]) -> None:
    found = {name: cells for page in made.values() for name, cells in rows(page).items()}
    assert len(found) > 80
    without = [name for name, (kind, default, _, meaning, _) in found.items() if not (kind and default and meaning)]
    assert without == []


def test_rows_say_what_the_class_says(made: dict[str, str]) -> None:
    assert rows(made["reference/method.md"])["method.fraction"] == [
        "number",
        "`0.2`",
        "> 0, ≤ 1",
        "Fraction of the parameters that is redrawn.",
        "yes",
    ]
    trainer = rows(made["reference/trainer.md"])
    assert trainer["trainer.round_weights"][2] == "`best`, `last`"
    assert trainer["trainer.checkpoint_every"][4] == "no"
    dataset = rows(made["reference/dataset.md"])
    assert dataset["dataset.path"][4] == "no"  # by its file's _outside_identity_
    assert rows(made["reference/dropout.md"])["dropout.rate"][3] == "Share of the activations that training drops."


@pytest.mark.parametrize("name", sorted(summaries()))
def test_every_command_is_there_with_its_options(name: str, made: dict[str, str]) -> None:
    page = made["reference/commands.md"]
    section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    command = click_command(name)
    assert command.help.splitlines()[0] in section
    options = [opt for parameter in command.params for opt in parameter.opts if opt.startswith("-")]
    assert [option for option in options if f"`{option}`" not in section] == []


def test_every_study_and_target_is_there(made: dict[str, str]) -> None:
    studies = {path.stem for path in (CONF / "study").glob("*.yaml")} - {"none"}
    assert set(re.findall(r"^## (\w+)$", made["reference/studies.md"], re.MULTILINE)) == studies
    targets = re.search(r"^\.PHONY: (.+)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert targets is not None
    assert set(re.findall(r"`make ([\w-]+)`", made["reference/make.md"])) == set(targets[1].split())


def test_generated_pages_are_in_the_navigation_and_not_written_by_hand(made: dict[str, str]) -> None:
    navigation = (REPOSITORY / "mkdocs.yml").read_text()
    assert [place for place in made if f"- {place}" not in navigation] == []
    assert [place for place in made if (DOCS / place).exists()] == []
