"""Commands: order, supersession, cancellation, and effects once through crashes at every step."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from skerry.agent.v1 import command_pb2
from skerry.wire.inbox import CommandInbox

from agent.link import Progress
from agent.link.commands import CommandRunner
from agent.link.errors import JournalError
from agent.link.journal import Journal
from agent.link.order import supersedes, waits_for

Result = command_pb2.CommandResult


def deploy(seq: int, app: str = "web", environment: str = "env") -> command_pb2.Command:
    made = command_pb2.Command(seq=seq, command_id=f"c{seq}")
    made.deploy_app.app_uid = app
    made.deploy_app.environment.uid = environment
    made.deploy_app.revision = seq
    return made


def delete_app(seq: int, app: str = "web", environment: str = "env") -> command_pb2.Command:
    made = command_pb2.Command(seq=seq, command_id=f"c{seq}")
    made.delete_app.app_uid = app
    made.delete_app.environment.uid = environment
    return made


def delete_environment(seq: int, environment: str = "env") -> command_pb2.Command:
    made = command_pb2.Command(seq=seq, command_id=f"c{seq}")
    made.delete_environment.environment.uid = environment
    return made


def ensure_environment(seq: int, environment: str = "env") -> command_pb2.Command:
    made = command_pb2.Command(seq=seq, command_id=f"c{seq}")
    made.ensure_environment.environment.uid = environment
    return made


@dataclass
class Box:
    """An `Outbox` that keeps what it is told, and tells who waits."""

    acks: list[int] = field(default_factory=list)
    progresses: list[command_pb2.CommandProgress] = field(default_factory=list)
    results: dict[int, Result] = field(default_factory=dict)
    failures: list[JournalError] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def acknowledge(self, seq: int) -> None:
        self.acks.append(seq)
        self.changed.set()

    def progress(self, progress: command_pb2.CommandProgress) -> None:
        self.progresses.append(progress)
        self.changed.set()

    def result(self, result: Result) -> None:
        self.results[result.seq] = result
        self.changed.set()

    def fail(self, error: JournalError) -> None:
        self.failures.append(error)
        self.changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


class Worker:
    """A command handler whose work ends when the test says so."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self.running: list[int] = []
        self.begun: list[int] = []
        self.gates: dict[int, asyncio.Event] = {}

    async def __call__(self, command: command_pb2.Command, progress: Progress) -> Result:
        self.begun.append(command.seq)
        self.running.append(command.seq)
        self._box.changed.set()
        try:
            await self.gate(command.seq).wait()
        finally:
            self.running.remove(command.seq)
        return Result(message="done")

    def gate(self, seq: int) -> asyncio.Event:
        return self.gates.setdefault(seq, asyncio.Event())


@dataclass
class Bench:
    """A runner with its journal, outbox and worker."""

    runner: CommandRunner
    journal: Journal
    box: Box
    worker: Worker
    task: asyncio.Task[None]

    async def idle(self) -> None:
        """Until all that was put in has been taken in."""
        self.runner.attach(self.box)
        said = len(self.box.acks)
        await self.box.until(lambda: len(self.box.acks) > said)


KINDS = ("deploy_app", "delete_app", "ensure_environment", "delete_environment", "retry_add_on")


async def start(path: Path, journal: Any = None) -> Bench:
    journal = journal or Journal(path, cluster_uid="a")
    box = Box()
    worker = Worker(box)
    runner = CommandRunner(journal=journal, handlers=dict.fromkeys(KINDS, worker))
    await runner.open()
    runner.attach(box)
    return Bench(runner, journal, box, worker, asyncio.ensure_future(runner.run()))


async def stop(bench: Bench) -> None:
    bench.task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await bench.task


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = await start(tmp_path / "journal.db")
    yield made
    await stop(made)
    made.journal.close()


async def test_a_command_is_journalled_acknowledged_done_and_reported(bench: Bench) -> None:
    bench.runner.received(deploy(1))
    await bench.box.until(lambda: 1 in bench.worker.running)
    assert bench.box.acks[-1] == 1
    assert bench.journal.last_seq() == 1
    bench.worker.gate(1).set()
    await bench.box.until(lambda: 1 in bench.box.results)
    result = bench.box.results[1]
    assert (result.seq, result.command_id, result.code, result.message) == (1, "c1", 0, "done")
    assert [item.seq for item in bench.journal.results()] == [1]
    bench.runner.acknowledged(1)
    await bench.idle()
    assert bench.journal.results() == []


