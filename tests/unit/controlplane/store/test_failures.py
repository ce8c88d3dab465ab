"""A database that cannot be written: said clearly, nothing half applied, and all well again when it can."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import text

from controlplane.domain.apps import Bundle, SourceFile
from controlplane.domain.errors import StorageUnavailable
from controlplane.domain.names import ProjectName
from controlplane.domain.projects import Project
from controlplane.domain.requests import PageRequest
from controlplane.store.database import Store
from controlplane.store.migrations.run import migrate
from controlplane.store.transaction import Transaction
from tests.fakes.clock import FakeClock
from tests.unit.controlplane.services.world import PROD, WEB, World


async def add(store: Store, *names: str) -> None:
    """All of them in one transaction."""
    async with store.transaction() as tx:
        for name in names:
            await tx.projects.add(_project(tx, name))


def _project(tx: Transaction, name: str) -> Project:
    return Project(f"{name:0>26}", ProjectName("default", name), "x" * 4000, 1, tx.now, tx.now)


async def names(store: Store) -> list[str]:
    async with store.reading() as tx:
        page = await tx.projects.page("default", PageRequest(1000))
    return [item.name.project for item in page.items]


async def test_a_full_database_refuses_and_recovers(store: Store) -> None:
    await add(store, "before")
    async with store.transaction() as tx:
        connection = tx.projects._connection
        pages = await connection.scalar(text("PRAGMA page_count"))
        await connection.execute(text(f"PRAGMA max_page_count={int(pages or 0) + 8}"))
    with pytest.raises(StorageUnavailable, match="disk is full") as caught:
        await add(store, *(f"p{n}" for n in range(20)))
    assert caught.value.retry_after
    assert await names(store) == ["before"]
    await add(store, "small")
    async with store.transaction() as tx:
        await tx.projects._connection.execute(text("PRAGMA max_page_count=100000"))
    for n in range(20):
        await add(store, f"p{n}")
    assert len(await names(store)) == 22


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1.5 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    mounted = (
        mount is not None
        and not subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=1536k", "tmpfs", folder],
            capture_output=True,
            check=False,
        ).returncode
    )
    if not mounted:
        pytest.skip("mounting a tmpfs needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


async def test_a_deploy_on_a_full_disk_is_refused_whole_and_works_when_there_is_space(
    small_disk: Path,
) -> None:
    world = World(small_disk / "skerry.db")
    await world.start()
    agent, _ = await world.deployed()
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    big = Bundle(
        ("compose.yaml",),
        (SourceFile("compose.yaml", b"services: {}"), SourceFile("data", b"x" * 300_000)),
        {},
    )
    taken = agent.taken
    with pytest.raises(StorageUnavailable, match="disk"):
        await world.apps.deploy_app(PROD, "web", big)
    page = await world.deployments.list_deployments(WEB, PageRequest())
    assert len(page.items) == 1
    assert (await world.apps.get_app(WEB)).wanted_revision == 1
    filler.unlink()
    started = await world.apps.deploy_app(PROD, "web", big)
    assert started.revision == 2
    assert [command.seq for command in await agent.take()] == [taken + 2]
    await world.stop()


async def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    path = tmp_path / "skerry.db"
    path.write_bytes(b"this is not a database" * 1000)
    with pytest.raises(StorageUnavailable, match="not a database"):
        migrate(path)


async def test_a_damaged_database_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "skerry.db"
    migrate(path)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(bytes(content))
    store = Store(path, clock=FakeClock(), on_commit=lambda _: None)
    with pytest.raises(StorageUnavailable, match="damaged"):
        await store.open()
    await store.close()


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageUnavailable, match="cannot be opened"):
        migrate(tmp_path / "file" / "skerry.db")


async def test_more_callers_than_connections_wait_their_turn(store: Store) -> None:
    await add(store, "a")
    results = await asyncio.gather(*(names(store) for _ in range(40)))
    assert all(result == ["a"] for result in results)
