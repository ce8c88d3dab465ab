"""The agent's end of commands, as a state machine: which are new, which may start, which must stop, what is said.

No I/O, no clock, no task. `agent.link.commands` is its shell: it writes the journal, runs the handlers
and carries out the actions that come back. The order of use for one command:

    new = inbox.fresh(commands)        # then write `new` to the journal
    actions = inbox.journalled(new)    # acknowledged only now
    result = inbox.begin(seq, …)       # for each `Start`; None: run the handler
    result = inbox.ended(seq, result)  # then write the result to the journal
    actions = inbox.recorded(seq)      # said only now, and until `acknowledged`
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TypeAlias

from skerry.agent.v1 import command_pb2

MAX_ATTEMPTS = 5
"""How often the agent may die over one command before the command is given up."""

LONGEST_WORK_SECONDS = 3600.0
"""What no command takes: one that hangs would block all that wait for it."""

_CANCELLED, _DEADLINE_EXCEEDED, _ABORTED, _UNIMPLEMENTED, _INTERNAL = 1, 4, 10, 12, 13


@dataclass(frozen=True, slots=True)
class Start:
    """Begin work on a command: call `begin`."""

    command: command_pb2.Command


@dataclass(frozen=True, slots=True)
class Stop:
    """Cancel the handler of a command, then call `interrupted`."""

    seq: int


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Say that every command up to `seq` is in the journal."""

    seq: int


@dataclass(frozen=True, slots=True)
class SayProgress:
    """Say how far a command is."""

    progress: command_pb2.CommandProgress


@dataclass(frozen=True, slots=True)
class SayResult:
    """Say how a command ended."""

    result: command_pb2.CommandResult


Action: TypeAlias = Start | Stop | Acknowledge | SayProgress | SayResult
Relation: TypeAlias = Callable[[command_pb2.Command, command_pb2.Command], bool]


class _Phase(Enum):
    WAITING = "waiting"
    STARTED = "started"
    WORKING = "working"
    ENDING = "ending"


@dataclass(slots=True)
class _Entry:
    """A command that has no result yet."""

    command: command_pb2.Command
    attempts: int
    phase: _Phase = _Phase.WAITING
    stop: tuple[int, str, str] | None = None  # code, reason, message of the result when cancelled
    until: float | None = None
    version: int = 0
    progress: command_pb2.CommandProgress | None = None
    result: command_pb2.CommandResult | None = None

    @property
    def seq(self) -> int:
        return self.command.seq