async def test_a_command_sent_again_is_not_done_again(bench: Bench) -> None:
    bench.worker.gate(1).set()
    bench.runner.received(deploy(1))
    await bench.box.until(lambda: 1 in bench.box.results)
    bench.runner.received(deploy(1))
    await bench.idle()
    assert bench.worker.begun == [1]


async def test_different_apps_go_beside_each_other(bench: Bench) -> None:
    for seq, app in enumerate("abc", start=1):
        bench.runner.received(deploy(seq, app))
    await bench.box.until(lambda: sorted(bench.worker.running) == [1, 2, 3])


async def test_commands_of_one_app_go_one_after_the_other(bench: Bench) -> None:
    bench.runner.received(delete_app(1))
    bench.runner.received(deploy(2))
    await bench.box.until(lambda: bench.worker.running == [1])
    await bench.idle()
    assert bench.worker.running == [1]
    bench.worker.gate(1).set()
    await bench.box.until(lambda: bench.worker.running == [2])


@pytest.mark.parametrize("newer", [deploy(2), delete_app(2), delete_environment(2)])
async def test_what_decides_anew_supersedes_a_running_deploy(
    bench: Bench, newer: command_pb2.Command
) -> None:
    bench.runner.received(deploy(1))
    await bench.box.until(lambda: bench.worker.running == [1])
    bench.runner.received(newer)
    await bench.box.until(lambda: bench.worker.running == [2])
    assert bench.box.results[1].reason == "SUPERSEDED"
    assert bench.box.results[1].code == 10


async def test_a_waiting_deploy_is_superseded_without_beginning(bench: Bench) -> None:
    bench.runner.received(delete_app(1))
    bench.runner.received(deploy(2))
    bench.runner.received(deploy(3))
    await bench.box.until(lambda: 2 in bench.box.results)
    assert bench.box.results[2].reason == "SUPERSEDED"
    assert bench.worker.begun == [1]


async def test_deleting_an_environment_waits_for_nothing_of_another(bench: Bench) -> None:
    bench.runner.received(delete_app(1, "web", "one"))
    bench.runner.received(delete_environment(2, "two"))
    bench.runner.received(delete_environment(3, "one"))
    bench.runner.received(deploy(4, "shop", "one"))
    await bench.box.until(lambda: sorted(bench.worker.running) == [1, 2])
    await bench.idle()
    assert sorted(bench.worker.running) == [1, 2]


async def test_an_environment_is_made_before_what_goes_into_it(bench: Bench) -> None:
    bench.runner.received(ensure_environment(1))
    bench.runner.received(deploy(2))
    await bench.idle()
    await bench.box.until(lambda: bench.worker.running == [1])
    bench.worker.gate(1).set()
    await bench.box.until(lambda: bench.worker.running == [2])
    bench.runner.received(ensure_environment(3))
    await bench.box.until(lambda: bench.worker.running == [2, 3])


async def test_cancel_stops_a_running_command(bench: Bench) -> None:
    bench.runner.received(deploy(1))
    await bench.box.until(lambda: bench.worker.running == [1])
    bench.runner.cancel(1)
    await bench.box.until(lambda: 1 in bench.box.results)
    assert (bench.box.results[1].code, bench.box.results[1].reason) == (1, "CANCELLED")


async def test_cancel_at_once_stops_a_command_that_has_hardly_begun(bench: Bench) -> None:
    bench.runner.received(deploy(1))
    bench.runner.cancel(1)
    await bench.box.until(lambda: 1 in bench.box.results)
    assert bench.box.results[1].reason == "CANCELLED"


async def test_cancel_of_a_waiting_command_does_not_wait(bench: Bench) -> None:
    bench.runner.received(delete_app(1))
    bench.runner.received(delete_app(2))
    await bench.box.until(lambda: bench.worker.running == [1])
    bench.runner.cancel(2)
    await bench.box.until(lambda: 2 in bench.box.results)
    assert bench.worker.begun == [1]


