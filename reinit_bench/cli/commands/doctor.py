"""What works here and what does not: versions, GPU, SLURM, W&B, datasets."""

from __future__ import annotations

from reinit_bench.cli.commands._words import Words, split_results_dir


def command(words: Words = None) -> None:
    """What works here and what does not: versions, GPU, SLURM, W&B, datasets."""
    from rich.console import Console

    from reinit_bench.cli.doctor import findings

    console = Console()
    for finding in findings(split_results_dir(words)[0]):
        console.print("[green]ok[/] " if finding.fine else "[yellow]--[/] ", end="")
        console.out(f"{finding.subject}: {finding.text}", highlight=False)
