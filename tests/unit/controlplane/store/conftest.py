"""An opened store for each test."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from controlplane.store.database import Store
from controlplane.store.migrations.run import migrate
from tests.fakes.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def told() -> list[frozenset[str]]:
    """What the store told its listener after each commit."""
    return []


@pytest.fixture
async def store(
    tmp_path: Path, clock: FakeClock, told: list[frozenset[str]]
) -> AsyncIterator[Store]:
    path = tmp_path / "skerry.db"
    migrate(path)
    on_commit: Callable[[frozenset[str]], None] = told.append
    store = Store(path, clock=clock, on_commit=on_commit)
    await store.open()
    yield store
    await store.close()
