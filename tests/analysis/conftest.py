"""Results folders for the analyses' tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from shelves import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "results")


@pytest.fixture(scope="session")
def new_shelf() -> type[Shelf]:
    """For fixtures that live longer than one test."""
    return Shelf
