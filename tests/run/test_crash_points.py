"""Killed before any change that it makes to the disk, a run resumes to the same bits and leaves the same files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from factories import TINY, make_config


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1200)
@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
def test_a_kill_before_any_change_of_the_disk_changes_nothing(tmp_path: Path) -> None:
    configuration = tmp_path / "configuration.json"
    configuration.write_text(json.dumps(make_config(*TINY, "trainer.checkpoint_every=6", "method=lw"), default=str))
    program = Path(__file__).with_name("crash_points.py")
    done = subprocess.run([sys.executable, program, tmp_path, configuration], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    whole, *points = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(points) >= 100
    differing = [point["killed"] for point in points if point["end"] != whole["end"]]
    assert not differing
