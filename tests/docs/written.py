"""What the Markdown pages of the repository say: commands, code blocks and links."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted(
    [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    + list(DOCS.rglob("*.md"))
    + list((REPOSITORY / "results").glob("*/README.md"))
)
PLACEHOLDERS = re.compile(r"\b(NAME|FIELD|VALUE|DIR|FOLDER)\b|\.\.\.|\[")

_FENCE = re.compile(r"^```(?P<kind>.*?)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`(reinit-bench[^`]*)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A fenced block of code: its language, its title and its text."""

    language: str
    title: str
    text: str


def place(path: Path) -> str:
    """A page's path in the repository, for the names of tests."""
    return path.relative_to(REPOSITORY).as_posix()


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    found = []
    for match in _FENCE.finditer(page.read_text(encoding="utf-8")):
        language, _, rest = match["kind"].strip().partition(" ")
        title = re.search(r'title="([^"]+)"', rest)
        found.append(Block(language, title[1] if title else "", match["text"]))
    return found


def titled(page: Path) -> dict[str, str]:
    """The files that a page tells its reader to write, by their paths."""
    return {block.title: block.text for block in blocks(page) if block.title}


def commands(page: Path) -> Iterator[list[str]]:
    """The words after `reinit-bench` of each command that a page shows, in blocks and within lines."""
    lines = [line for block in blocks(page) if not block.title for line in block.text.splitlines()]
    without_blocks = _FENCE.sub("", page.read_text(encoding="utf-8"))
    typed = [part for line in lines for part in line.split(";")]
    for line in [*typed, *_SPAN.findall(without_blocks)]:
        command = line.strip().removeprefix("$ ")
        if command.split(" ")[0] == "reinit-bench" and not PLACEHOLDERS.search(command.split(" #")[0].split("'")[0]):
            yield shlex.split(command, comments=True)[1:]


def refusals(page: Path) -> Iterator[tuple[list[str], str]]:
    """Commands that a page shows being refused (`$ command`, then the error), with the error."""
    for block in blocks(page):
        lines = block.text.splitlines()
        for line, following in itertools.pairwise(lines):
            if line.startswith("$ reinit-bench") and following.startswith("error: "):
                yield shlex.split(line.removeprefix("$ "))[1:], following
