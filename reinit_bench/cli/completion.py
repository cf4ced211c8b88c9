"""Completion in a shell: Hydra's own, which knows groups and fields, and the sub-commands with their options.

Hydra's script (`eval "$(reinit-bench -sc install=bash)"`) asks with `-sc query=bash` and the line in COMP_LINE.
"""

from __future__ import annotations

import os
from collections.abc import Sequence


def is_query(words: Sequence[str]) -> bool:
    """Whether a shell asks for completions."""
    return len(words) == 2 and words[0] in ("-sc", "--shell-completion") and words[1].startswith("query=")


def complete_command(line: str) -> tuple[list[str], str | None]:
    """What the sub-commands offer for a line that is being typed, and the line that is left for Hydra, if any."""
    from reinit_bench.cli.commands import option_names, summaries

    program, *typed = line.split() or [""]
    current = "" if line[-1:].isspace() else (typed.pop() if typed else "")
    if not typed:
        return [name for name in summaries() if name.startswith(current)], line
    if typed[0] not in summaries():
        return [], line
    if current.startswith("-"):
        return [option for option in option_names(typed[0]) if option.startswith(current)], None
    return [], " ".join([program, *typed[1:], current])


def answer_shell() -> bool:
    """Print what the sub-commands offer; returns whether Hydra is to answer too, for the line now in COMP_LINE."""
    offers, rest = complete_command(os.environ.get("COMP_LINE", ""))
    if offers:
        print("\n".join(offers))
    if rest is not None:
        os.environ["COMP_LINE"] = rest
    return rest is not None
