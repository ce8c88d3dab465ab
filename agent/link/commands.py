"""Carries out commands: journal, acknowledge, run in order, say how it went until it is heard.

Owned by `link` and independent of any connection: work goes on while the link is down, and what was
not heard is said again on the next one. Commands that concern the same things run one after the
other, all others beside each other.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Protocol, TypeGuard

import structlog
from skerry.agent.v1 import command_pb2

from agent.link.errors import JournalError
from agent.link.handlers import CommandHandlers
from agent.link.journal import Journal
from agent.link.order import supersedes, waits_for

log = structlog.get_logger(__name__)

_MAX_ATTEMPTS = 5
_CANCELLED, _DEADLINE_EXCEEDED, _ABORTED, _UNIMPLEMENTED, _INTERNAL = 1, 4, 10, 12, 13


class Outbox(Protocol):
    """Where what is to be said goes: the live connection. Does not wait."""

    def acknowledge(self, seq: int) -> None:
        """Every command up to `seq` is in the journal."""
        ...

    def progress(self, progress: command_pb2.CommandProgress) -> None:
        """How far a command is; replaces what was not sent yet."""
        ...

    def result(self, result: command_pb2.CommandResult) -> None:
        """How a command ended."""
        ...

    def fail(self, error: JournalError) -> None:
        """Commands cannot be taken on: end the connection, so that they are sent again later."""
        ...


class _Phase(Enum):
    WAITING = "waiting"
    WORKING = "working"
    ENDING = "ending"


@dataclass(slots=True)
class _Entry:
    """A command that has no result yet."""

    command: command_pb2.Command
    attempts: int
    task: asyncio.Task[None] | None = None
    stop: tuple[int, str, str] | None = None  # code, reason, message of the result when cancelled
    phase: _Phase = _Phase.WAITING
    begun: bool = False
    version: int = 0
    progress: command_pb2.CommandProgress | None = None

    @property
    def seq(self) -> int:
        return self.command.seq


@dataclass(frozen=True, slots=True)
class _Cancel:
    seq: int


@dataclass(frozen=True, slots=True)
class _Acknowledged:
    seq: int


@dataclass(slots=True)
class _Attached:
    outbox: Outbox


_Input = command_pb2.Command | _Cancel | _Acknowledged | _Attached


@dataclass(slots=True)
class CommandRunner:
    """Give it what the connection brings; it calls the handlers and answers through the `Outbox`."""

    journal: Journal
    handlers: CommandHandlers
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    last_seq: int = field(init=False, default=0)
    """The highest sequence number in the journal."""
    _inputs: asyncio.Queue[_Input] = field(init=False, default_factory=asyncio.Queue)
    _outbox: Outbox | None = field(init=False, default=None)
    _entries: dict[int, _Entry] = field(init=False, default_factory=dict)
    _unwritten: dict[int, command_pb2.CommandResult] = field(init=False, default_factory=dict)
    _stopping: bool = field(init=False, default=False)

    async def open(self) -> None:
        """Read the journal. Raises `JournalError`."""
        self.last_seq = await asyncio.to_thread(self.journal.last_seq)
        for unfinished in await asyncio.to_thread(self.journal.unfinished):
            self._entries[unfinished.command.seq] = _Entry(unfinished.command, unfinished.attempts)

    async def run(self) -> None:
        """Work until cancelled. Then handlers are cancelled, too; their commands run again at the next
        start. `open` comes first."""
        for entry in list(self._entries.values()):
            self._supersede(entry)
        self._start_ready()
        try:
            while True:
                items = [await self._inputs.get()]
                while not self._inputs.empty():
                    items.append(self._inputs.get_nowait())
                await self._take(items)
        finally:
            self._stopping = True
            tasks = [entry.task for entry in self._entries.values() if entry.task is not None]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    # From the connection; these do not wait

    def attach(self, outbox: Outbox) -> None:
        """A connection is up: everything not yet heard is said on it."""
        self._inputs.put_nowait(_Attached(outbox))

    def detach(self, outbox: Outbox) -> None:
        """The connection is gone."""
        if self._outbox is outbox:
            self._outbox = None

    def received(self, command: command_pb2.Command) -> None:
        """The control plane sent a command, perhaps not for the first time."""
        self._inputs.put_nowait(command)

    def cancel(self, seq: int) -> None:
        """The control plane asks to stop working on a command."""
        self._inputs.put_nowait(_Cancel(seq))

    def acknowledged(self, seq: int) -> None:
        """The control plane has the result."""
        self._inputs.put_nowait(_Acknowledged(seq))

    # One input at a time, in the order the connection brought them

    async def _take(self, items: Sequence[_Input]) -> None:
        for is_command, group in itertools.groupby(items, _is_command):
            if is_command:  # commands that came together share one write to the disk
                await self._take_commands([item for item in group if _is_command(item)])
                continue
            for item in group:
                match item:
                    case _Cancel(seq):
                        entry = self._entries.get(seq)
                        if entry is not None:
                            self._stop(entry, _CANCELLED, "CANCELLED", "cancelled on request")
                    case _Acknowledged(seq):
                        await self._forget(seq)
                    case _Attached(outbox):
                        await self._say_everything(outbox)

    async def _forget(self, seq: int) -> None:
        self._unwritten.pop(seq, None)
        try:
            await asyncio.to_thread(self.journal.forget, seq)
        except JournalError as error:  # it is said again after the next start; no harm
            log.warning("journal_write_failed", seq=seq, error=str(error))

    async def _take_commands(self, commands: list[command_pb2.Command]) -> None:
        try:
            new = await asyncio.to_thread(self.journal.append, commands)
        except JournalError as error:
            log.error("command_refused", seq=commands[0].seq, error=str(error))
            if self._outbox is not None:
                self._outbox.fail(error)
            return
        for command in new:
            log.info(
                "command_received",
                seq=command.seq,
                command_id=command.command_id,
                kind=command.WhichOneof("kind"),
            )
            self.last_seq = command.seq
            entry = self._entries[command.seq] = _Entry(command, attempts=0)
            self._supersede(entry)
        if self._outbox is not None:
            self._outbox.acknowledge(self.last_seq)
        self._start_ready()

    async def _say_everything(self, outbox: Outbox) -> None:
        self._outbox = outbox
        if self.last_seq:
            outbox.acknowledge(self.last_seq)
        try:
            results = await asyncio.to_thread(self.journal.results)
        except JournalError as error:
            log.error("journal_unreadable", error=str(error))
            outbox.fail(error)
            return
        for result in results:
            outbox.result(result)
        for result in self._unwritten.values():
            outbox.result(result)
        for entry in self._entries.values():
            if entry.progress is not None:
                outbox.progress(entry.progress)

    # Order

    def _supersede(self, newer: _Entry) -> None:
        for entry in list(self._entries.values()):
            if entry.seq < newer.seq and supersedes(newer.command, entry.command):
                self._stop(
                    entry,
                    _ABORTED,
                    "SUPERSEDED",
                    f"superseded by a newer command ({newer.command.WhichOneof('kind')})",
                )

    def _start_ready(self) -> None:
        if self._stopping:
            return
        entries = list(self._entries.values())
        for position, entry in enumerate(entries):
            if entry.task is None and (
                entry.stop is not None
                or not any(
                    waits_for(entry.command, earlier.command) for earlier in entries[:position]
                )
            ):
                entry.task = asyncio.get_running_loop().create_task(
                    self._execute(entry), name=f"command-{entry.seq}"
                )

    def _stop(self, entry: _Entry, code: int, reason: str, message: str) -> None:
        if entry.stop is not None or entry.phase is _Phase.ENDING:
            return
        entry.stop = (code, reason, message)
        if entry.phase is _Phase.WORKING and entry.task is not None:
            entry.task.cancel()
        else:
            self._start_ready()  # what waits need not wait any longer: it ends at once

    # One command

    async def _execute(self, entry: _Entry) -> None:
        entry.phase = _Phase.WORKING  # a task cancelled before this would never run a line
        try:
            result = await self._work(entry)
        except asyncio.CancelledError:
            if entry.stop is None:  # the agent stops
                await self._pause(entry)
                raise
            result = _result(*entry.stop)
        entry.phase = _Phase.ENDING
        result.seq = entry.seq
        result.command_id = entry.command.command_id
        try:
            await asyncio.shield(asyncio.to_thread(self.journal.finish, result))
        except JournalError as error:
            # Not on disk: if the agent dies now the command runs again, which is safe. Keep saying it.
            log.error("journal_write_failed", seq=entry.seq, error=str(error))
            self._unwritten[entry.seq] = result
        del self._entries[entry.seq]
        log.info("command_finished", seq=entry.seq, code=result.code, reason=result.reason)
        if self._outbox is not None:
            self._outbox.result(result)
        self._start_ready()

    async def _work(self, entry: _Entry) -> command_pb2.CommandResult:
        command = entry.command
        kind = command.WhichOneof("kind") or "unknown"
        handler = self.handlers.get(kind)
        if entry.stop is not None:
            return _result(*entry.stop)
        if handler is None:
            return _result(
                _UNIMPLEMENTED,
                "INTERNAL",
                f"this agent does not know the command {kind}; update the agent",
            )
        if command.HasField("deadline") and self.now() > command.deadline.ToDatetime(tzinfo=UTC):
            return _result(
                _DEADLINE_EXCEEDED,
                "DEADLINE_EXCEEDED",
                "the command reached the agent too late; give it again if it is still wanted",
            )
        if entry.attempts >= _MAX_ATTEMPTS:
            return _result(
                _INTERNAL,
                "INTERNAL",
                f"the agent died {entry.attempts} times while working on this and gives up; see its log",
            )
        try:
            await asyncio.to_thread(self.journal.begin, entry.seq)
            entry.begun = True
        except JournalError as error:
            log.warning("journal_write_failed", seq=entry.seq, error=str(error))
        try:
            return await handler(command, self._progress_of(entry))
        except Exception:
            log.exception("command_handler_failed", seq=entry.seq, kind=kind)
            return _result(
                _INTERNAL, "INTERNAL", f"the agent failed at {kind}; its log has the reason"
            )

    async def _pause(self, entry: _Entry) -> None:
        if not entry.begun:
            return
        try:
            await asyncio.to_thread(self.journal.pause, entry.seq)
        except JournalError as error:
            log.warning("journal_write_failed", seq=entry.seq, error=str(error))

    def _progress_of(
        self, entry: _Entry
    ) -> Callable[[str, command_pb2.DeployProgress | None], None]:
        def progress(message: str, deploy: command_pb2.DeployProgress | None) -> None:
            if entry.seq not in self._entries:
                return
            entry.version += 1
            entry.progress = command_pb2.CommandProgress(
                seq=entry.seq,
                command_id=entry.command.command_id,
                version=entry.version,
                message=message,
                deploy=deploy,
            )
            if self._outbox is not None:
                self._outbox.progress(entry.progress)

        return progress


def _is_command(item: _Input) -> TypeGuard[command_pb2.Command]:
    return isinstance(item, command_pb2.Command)


def _result(code: int, reason: str, message: str) -> command_pb2.CommandResult:
    return command_pb2.CommandResult(code=code, reason=reason, message=message)
