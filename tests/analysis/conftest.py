"""Results folders for the analyses' tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_store import FakeStore


@pytest.fixture
def fake_store(tmp_path: Path) -> FakeStore:
    return FakeStore(tmp_path / "results")


@pytest.fixture(scope="session")
def new_fake_store() -> type[FakeStore]:
    """For fixtures that live longer than one test."""
    return FakeStore