async def test_cancel_of_nothing_does_no_harm(bench: Bench) -> None:
    bench.runner.cancel(99)
    bench.runner.received(deploy(1))
    await bench.box.until(lambda: bench.worker.running == [1])


async def test_a_handlers_defect_is_a_result_without_details(tmp_path: Path) -> None:
    async def broken(command: command_pb2.Command, progress: Progress) -> Result:
        raise ZeroDivisionError("the secret is 42")

    box = Box()
    journal = Journal(tmp_path / "journal.db", cluster_uid="a")
    runner = CommandRunner(journal=journal, handlers={"deploy_app": broken})
    await runner.open()
    runner.attach(box)
    task = asyncio.ensure_future(runner.run())
    runner.received(deploy(1))
    await box.until(lambda: 1 in box.results)
    assert (box.results[1].code, box.results[1].reason) == (13, "INTERNAL")
    assert "42" not in box.results[1].message
    task.cancel()
    await asyncio.wait({task})
    journal.close()


async def test_a_command_of_an_unknown_kind_says_so(bench: Bench) -> None:
    bench.runner.received(command_pb2.Command(seq=1, command_id="c1"))
    await bench.box.until(lambda: 1 in bench.box.results)
    assert bench.box.results[1].code == 12


async def test_a_deadline_that_has_passed_is_kept(bench: Bench) -> None:
    late = deploy(1)
    late.deadline.FromDatetime(datetime(2020, 1, 1, tzinfo=UTC))
    bench.runner.received(late)
    await bench.box.until(lambda: 1 in bench.box.results)
    assert bench.box.results[1].code == 4
    assert bench.worker.begun == []


async def test_work_that_hangs_is_stopped_and_what_waited_for_it_goes_on(tmp_path: Path) -> None:
    box = Box()
    worker = Worker(box)
    journal = Journal(tmp_path / "journal.db", cluster_uid="a")
    runner = CommandRunner(
        journal=journal,
        handlers=dict.fromkeys(KINDS, worker),
        inbox=CommandInbox(waits_for=waits_for, supersedes=supersedes, longest_work_seconds=0.05),
    )
    await runner.open()
    runner.attach(box)
    task = asyncio.ensure_future(runner.run())
    worker.gate(2).set()
    runner.received(ensure_environment(1))
    runner.received(deploy(2))
    await box.until(lambda: 2 in box.results)
    assert (box.results[1].code, box.results[1].reason) == (4, "DEADLINE_EXCEEDED")
    assert box.results[2].code == 0
    task.cancel()
    await asyncio.wait({task})
    journal.close()


async def test_a_new_connection_hears_everything_again(bench: Bench) -> None:
    bench.worker.gate(1).set()
    bench.runner.received(deploy(1, "a"))
    bench.runner.received(deploy(2, "b"))
    await bench.box.until(lambda: 1 in bench.box.results and 2 in bench.worker.running)
    bench.runner.detach(bench.box)
    again = Box()
    bench.runner.attach(again)
    await again.until(lambda: 1 in again.results)
    assert again.acks == [2]


async def test_a_disk_that_is_full_refuses_the_command_and_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(commands: object) -> None:
        raise JournalError("disk full")

    monkeypatch.setattr(bench.journal, "append", full)
    bench.runner.received(deploy(1))
    await bench.box.until(lambda: bool(bench.box.failures))
    assert bench.worker.begun == []
    assert 1 not in bench.box.acks


