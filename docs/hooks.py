"""What MkDocs is given besides the pages in this folder: the generated reference, and the committed results."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from reference_pages import REPOSITORY, pages

SHOWN = ("README.md", "*/README.md", "*/*.md", "*/*.png", "*/*.html", "*/*.csv")
"""What of results/ the site shows: the pages, and what they show and link to."""


def on_files(files: Files, *, config: Any) -> Files:
    """Add the generated reference, and results/ as the folder of that name."""
    for place, text in pages().items():
        files.append(File.generated(config, place, content=text))
    results = REPOSITORY / "results"
    for pattern in SHOWN:
        for path in sorted(results.glob(pattern)):
            place = f"results/{path.relative_to(results).as_posix()}"
            if place not in files.src_uris and _is_committed(path.parent):
                files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def _is_committed(folder: Path) -> bool:
    """Whether a folder of results/ belongs to the repository: those that say what they hold do."""
    return (folder / "README.md").is_file()


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links between docs/ and results/ as they are in the repository become links within the site."""
    inside = re.sub(r"\]\(((?:\.\./)+)results/", lambda match: f"]({match[1][3:]}results/", markdown)
    return re.sub(r"\]\(((?:\.\./)+)docs/", r"](\1", inside)
