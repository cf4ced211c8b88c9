"""Download datasets, cache them for training, and check the caches."""

from __future__ import annotations

from typing import Annotated

import typer

Datasets = Annotated[
    list[str] | None,
    typer.Argument(metavar="dataset=NAME[,NAME...]|all", help="Which datasets; dataset.FIELD=VALUE sets their fields"),
]
Check = Annotated[bool, typer.Option("--check", help="Only verify the hashes of what is there.")]
From = Annotated[str | None, typer.Option("--from", help="The dataset's files: a folder or an archive.")]


def command(words: Datasets = None, files: From = None, check: Check = False) -> int:
    """Download datasets, cache them for training, and check the caches."""
    from reinit_bench.data.preparing import command as prepare

    return prepare.command(words or [], files=files, check=check)