async def test_a_result_that_cannot_be_written_is_said_on_every_connection(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(result: object) -> None:
        raise JournalError("disk full")

    monkeypatch.setattr(bench.journal, "finish", full)
    bench.worker.gate(1).set()
    bench.runner.received(deploy(1))
    await bench.box.until(lambda: 1 in bench.box.results)
    again = Box()
    bench.runner.attach(again)
    await again.until(lambda: 1 in again.results)


async def test_a_command_that_kills_the_agent_again_and_again_is_given_up(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db", cluster_uid="a")
    journal.append([deploy(1)])
    for _ in range(5):
        journal.begin(1)
    journal.close()
    bench = await start(tmp_path / "journal.db")
    await bench.box.until(lambda: 1 in bench.box.results)
    assert "5 times" in bench.box.results[1].message
    assert bench.worker.begun == []
    await stop(bench)
    bench.journal.close()


# Crashes


class Crash(BaseException):
    """The process dies."""


class Mortal:
    """A journal in a process that dies before or after its n-th step (double of a kill)."""

    STEPS = ("append", "begin", "finish", "forget", "unfinished", "results", "last_seq", "pause")

    def __init__(self, journal: Journal, dies_at: int, *, after: bool) -> None:
        self._journal = journal
        self._left = dies_at
        self._after = after
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        step = getattr(self._journal, name)
        if name not in self.STEPS:
            return step

        def call(*args: Any) -> Any:
            if self.dead:
                raise Crash
            self._left -= 1
            if self._left >= 0:
                return step(*args)
            self.dead = True
            if self._after:
                step(*args)
            raise Crash

        return call


class Server:
    """The control plane's outbox: sends what is not acknowledged, records each outcome once."""

    def __init__(self, count: int) -> None:
        self.commands = [deploy(seq, app=f"app-{seq}") for seq in range(1, count + 1)]
        self.outcomes: Counter[int] = Counter()

    def connect(self, bench: Bench) -> None:
        for command in self.commands:
            if command.seq > bench.runner.last_seq and command.seq not in self.outcomes:
                bench.runner.received(command)

    def hear(self, bench: Bench) -> None:
        """Record each outcome once and acknowledge what was said, as often as it was said."""
        while bench.box.results:
            seq, _ = bench.box.results.popitem()
            if seq not in self.outcomes:
                self.outcomes[seq] += 1
            bench.runner.acknowledged(seq)


class Cluster:
    """What the handlers change: doing a command twice is doing it once."""

    def __init__(self) -> None:
        self.effects: set[str] = set()
        self.runs: Counter[str] = Counter()

    async def handle(self, command: command_pb2.Command, progress: Progress) -> Result:
        self.runs[command.command_id] += 1
        await asyncio.sleep(0)
        self.effects.add(command.command_id)
        await asyncio.sleep(0)
        return Result()


async def live(path: Path, server: Server, cluster: Cluster, *, dies_at: int, after: bool) -> bool:
    """One life of an agent process. False when it died."""
    journal = Journal(path, cluster_uid="a")
    mortal = Mortal(journal, dies_at, after=after)
    box = Box()
    runner = CommandRunner(
        journal=mortal,  # type: ignore[arg-type]
        handlers={"deploy_app": cluster.handle},
    )
    task: asyncio.Task[None] | None = None
    try:
        await runner.open()
        runner.attach(box)
        task = asyncio.ensure_future(runner.run())
        bench = Bench(runner, journal, box, Worker(box), task)
        server.connect(bench)
        async with asyncio.timeout(20):
            while not mortal.dead and not (
                len(server.outcomes) == len(server.commands)
                and await asyncio.to_thread(quiet, journal)
            ):
                server.hear(bench)
                await asyncio.sleep(0)
    except Crash:
        pass
    finally:
        mortal.dead = True
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.gather(*runner._tasks.values(), return_exceptions=True)
        survived = len(server.outcomes) == len(server.commands) and quiet(journal)
        journal.close()
    return survived


def quiet(journal: Journal) -> bool:
    return not journal.results() and not journal.unfinished()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dies_at", range(16))
async def test_effects_once_through_a_crash_at_every_step(
    tmp_path: Path, dies_at: int, after: bool
) -> None:
    server, cluster = Server(3), Cluster()
    path = tmp_path / "journal.db"
    await live(path, server, cluster, dies_at=dies_at, after=after)
    assert await live(path, server, cluster, dies_at=10_000, after=False)
    assert server.outcomes == {1: 1, 2: 1, 3: 1}
    assert cluster.effects == {"c1", "c2", "c3"}
    assert max(cluster.runs.values()) <= 2, "once a life"


@pytest.mark.parametrize("seed", range(40))
async def test_effects_once_through_many_crashes(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    server, cluster = Server(8), Cluster()
    path = tmp_path / "journal.db"
    for _ in range(4):
        await live(path, server, cluster, dies_at=rng.randrange(30), after=rng.random() < 0.5)
    assert await live(path, server, cluster, dies_at=10_000, after=False)
    assert set(server.outcomes) == set(range(1, 9))
    assert set(server.outcomes.values()) == {1}
    assert cluster.effects == {f"c{seq}" for seq in range(1, 9)}