class CommandInbox:
    """`waits_for(later, earlier)` and `supersedes(newer, older)` say how commands relate."""

    def __init__(
        self,
        *,
        waits_for: Relation,
        supersedes: Relation,
        max_attempts: int = MAX_ATTEMPTS,
        longest_work_seconds: float = LONGEST_WORK_SECONDS,
    ) -> None:
        self._waits_for = waits_for
        self._supersedes = supersedes
        self._max_attempts = max_attempts
        self._longest = longest_work_seconds
        self.last_seq = 0
        """The highest sequence number in the journal."""
        self._entries: dict[int, _Entry] = {}
        self._unwritten: dict[int, command_pb2.CommandResult] = {}

    # What the journal holds

    def restore(self, last_seq: int, unfinished: Iterable[tuple[command_pb2.Command, int]]) -> None:
        """Take up what the journal holds: commands without a result, each with the attempts made."""
        self.last_seq = last_seq
        for command, attempts in unfinished:
            self._entries[command.seq] = _Entry(command, attempts)

    def resume(self) -> list[Action]:
        """Work begins, again or for the first time."""
        actions: list[Action] = []
        for entry in list(self._entries.values()):
            actions += self._supersede(entry)
        return actions + self._start_ready()

    # From the control plane

    def fresh(self, commands: Sequence[command_pb2.Command]) -> list[command_pb2.Command]:
        """Those that are not in the journal yet. A command may be sent more than once."""
        last, new = self.last_seq, []
        for command in commands:
            if command.seq > last:
                last = command.seq
                new.append(command)
        return new

    def journalled(self, new: Sequence[command_pb2.Command]) -> list[Action]:
        """`new` is on disk: acknowledge all of it, and what came again with it."""
        actions: list[Action] = []
        for command in new:
            self.last_seq = command.seq
            entry = self._entries[command.seq] = _Entry(command, attempts=0)
            actions += self._supersede(entry)
        if self.last_seq:
            actions.append(Acknowledge(self.last_seq))
        return actions + self._start_ready()

    def cancel(self, seq: int) -> list[Action]:
        """The control plane asks to stop working on a command."""
        entry = self._entries.get(seq)
        if entry is None:
            return []
        return self._stop(entry, _CANCELLED, "CANCELLED", "cancelled on request")

    def acknowledged(self, seq: int) -> None:
        """The control plane has the result: it can be forgotten, in the journal too."""
        self._unwritten.pop(seq, None)

    def attached(self, results: Iterable[command_pb2.CommandResult]) -> list[Action]:
        """A connection is up: everything not yet heard is said on it. `results` are the journal's."""
        actions: list[Action] = [Acknowledge(self.last_seq)] if self.last_seq else []
        actions += [SayResult(result) for result in results]
        actions += [SayResult(result) for result in self._unwritten.values()]
        actions += [
            SayProgress(entry.progress)
            for entry in self._entries.values()
            if entry.progress is not None
        ]
        return actions

    # From the work

    def begin(
        self, seq: int, *, known: bool, wall: datetime, now: float
    ) -> command_pb2.CommandResult | None:
        """Work on a started command begins: None to run its handler, or the result that it ends with.

        `known` says that there is a handler; `wall` is the time of day, `now` the monotonic clock.
        """
        entry = self._entries[seq]
        entry.phase = _Phase.WORKING
        command = entry.command
        if entry.stop is not None:
            return _result(*entry.stop)
        if not known:
            kind = command.WhichOneof("kind") or "unknown"
            return _result(
                _UNIMPLEMENTED,
                "INTERNAL",
                f"this agent does not know the command {kind}; update the agent",
            )
        entry.until = now + self._longest
        if command.HasField("deadline"):
            left = (command.deadline.ToDatetime(tzinfo=UTC) - wall).total_seconds()
            if left < 0:
                return _result(
                    _DEADLINE_EXCEEDED,
                    "DEADLINE_EXCEEDED",
                    "the command reached the agent too late; give it again if it is still wanted",
                )
            entry.until = now + min(left, self._longest)
        if entry.attempts >= self._max_attempts:
            return _result(
                _INTERNAL,
                "INTERNAL",
                f"the agent died {entry.attempts} times while working on this and gives up; see its log",
            )
        entry.attempts += 1
        return None

    def work_until(self, seq: int) -> float | None:
        """When `expire` stops the work on a command; None before it has begun."""
        entry = self._entries.get(seq)
        return entry.until if entry is not None else None

    def expire(self, now: float) -> list[Action]:
        """Stop work that took too long, so that what waits for it can go on."""
        actions: list[Action] = []
        for entry in list(self._entries.values()):
            if entry.until is not None and now >= entry.until:
                actions += self._stop(
                    entry,
                    _DEADLINE_EXCEEDED,
                    "DEADLINE_EXCEEDED",
                    "the work took longer than it may and was stopped; give the command again if it is still wanted",
                )
        return actions

    def progress(
        self, seq: int, message: str, deploy: command_pb2.DeployProgress | None
    ) -> list[Action]:
        """The handler says how far it is; one that has ended says nothing any more."""
        entry = self._entries.get(seq)
        if entry is None:
            return []
        entry.version += 1
        entry.progress = command_pb2.CommandProgress(
            seq=seq,
            command_id=entry.command.command_id,
            version=entry.version,
            message=message,
            deploy=deploy,
        )
        return [SayProgress(entry.progress)]

    def interrupted(self, seq: int) -> command_pb2.CommandResult | None:
        """The handler was cancelled: its result, or None when the agent stops and it will run again."""
        stop = self._entries[seq].stop
        return _result(*stop) if stop is not None else None

    def ended(self, seq: int, result: command_pb2.CommandResult) -> command_pb2.CommandResult:
        """The work is over and nothing can stop it any more: the result to write to the journal."""
        entry = self._entries[seq]
        entry.phase = _Phase.ENDING
        result.seq = seq
        result.command_id = entry.command.command_id
        entry.result = result
        return result

    def recorded(self, seq: int, *, on_disk: bool = True) -> list[Action]:
        """The result is in the journal, or could not be written: then it is kept here and said all the same.

        If the agent dies before such a result was heard the command runs again, which is safe.
        """
        entry = self._entries.pop(seq)
        if entry.result is None:
            raise ValueError(f"command {seq} has no result to record")
        if not on_disk:
            self._unwritten[seq] = entry.result
        return [SayResult(entry.result), *self._start_ready()]

    # Order

    def _supersede(self, newer: _Entry) -> list[Action]:
        actions: list[Action] = []
        for entry in list(self._entries.values()):
            if entry.seq < newer.seq and self._supersedes(newer.command, entry.command):
                actions += self._stop(
                    entry,
                    _ABORTED,
                    "SUPERSEDED",
                    f"superseded by a newer command ({newer.command.WhichOneof('kind')})",
                )
        return actions

    def _start_ready(self) -> list[Action]:
        actions: list[Action] = []
        earlier: list[command_pb2.Command] = []
        for entry in self._entries.values():
            if entry.phase is _Phase.WAITING and (
                entry.stop is not None
                or not any(self._waits_for(entry.command, before) for before in earlier)
            ):
                entry.phase = _Phase.STARTED
                actions.append(Start(entry.command))
            earlier.append(entry.command)
        return actions

    def _stop(self, entry: _Entry, code: int, reason: str, message: str) -> list[Action]:
        if entry.stop is not None or entry.phase is _Phase.ENDING:
            return []
        entry.stop = (code, reason, message)
        if entry.phase is _Phase.WORKING:
            return [Stop(entry.seq)]
        return self._start_ready()  # what waits need not wait any longer: it ends at once


def _result(code: int, reason: str, message: str) -> command_pb2.CommandResult:
    return command_pb2.CommandResult(code=code, reason=reason, message=message)
