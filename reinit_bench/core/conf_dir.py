"""Where the configuration is: in the installed package, or next to it in a checkout; and in the user's folders."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CONFIG_NAME = "config"
BASE = "base"
"""The folder of files that options build on: no group, since none of them is an option."""

_GLOBAL = re.compile(r"^# *@package +_global_\b", re.MULTILINE)

_LONGEST_NAME = 255  # bytes of a file name

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
    """The file of an option, from the first folder that has it.

    A name may be a stored run's: it is never a path, and may be longer than any file's.
    """
    name = f"{option}.yaml"
    if "/" in name or len(name.encode(errors="replace")) > _LONGEST_NAME:
        return None
    places = (folder / group / name for folder in conf_dirs())
    return next((place for place in places if place.is_file()), None)


def options(group: str) -> list[str]:
    """Names of a group's options, sorted."""
    return sorted({path.stem for folder in conf_dirs() for path in (folder / group).glob("*.yaml")})


def option_section(group: str, option: str) -> dict[str, Any] | None:
    """The section that an option describes, on the base that its file names; None if there is no such option."""
    content = _content(f"{group}/{option}")
    return None if content is None else dict(on_base(content, _content).get(group) or {})


def on_base(content: Mapping[str, Any], read: Callable[[str], Mapping[str, Any] | None]) -> dict[str, Any]:
    """The content of a file laid on the files of `base/` that its defaults name first, as Hydra lays it.

    Args:
        read: the content of the file at a path such as `base/tfds`; None if there is none.
    """
    found: dict[str, Any] = {}
    rest = list(content.get("defaults") or [])
    while rest and isinstance(rest[0], str) and rest[0].startswith(f"/{BASE}/"):
        base = read(rest[0].lstrip("/"))
        if base is None:
            break  # Hydra will say so
        found = _merged(found, on_base(base, read))
        del rest[0]
    own = {key: value for key, value in content.items() if key != "defaults"}
    rest = [entry for entry in rest if entry != "_self_"] if found else rest
    return _merged(found, own) | ({"defaults": rest} if rest else {})


def _content(path: str) -> dict[str, Any] | None:
    """What a file sets in the whole configuration, whether it says so or is a section alone."""
    import yaml

    group, _, option = path.rpartition("/")
    file = option_file(group, option)
    if file is None:
        return None
    text = file.read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text) or {}
    if group == BASE or _GLOBAL.search(text) or isinstance(content.get(group), dict):
        return content
    return {"defaults": content.pop("defaults", []), group: content}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        name: _merged(below[name], above[name])
        for name in below.keys() & above.keys()
        if _are_dicts(below[name], above[name])
    }
    return {**below, **above, **both}


def _are_dicts(*values: Any) -> bool:
    return all(isinstance(value, dict) for value in values)
