"""The control plane's end of commands and reports on one connection, as a state machine.

Which commands are to be fetched and sent, which the agent has, and what it said that is not stored yet.
No I/O, no clock, no task: `controlplane.link.courier` is its shell and carries things to the services.
What was put down stays until `stored` says that it is in the database.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from skerry.agent.v1 import command_pb2, link_pb2, report_pb2
from skerry.wire.errors import ProtocolError
from skerry.wire.limits import MAX_UNACKNOWLEDGED_COMMANDS, MAX_WAITING_FOR_STORE

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class CommandOutbox:
    """`sent_seq` starts as the highest sequence number that the agent has in its journal."""

    sent_seq: int
    """The highest sequence number sent or known to the agent."""
    acknowledged_seq: int = 0
    """The highest one that the agent said is in its journal."""
    results: dict[int, command_pb2.CommandResult] = field(default_factory=dict)
    progress: dict[int, command_pb2.CommandProgress] = field(default_factory=dict)
    reports: dict[str, report_pb2.Report] = field(default_factory=dict)
    _stored_seq: int = 0
    _fetch: bool = True
    _under_way: set[int] = field(default_factory=set)
    _cancels: set[int] = field(default_factory=set)

    # Commands on their way

    def wake(self) -> None:
        """Commands wait in the database."""
        self._fetch = True

    def fetch_after(self) -> int | None:
        """Behind which sequence number to look for commands; None when there is nothing to look for now."""
        if not self._fetch or self.full:
            return None
        self._fetch = False
        return self.sent_seq

    @property
    def full(self) -> bool:
        """As many commands are on their way as may be; the others stay in the database."""
        return len(self._under_way) >= MAX_UNACKNOWLEDGED_COMMANDS

    @property
    def oldest_under_way(self) -> int | None:
        """The first command that was sent and is not acknowledged."""
        return min(self._under_way, default=None)

    @property
    def oldest_waiting(self) -> tuple[str, int | str] | None:
        """What the agent said first and is not stored: kind and key."""
        if self.results:
            return "result", next(iter(self.results))
        if self.progress:
            return "progress", next(iter(self.progress))
        if self.reports:
            return "report", next(iter(self.reports))
        return None

    def sent(self, seq: int) -> None:
        """A command was written to the link."""
        self._under_way.add(seq)
        self.sent_seq = seq

    def skipped(self, seq: int) -> None:
        """A command could not be sent at all and was ended."""
        self.sent_seq = seq

    def cancel(self, seq: int) -> None:
        """A command is no longer wanted."""
        self._cancels.add(seq)

    def take_cancels(self) -> list[int]:
        """Cancels of commands that the agent has been sent."""
        due = sorted(seq for seq in self._cancels if seq <= self.sent_seq)
        self._cancels.difference_update(due)
        return due

    # What the agent says

    def heard(self, kind: str, frame: link_pb2.Frame) -> None:
        """Put it down; the newest of a key replaces the others. Raises `ProtocolError` when too much waits."""
        match kind:
            case "command_ack":
                self.acknowledged_seq = max(self.acknowledged_seq, frame.command_ack.seq)
            case "command_progress":
                if frame.command_progress.seq not in self.results:
                    _put(self.progress, frame.command_progress.seq, frame.command_progress)
            case "command_result":
                self.progress.pop(frame.command_result.seq, None)
                _put(self.results, frame.command_result.seq, frame.command_result)
            case "report":
                _put(self.reports, frame.report.key, frame.report)

    def acknowledgement(self) -> int | None:
        """The acknowledged sequence number, when it is not stored yet."""
        return self.acknowledged_seq if self.acknowledged_seq > self._stored_seq else None

    def acknowledgement_stored(self, seq: int) -> None:
        """It is in the database: there is room for more."""
        self._stored_seq = seq
        if self.full:
            self._fetch = True
        self._under_way = {sent for sent in self._under_way if sent > seq}

    def result_stored(self, result: command_pb2.CommandResult) -> None:
        """It is in the database, or will never be."""
        if self.results.get(result.seq) is result:
            del self.results[result.seq]

    def progress_stored(self, progress: command_pb2.CommandProgress) -> None:
        """As `result_stored`."""
        if self.progress.get(progress.seq) is progress:
            del self.progress[progress.seq]

    def report_stored(self, report: report_pb2.Report) -> None:
        """As `result_stored`."""
        if self.reports.get(report.key) is report:
            del self.reports[report.key]


def _put(waiting: dict[K, V], key: K, value: V) -> None:
    if key not in waiting and len(waiting) >= MAX_WAITING_FOR_STORE:
        raise ProtocolError(
            f"more than {MAX_WAITING_FOR_STORE} results or reports wait for the database"
        )
    waiting[key] = value
