"""Where the configuration is: inside an installed package, or next to the package in a checkout."""

from __future__ import annotations

from pathlib import Path


def conf_dir() -> Path:
    """The folder of Hydra groups."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"
