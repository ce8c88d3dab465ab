"""A control plane core for each test."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controlplane.store.migrations.run import migrate
from tests.unit.controlplane.services.world import World


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with nothing in it; copying it is quicker than running the migrations for each test."""
    path = tmp_path_factory.mktemp("migrated") / "skerry.db"
    migrate(path)
    return path


@pytest.fixture
async def world(tmp_path: Path, migrated: Path) -> AsyncIterator[World]:
    path = tmp_path / "skerry.db"
    shutil.copyfile(migrated, path)
    world = World(path)
    await world.start()
    yield world
    await world.stop()
