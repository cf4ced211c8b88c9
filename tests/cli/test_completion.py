"""Completion in a shell: sub-commands, their options, and Hydra's groups after them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reinit_bench.cli.commands import summaries
from reinit_bench.cli.help import complete_command

PROGRAM = Path(sys.executable).with_name("reinit-bench")


@pytest.mark.parametrize(
    ("line", "offers", "left_for_hydra"),
    [
        ("reinit-bench ", list(summaries()), "reinit-bench "),
        ("reinit-bench ta", ["tables"], "reinit-bench ta"),
        ("reinit-bench -m method=", [], "reinit-bench -m method="),
        ("reinit-bench plan study=", [], "reinit-bench study="),
        ("reinit-bench status trainer=quick ", [], "reinit-bench trainer=quick "),
        ("reinit-bench status --w", ["--watch"], None),
        ("reinit-bench doctor study=demo --nonsense", [], None),
        ("", list(summaries()), ""),
    ],
)
def test_what_is_offered_for_a_line(line: str, offers: list[str], left_for_hydra: str | None) -> None:
    assert complete_command(line) == (offers, left_for_hydra)


OFFERED = {
    "reinit-bench pl": "plan",
    "reinit-bench plan study=tab": "study=table1 study=table2 study=table3",
    "reinit-bench plan --j": "--json",
    "reinit-bench nonsense ": "",  # bash's own offer, files; it must not be an error
}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes() -> None:
    script = 'eval "$(reinit-bench -sc install=bash)"\n'
    for line in OFFERED:
        script += f"""
            COMP_LINE='{line}' COMP_POINT={len(line)} COMP_CWORD={line.count(" ")}
            hydra_bash_completion
            echo "${{COMPREPLY[@]}}"
        """
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""  # it would be printed into the line
    for printed, offered in zip(done.stdout.splitlines(), OFFERED.values(), strict=True):
        assert printed.startswith(offered)
