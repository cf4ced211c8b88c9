"""`reinit-bench prepare`: download datasets, cache them, and check the caches. Imports neither torch nor TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from rich.console import Console

from reinit_bench.core.conf_dir import option_section, options
from reinit_bench.core.errors import choose_from
from reinit_bench.core.settings import ConfigError, instantiate
from reinit_bench.data.cache import disk_bytes
from reinit_bench.data.preparing.environment import prepare_all
from reinit_bench.data.tfds_source import NotPrepared, Tfds, TfdsByName

PINNED, BY_NAME = (f"{kind.__module__}.{kind.__qualname__}" for kind in (Tfds, TfdsByName))


def command(
    arguments: Sequence[str], *, files: str | None = None, check: bool = False, console: Console | None = None
) -> int:
    """The sub-command: `dataset=cifar10`, `dataset=cifar10,cassava`, `dataset=all`, and overrides of their fields
    such as `dataset.corruption=fog`. A failure of one dataset does not stop the others.

    Args:
        files: a folder or an archive with the dataset's files.
        check: only verify the hashes of what is there.

    Returns:
        The exit code: 0 when every named dataset is ready; each failure is printed.

    Raises:
        ConfigError: an argument is none of these, or names no dataset.
    """
    names: list[str] = []
    overrides: dict[str, Any] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key == "dataset" and equals:
            names += value.split(",")
        elif key.startswith("dataset.") and equals:
            overrides[key.removeprefix("dataset.")] = yaml.safe_load(value)
        else:
            raise ConfigError(
                f"prepare accepts dataset=NAME[,NAME...], dataset=all and dataset.FIELD=VALUE; got {argument!r}"
            )
    if not names:
        raise ConfigError(f"which dataset? dataset=all, or dataset= one of {', '.join(preparable())}")
    if files is not None:
        if len(names) > 1 or names == ["all"]:
            raise ConfigError(f"--from names the files of one dataset; got dataset={','.join(names)}")
        overrides["files"] = files
    chosen = preparable() if names == ["all"] else list(dict.fromkeys(names))
    sources = {name: source(name, overrides) for name in chosen}
    return _prepare(sources, check, console or Console(stderr=True))


def _prepare(sources: Mapping[str, Tfds | None], check: bool, console: Console) -> int:
    jobs = {} if check else {job.title: job for each in sources.values() if each for job in each.distinct_jobs}
    outcomes = prepare_all(list(jobs.values()), console)
    failed = 0
    for name, dataset in sources.items():
        if dataset is None:
            console.out(f"{name}: nothing to prepare")
            continue
        told = _problem(dataset, outcomes, hashes=check)
        failed += told is not None
        label = dataset.builder if dataset.option else name
        console.out(f"{label}: {told or _ready(dataset)}", highlight=False)
    return 1 if failed else 0


def _problem(dataset: Tfds, outcomes: Mapping[str, str | None], *, hashes: bool) -> str | None:
    """What keeps a dataset from being ready."""
    for job in dataset.distinct_jobs:
        if error := outcomes.get(job.title):
            return error
    try:
        dataset.check(hashes=hashes)
    except ConfigError as error:
        return str(error)
    return None


def _ready(dataset: Tfds) -> str:
    size = sum(disk_bytes(job.cache.path) for job in dataset.distinct_jobs)
    told = f"; {dataset.description}" if dataset.description else ""
    return f"ready in {dataset.jobs['test'].root} ({size / 1e6:,.0f} MB){told}"


def readiness(name: str) -> str:
    """`ready`, `missing` or `corrupt`, judged by the manifest and the files' sizes; quick."""
    try:
        dataset = source(name)
        if dataset is not None and not dataset.option:
            dataset.check(hashes=False)
    except NotPrepared as error:
        return error.state
    except ConfigError:
        return "corrupt"
    return "ready"


def preparable() -> list[str]:
    """The options of conf/dataset that this command prepares without being told a builder or files, sorted."""
    sections = {name: section(name) for name in options("dataset")}
    return [name for name, each in sections.items() if each.get("_target_") == PINNED and not each.get("reduced")]


def section(name: str) -> dict[str, Any]:
    """The section `dataset` that conf/dataset/<name>.yaml describes.

    Raises:
        ConfigError: there is no such option.
    """
    found = option_section("dataset", name)
    if found is None:
        raise ConfigError(f"there is no dataset {name!r}; {choose_from(name, options('dataset'))}")
    return found


def source(name: str, overrides: Mapping[str, Any] | None = None) -> Tfds | None:
    """The dataset of an option with fields replaced; None for one that needs no preparing.

    Raises:
        ConfigError: there is no such option or field.
    """
    described = section(name)
    if described.get("_target_") not in (PINNED, BY_NAME):
        return None
    pointless = sorted(set(overrides or ()) - described.keys())
    if pointless and described["_target_"] == BY_NAME:  # whose file has all that it heeds
        raise ConfigError(f"dataset {name} has no field {pointless[0]!r}")
    # What a run takes from elsewhere, such as the content of what is prepared, does not matter for preparing it.
    own = {key: value for key, value in described.items() if not str(value).startswith("${")}
    found: Tfds = instantiate({**own, **(overrides or {}), "name": name}, "dataset")
    return found


def preparing(section: Mapping[str, Any]) -> str | None:
    """The command that a run with this section `dataset` still needs; None if its data are ready, or are not TFDS's."""
    if section.get("_target_") not in (PINNED, BY_NAME):
        return None
    try:
        instantiate(section, "dataset").check(hashes=False)
    except NotPrepared as error:
        return error.command(section["name"])
    except ConfigError:
        return None
    return None
