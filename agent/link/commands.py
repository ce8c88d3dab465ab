"""Carries out commands: journal, acknowledge, run in order, say how it went until it is heard.

Owned by `link` and independent of any connection: work goes on while the link is down, and what was
not heard is said again on the next one. What to do is decided by `skerry.wire.inbox`; this is the shell
that writes the journal, runs the handlers and keeps the time.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol, TypeGuard

import structlog
from skerry.agent.v1 import command_pb2
from skerry.wire.inbox import (
    Acknowledge,
    Action,
    CommandInbox,
    SayProgress,
    SayResult,
    Start,
    Stop,
)

from agent.link.errors import JournalError
from agent.link.handlers import CommandHandlers
from agent.link.journal import Journal
from agent.link.order import supersedes, waits_for

log = structlog.get_logger(__name__)

_INTERNAL = 13


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


@dataclass(frozen=True, slots=True)
class _Cancel:
    seq: int


@dataclass(frozen=True, slots=True)
class _Acknowledged:
    seq: int


@dataclass(slots=True)
class _Attached:
    outbox: Outbox


@dataclass(frozen=True, slots=True)
class _TooLong:
    """The time of some command is over."""


_Input = command_pb2.Command | _Cancel | _Acknowledged | _Attached | _TooLong


def _new_inbox() -> CommandInbox:
    return CommandInbox(waits_for=waits_for, supersedes=supersedes)


@dataclass(slots=True)
class CommandRunner:
    """Give it what the connection brings; it calls the handlers and answers through the `Outbox`."""

    journal: Journal
    handlers: CommandHandlers
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    inbox: CommandInbox = field(default_factory=_new_inbox)
    _inputs: asyncio.Queue[_Input] = field(init=False, default_factory=asyncio.Queue)
    _outbox: Outbox | None = field(init=False, default=None)
    _tasks: dict[int, asyncio.Task[None]] = field(init=False, default_factory=dict)
    _stopping: bool = field(init=False, default=False)

    @property
    def last_seq(self) -> int:
        """The highest sequence number in the journal."""
        return self.inbox.last_seq

    async def open(self) -> None:
        """Read the journal. Raises `JournalError`."""
        last_seq = await asyncio.to_thread(self.journal.last_seq)
        unfinished = await asyncio.to_thread(self.journal.unfinished)
        self.inbox.restore(last_seq, ((item.command, item.attempts) for item in unfinished))

    async def run(self) -> None:
        """Work until cancelled. Then handlers are cancelled, too; their commands run again at the next
        start. `open` comes first."""
        self._do(self.inbox.resume())
        try:
            while True:
                items = [await self._inputs.get()]
                while not self._inputs.empty():
                    items.append(self._inputs.get_nowait())
                await self._take(items)
        finally:
            self._stopping = True
            tasks = list(self._tasks.values())
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
                        self._do(self.inbox.cancel(seq))
                    case _Acknowledged(seq):
                        await self._forget(seq)
                    case _Attached(outbox):
                        await self._say_everything(outbox)
                    case _TooLong():
                        self._do(self.inbox.expire(asyncio.get_running_loop().time()))

    async def _forget(self, seq: int) -> None:
        self.inbox.acknowledged(seq)
        try:
            await asyncio.to_thread(self.journal.forget, seq)
        except JournalError as error:  # it is said again after the next start; no harm
            log.warning("journal_write_failed", seq=seq, error=str(error))

    async def _take_commands(self, commands: list[command_pb2.Command]) -> None:
        new = self.inbox.fresh(commands)
        try:
            if new:
                await asyncio.to_thread(self.journal.append, new)
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
        self._do(self.inbox.journalled(new))

    async def _say_everything(self, outbox: Outbox) -> None:
        self._outbox = outbox
        try:
            results = await asyncio.to_thread(self.journal.results)
        except JournalError as error:
            log.error("journal_unreadable", error=str(error))
            outbox.fail(error)
            return
        self._do(self.inbox.attached(results))

    def _do(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case Start(command):
                    if not self._stopping:
                        self._tasks[command.seq] = asyncio.get_running_loop().create_task(
                            self._execute(command), name=f"command-{command.seq}"
                        )
                case Stop(seq):
                    self._tasks[seq].cancel()
                case Acknowledge(seq) if self._outbox is not None:
                    self._outbox.acknowledge(seq)
                case SayProgress(progress) if self._outbox is not None:
                    self._outbox.progress(progress)
                case SayResult(result) if self._outbox is not None:
                    self._outbox.result(result)

    # One command

    async def _execute(self, command: command_pb2.Command) -> None:
        seq = command.seq
        kind = command.WhichOneof("kind") or "unknown"
        loop = asyncio.get_running_loop()
        # Before the first wait: a task cancelled before it ran would never run a line.
        result = self.inbox.begin(
            seq, known=kind in self.handlers, wall=self.now(), now=loop.time()
        )
        if result is None:
            result = await self._work(command, kind)
        result = self.inbox.ended(seq, result)
        on_disk = True
        try:
            await asyncio.shield(asyncio.to_thread(self.journal.finish, result))
        except JournalError as error:
            # Not on disk: if the agent dies now the command runs again, which is safe. Keep saying it.
            log.error("journal_write_failed", seq=seq, error=str(error))
            on_disk = False
        del self._tasks[seq]
        log.info("command_finished", seq=seq, code=result.code, reason=result.reason)
        self._do(self.inbox.recorded(seq, on_disk=on_disk))

    async def _work(self, command: command_pb2.Command, kind: str) -> command_pb2.CommandResult:
        seq, loop, begun = command.seq, asyncio.get_running_loop(), False
        until = self.inbox.work_until(seq)
        timer = loop.call_at(until, self._inputs.put_nowait, _TooLong()) if until else None
        try:
            try:
                await asyncio.to_thread(self.journal.begin, seq)
                begun = True
            except JournalError as error:
                log.warning("journal_write_failed", seq=seq, error=str(error))
            return await self.handlers[kind](command, self._progress_of(seq))
        except asyncio.CancelledError:
            result = self.inbox.interrupted(seq)
            if result is None:  # the agent stops
                if begun:
                    await self._pause(seq)
                raise
            return result
        except Exception:
            log.exception("command_handler_failed", seq=seq, kind=kind)
            return command_pb2.CommandResult(
                code=_INTERNAL,
                reason="INTERNAL",
                message=f"the agent failed at {kind}; its log has the reason",
            )
        finally:
            if timer is not None:
                timer.cancel()

    async def _pause(self, seq: int) -> None:
        try:
            await asyncio.to_thread(self.journal.pause, seq)
        except JournalError as error:
            log.warning("journal_write_failed", seq=seq, error=str(error))

    def _progress_of(self, seq: int) -> Callable[[str, command_pb2.DeployProgress | None], None]:
        def progress(message: str, deploy: command_pb2.DeployProgress | None) -> None:
            self._do(self.inbox.progress(seq, message, deploy))

        return progress


def _is_command(item: _Input) -> TypeGuard[command_pb2.Command]:
    return isinstance(item, command_pb2.Command)
