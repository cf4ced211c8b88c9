"""The datasets: what each is, whether it is prepared here, and what to type."""

from __future__ import annotations

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_LEGEND = """\
original: yes, a copy must have the original's content; unknown, a result records its content; no, it is a part or a
resized copy. Photos are kept at 224x224 pixels.
digits and synthetic need no preparing. Your own images: dataset=image_folder dataset.path=FOLDER.
Any other of TensorFlow Datasets: dataset=tfds dataset.builder=NAME."""


def command(json: AsJson = False) -> None:
    """Show each dataset that is prepared once: images, classes, size, whether it is here, and the command."""
    from reinit_bench.data.preparing.overview import as_json, rows

    found = list(rows())
    if json:
        from json import dumps

        print(dumps(as_json(found), indent=2))
        return
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from reinit_bench.data.locations import data_dir

    table = Table(title=f"Datasets in {data_dir()}", box=SIMPLE)
    for heading in ("dataset", "train", "test", "classes", "pixels", "prepared", "original"):
        table.add_column(heading, justify="right" if heading in ("train", "test", "classes") else "left", no_wrap=True)
    for row in found:
        counts = (f"{number:,}" for number in (row.train, row.test, row.classes))
        table.add_row(row.dataset, *counts, row.pixels, row.prepared, row.original)
    console = Console(markup=False, emoji=False)
    console.print(table)
    for row in found:
        told = f" ({row.in_the_way})" if row.in_the_way else ""
        console.out(f"{row.command}{told}", highlight=False)
    console.out(_LEGEND, highlight=False)
