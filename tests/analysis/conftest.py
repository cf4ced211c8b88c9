"""Results folders for the analyses' tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_store import FakeStore, TunedStore


@pytest.fixture
def fake_store(tmp_path: Path) -> FakeStore:
    return FakeStore(tmp_path / "results")


@pytest.fixture
def tuned(fake_store: FakeStore) -> TunedStore:
    return TunedStore(fake_store)
