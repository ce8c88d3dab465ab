"""Carries what an agent said to the services, and commands from the outbox to the agent.

One courier for each admitted session. The wire's reader puts things down here and waits for nobody;
the courier's own task takes them to the services one after the other. Results and reports are
acknowledged only after they are in the database, and the newest progress or report of a key replaces
the older one while it waits.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol, TypeVar

import structlog
from skerry.agent.v1 import command_pb2, link_pb2, report_pb2
from skerry.wire.errors import MessageTooLarge, ProtocolError
from skerry.wire.session import Session

from controlplane.domain.clock import Clock
from controlplane.domain.clusters import AgentIdentity
from controlplane.domain.commands import Command, CommandOutcome, CommandProgress
from controlplane.domain.errors import SkerryError, StatusCode
from controlplane.domain.reports import Report
from controlplane.link import codec

log = structlog.get_logger(__name__)

K = TypeVar("K")
V = TypeVar("V")

_MAX_WAITING = 16_384  # results, progress or reports by key that wait for the database
_MAX_UNACKNOWLEDGED = 64  # commands on their way to one agent; the rest stays in the outbox
_RETRY_SECONDS = 1.0


class AgentSessions(Protocol):
    """What the link needs of `services.agent_sessions`; see there."""

    async def authenticate(self, certificate_der: bytes) -> AgentIdentity: ...

    async def connected(
        self, identity: AgentIdentity, *, agent_version: str, boot_id: str
    ) -> int: ...

    def seen(self, cluster_uid: str, epoch: int, round_trip: timedelta | None) -> None: ...

    async def disconnected(self, cluster_uid: str, epoch: int) -> None: ...

    async def pending_commands(self, cluster_uid: str, after_seq: int) -> Sequence[Command]: ...

    async def pending_cancels(self, cluster_uid: str) -> Sequence[int]: ...

    async def acknowledged(self, cluster_uid: str, epoch: int, seq: int) -> None: ...

    async def progressed(self, cluster_uid: str, epoch: int, progress: CommandProgress) -> None: ...

    async def finished(self, cluster_uid: str, epoch: int, outcome: CommandOutcome) -> None: ...

    async def reported(self, cluster_uid: str, epoch: int, report: Report) -> bool: ...


class Courier:
    """Of one connection of one agent. `fetched` is the highest sequence number that the agent has."""

    def __init__(
        self,
        wire: Session,
        sessions: AgentSessions,
        clock: Clock,
        *,
        cluster_uid: str,
        epoch: int,
        fetched: int,
    ) -> None:
        self._wire = wire
        self._sessions = sessions
        self._clock = clock
        self._cluster_uid = cluster_uid
        self._epoch = epoch
        self._work = asyncio.Event()
        self._fetch = self._fetch_cancels = True
        self._fetched = fetched
        self._acknowledged = 0
        self._said_acknowledged = 0
        self._unacknowledged: set[int] = set()
        self._cancels: set[int] = set()
        self._progress: dict[int, command_pb2.CommandProgress] = {}
        self._results: dict[int, command_pb2.CommandResult] = {}
        self._reports: dict[str, report_pb2.Report] = {}

    # From the wire and the registry; these do not wait

    def fetch_commands(self) -> None:
        """Commands wait in the outbox."""
        self._fetch = True
        self._work.set()

    def cancel_command(self, seq: int) -> None:
        """Tell the agent to stop working on a command, once it has been sent."""
        self._cancels.add(seq)
        self._work.set()

    def take(self, kind: str, frame: link_pb2.Frame) -> None:
        """Put down what the agent said. Raises `ProtocolError` when too much waits."""
        match kind:
            case "command_ack":
                self._acknowledged = max(self._acknowledged, frame.command_ack.seq)
            case "command_progress":
                if frame.command_progress.seq not in self._results:
                    _put(self._progress, frame.command_progress.seq, frame.command_progress)
            case "command_result":
                self._progress.pop(frame.command_result.seq, None)
                _put(self._results, frame.command_result.seq, frame.command_result)
            case "report":
                _put(self._reports, frame.report.key, frame.report)
        self._work.set()

    # The courier's own task

    async def run(self) -> None:
        """Carry what was put down to the services, and commands to the agent."""
        self._work.set()
        while True:
            await self._work.wait()
            self._work.clear()
            if not await self._step():
                await self._clock.sleep(_RETRY_SECONDS)
                self._work.set()

    async def _step(self) -> bool:
        """Do all that waits. False when the database did not take it: nothing is lost, try again."""
        try:
            await self._carry_acknowledgement()
            await self._carry_results()
            await self._send_commands()
            await self._carry_progress()
            await self._carry_reports()
        except SkerryError as error:
            log.error("agent_session_waits", cluster_uid=self._cluster_uid, error=error.message)
            return False
        return True

    async def _carry_acknowledgement(self) -> None:
        seq = self._acknowledged
        if seq <= self._said_acknowledged:
            return
        await self._sessions.acknowledged(self._cluster_uid, self._epoch, seq)
        self._said_acknowledged = seq
        if len(self._unacknowledged) >= _MAX_UNACKNOWLEDGED:
            self._fetch = True
        self._unacknowledged = {sent for sent in self._unacknowledged if sent > seq}

    async def _carry_results(self) -> None:
        for seq, result in list(self._results.items()):
            await self._sessions.finished(self._cluster_uid, self._epoch, codec.outcome(result))
            if self._results.get(seq) is result:
                del self._results[seq]
            frame = link_pb2.Frame()
            frame.result_ack.seq = seq
            self._wire.connection.send_control(frame)
            self._wire.wake()

    async def _carry_progress(self) -> None:
        for seq, progress in list(self._progress.items()):
            await self._sessions.progressed(
                self._cluster_uid, self._epoch, codec.progress(progress)
            )
            if self._progress.get(seq) is progress:
                del self._progress[seq]

    async def _carry_reports(self) -> None:
        for key, report in list(self._reports.items()):
            recorded = await self._sessions.reported(
                self._cluster_uid, self._epoch, codec.report(report)
            )
            if self._reports.get(key) is report:
                del self._reports[key]
            if recorded:
                frame = link_pb2.Frame()
                frame.report_ack.key = key
                frame.report_ack.version = report.version
                self._wire.connection.send_control(frame, ("report_ack", key))
                self._wire.wake()

    async def _send_commands(self) -> None:
        if self._fetch_cancels:
            self._cancels.update(await self._sessions.pending_cancels(self._cluster_uid))
            self._fetch_cancels = False
        if self._fetch and len(self._unacknowledged) < _MAX_UNACKNOWLEDGED:
            self._fetch = False
            try:
                commands = await self._sessions.pending_commands(self._cluster_uid, self._fetched)
            except BaseException:
                self._fetch = True
                raise
            for command in commands:
                if len(self._unacknowledged) >= _MAX_UNACKNOWLEDGED:
                    break
                await self._send_command(command)
        for seq in sorted(self._cancels):
            if seq <= self._fetched:
                self._cancels.discard(seq)
                frame = link_pb2.Frame()
                frame.command_cancel.seq = seq
                self._wire.connection.send_exchange(frame)  # behind the command it is about
        self._wire.wake()

    async def _send_command(self, command: Command) -> None:
        frame = link_pb2.Frame(command=codec.command(command))
        try:
            self._wire.connection.send_exchange(frame)
        except MessageTooLarge as error:
            await self._sessions.finished(
                self._cluster_uid,
                self._epoch,
                CommandOutcome(
                    seq=command.seq,
                    command_id=command.command_id,
                    code=StatusCode.RESOURCE_EXHAUSTED,
                    reason="REQUEST_TOO_LARGE",
                    message=f"the command is too large for the link: {error}",
                    deploy=None,
                ),
            )
        else:
            self._unacknowledged.add(command.seq)
        self._fetched = command.seq


def _put(waiting: dict[K, V], key: K, value: V) -> None:
    if key not in waiting and len(waiting) >= _MAX_WAITING:
        raise ProtocolError(f"more than {_MAX_WAITING} results or reports wait for the database")
    waiting[key] = value
