"""`reinit-bench tables` and `figures` with `--from paper`: what is written, and where."""

from pathlib import Path

import pytest

from reinit_bench.cli.main import main


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_the_paper_says_is_kept_apart_from_what_runs_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tables", "gains", "--from", "paper", f"results_dir={tmp_path}"]) == 0
    assert "50,000–60,000" in capsys.readouterr().out
    assert main(["tables", "gains", f"results_dir={tmp_path}"]) == 0
    assert "50,000–60,000" not in capsys.readouterr().out
    assert names(tmp_path) == ["paper_conclusions", "tables"]
    assert names(tmp_path / "paper_conclusions") == ["gains.csv", "gains.md", "gains.tex"]


@pytest.mark.slow
def test_figures_from_the_paper(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figures", "--from", "paper", f"results_dir={tmp_path}"]) == 0
    expected = [f"{name}.{ending}" for name in ("figure3", "gains", "ranks") for ending in ("pdf", "png")]
    assert names(tmp_path / "paper_conclusions") == expected
    assert len(capsys.readouterr().out.splitlines()) == 6
