"""The comments of a YAML file: what opens it, and what is said of each field."""

from __future__ import annotations

import re

_KEY = re.compile(r"^(?P<indent>\s*)(?P<key>[A-Za-z_][\w.]*):(?P<value>.*)$")


def about(text: str) -> str:
    """The comment that opens a file, as Markdown: indented lines are commands."""
    lines: list[str] = []
    code = False
    for line in text.splitlines():
        if line.startswith("# @package"):
            continue
        if not line.startswith("#"):
            break
        said = line[1:].removeprefix(" ")
        is_code = said.startswith("  ")
        if is_code != code:
            lines += ["", "```text"] if is_code else ["```", ""]
        code = is_code
        lines.append(said.removeprefix("  ") if is_code else _escaped(said))
    return "\n".join([*lines, *(["```"] if code else [])])


def field_comments(text: str) -> dict[str, str]:
    """What is said of each field, by its dotted path: on its line, else in the lines right above it."""
    found: dict[str, str] = {}
    above: list[str] = []
    path: list[tuple[int, str]] = []
    last, seen_key = "", False  # what stands above the first key is about the whole file
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            continued = last and len(line) - len(line.lstrip()) > path[-1][0]
            if continued:  # the comment on a field's line goes on in the next line
                found[last] += " " + stripped.lstrip("# ")
            else:
                above.append(stripped.lstrip("# "))
            continue
        match = _KEY.match(line)
        if match is None:
            above, last = [], ""
            continue
        indent = len(match["indent"])
        path = [*(step for step in path if step[0] < indent), (indent, match["key"])]
        name = ".".join(key for _, key in path)
        value, mark, said = match["value"].partition(" # ")
        if mark or value.lstrip().startswith("# "):
            found[name] = said.strip() if mark else value.strip().lstrip("# ")
        elif above and seen_key:
            found[name] = " ".join(above)
        above, last, seen_key = [], name if mark else "", True
    return found


def _escaped(text: str) -> str:
    return text.replace("<", "&lt;").replace("*", "\\*")
