"""Where the configuration is: in the installed package, or next to it in a checkout; and in the user's folders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONFIG_NAME = "config"

_own: list[tuple[Path | None, str]] = []


def conf_dir() -> Path:
    """The package's folder of Hydra groups."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def conf_dirs() -> list[Path]:
    """All folders of groups, the user's own (`--config-dir`) before the package's."""
    return [*(folder for folder, _ in _own if folder is not None), conf_dir()]


def config_name() -> str:
    """The configuration that everything is composed from: `--config-name`, or the package's."""
    return _own[-1][1] if _own else CONFIG_NAME


def has_own_config() -> bool:
    """Whether the user has a folder or a configuration of their own, so that defaults may differ."""
    return bool(_own)


@contextmanager
def own_config(folder: Path | None, name: str | None) -> Iterator[None]:
    """Use a folder of groups and a configuration of the user's within this block; None: the package's."""
    if folder is None and name is None:
        yield
        return
    _own.append((folder, name or CONFIG_NAME))
    try:
        yield
    finally:
        _own.pop()


def option_file(group: str, option: str) -> Path | None:
    """The file of an option, from the first folder that has it."""
    places = (folder / group / f"{option}.yaml" for folder in conf_dirs())
    return next((place for place in places if place.is_file()), None)


def options(group: str) -> list[str]:
    """Names of a group's options, sorted."""
    return sorted({path.stem for folder in conf_dirs() for path in (folder / group).glob("*.yaml")})
