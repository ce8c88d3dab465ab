"""All or nothing, whoever cancels; who is told; who waits for whom."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from controlplane.domain.clusters import Cluster, ConnectionState
from controlplane.domain.errors import AlreadyExists, StorageUnavailable
from controlplane.domain.names import ClusterName, ProjectName
from controlplane.domain.projects import Project
from controlplane.domain.requests import PageRequest
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction
from tests.fakes.clock import FakeClock


def project(tx: Transaction, name: str) -> Project:
    return Project(f"{name:0>26}", ProjectName("default", name), "x" * 2000, 1, tx.now, tx.now)


def cluster(tx: Transaction, name: str) -> Cluster:
    return Cluster(
        uid=f"{name:0>26}",
        name=ClusterName(name),
        display_name=name,
        connection=ConnectionState.NEVER_JOINED,
        last_seen_time=None,
        round_trip=None,
        agent_version="",
        boot_id="",
        epoch=0,
        facts=None,
        generation=1,
        create_time=tx.now,
        update_time=tx.now,
    )


async def names(store: Store) -> list[str]:
    async with store.reading() as tx:
        page = await tx.projects.page("default", PageRequest(1000))
    return [item.name.project for item in page.items]


async def test_what_raises_leaves_nothing_behind(store: Store) -> None:
    async def add_and_fail() -> None:
        async with store.transaction() as tx:
            await tx.projects.add(project(tx, "a"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await add_and_fail()
    assert await names(store) == []


async def test_watchers_are_told_after_the_commit_and_only_then(
    store: Store, told: list[frozenset[str]]
) -> None:
    called: list[int] = []
    async with store.transaction() as tx:
        await tx.clusters.add(cluster(tx, "a"))
        tx.after_commit(lambda: called.append(1))
        assert (told, called) == ([], [])
    assert (told, called) == ([frozenset({"clusters"})], [1])

    async def add_and_fail() -> None:
        async with store.transaction() as tx:
            await tx.clusters.add(cluster(tx, "b"))
            tx.after_commit(lambda: called.append(2))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await add_and_fail()
    assert (len(told), called) == (1, [1])


async def test_a_caller_cancelled_during_the_commit_still_tells(
    store: Store, told: list[frozenset[str]]
) -> None:
    async def work() -> None:
        async with store.transaction() as tx:
            await tx.clusters.add(cluster(tx, "a"))
            task.get_loop().call_soon(task.cancel)

    task = asyncio.create_task(work())
    with pytest.raises(asyncio.CancelledError):
        await task
    async with store.reading() as tx:
        assert await tx.clusters.get(ClusterName("a")) is not None
    assert told == [frozenset({"clusters"})]


async def test_a_caller_cancelled_before_the_commit_changes_nothing(store: Store) -> None:
    inside = asyncio.Event()

    async def work() -> None:
        async with store.transaction() as tx:
            await tx.projects.add(project(tx, "a"))
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await names(store) == []
    async with store.transaction() as tx:
        await tx.projects.add(project(tx, "b"))
    assert await names(store) == ["b"]


async def test_writers_queue_and_all_get_through(store: Store) -> None:
    async def add(number: int) -> None:
        async with store.transaction() as tx:
            count = len((await tx.projects.page("default", PageRequest(1000))).items)
            await tx.projects.add(project(tx, f"p{count:03}"))
            del number

    await asyncio.gather(*(add(n) for n in range(50)))
    assert await names(store) == [f"p{n:03}" for n in range(50)]


async def test_a_reader_sees_one_state_and_stops_no_writer(store: Store) -> None:
    async with store.reading() as reading:
        assert (await reading.projects.page("default", PageRequest())).items == ()
        async with store.transaction() as tx:
            await tx.projects.add(project(tx, "a"))
        assert (await reading.projects.page("default", PageRequest())).items == ()
    assert await names(store) == ["a"]


async def test_a_reading_transaction_cannot_write(store: Store) -> None:
    with pytest.raises(StorageUnavailable):
        async with store.reading() as tx:
            await tx.projects.add(project(tx, "a"))


async def test_a_name_is_taken_once(store: Store) -> None:
    async with store.transaction() as tx:
        await tx.projects.add(project(tx, "a"))
    with pytest.raises(AlreadyExists, match="projects/a"):
        async with store.transaction() as tx:
            await tx.projects.add(project(tx, "a"))


async def test_another_process_that_writes_is_waited_for(
    store: Store, tmp_path: Path, clock: FakeClock
) -> None:
    other = Store(tmp_path / "skerry.db", clock=clock, on_commit=lambda _: None)
    await other.open()
    holding = asyncio.Event()

    async def hold() -> None:
        async with other.transaction() as tx:
            await tx.projects.add(project(tx, "a"))
            holding.set()
            await asyncio.sleep(0.2)  # real time: SQLite's own busy timeout is under test

    task = asyncio.create_task(hold())
    await holding.wait()
    async with store.transaction() as tx:
        await tx.projects.add(project(tx, "b"))
    await task
    assert await names(store) == ["a", "b"]
    await other.close()


async def test_a_locked_database_is_unavailable(
    store: Store, tmp_path: Path, clock: FakeClock
) -> None:
    other = Store(tmp_path / "skerry.db", clock=clock, on_commit=lambda _: None)
    await other.open()
    async with store.transaction() as tx:
        await tx.projects._connection.execute(text("PRAGMA busy_timeout=10"))
    async with other.transaction() as tx:
        await tx.projects.add(project(tx, "a"))
        with pytest.raises(StorageUnavailable, match="locked"):
            async with store.transaction():
                pass
    await other.close()


async def test_what_somebody_relies_on_is_flushed_to_the_disk(store: Store) -> None:
    async def level(*, durable: bool) -> object:
        async with store.transaction(durable=durable) as tx:
            return await tx.projects._connection.scalar(text("PRAGMA synchronous"))

    # 1 is NORMAL, 2 is FULL (https://www.sqlite.org/pragma.html#pragma_synchronous).
    assert [await level(durable=durable) for durable in (True, False, True)] == [2, 1, 2]


async def test_a_closed_store_is_not_opened_again_by_a_latecomer(store: Store) -> None:
    await store.close()
    with pytest.raises(StorageUnavailable, match="stopping"):
        async with store.transaction():
            pass
    with pytest.raises(StorageUnavailable, match="stopping"):
        async with store.reading():
            pass
