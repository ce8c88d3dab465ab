"""Carries what an agent said to the services, and commands from the outbox to the agent.

One courier for each admitted session. The wire's reader puts things down in a `CommandOutbox` and waits
for nobody; the courier's own task takes them to the services one after the other. Results and reports are
acknowledged only after they are in the database. One thing that the services cannot take holds up no other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Protocol

import structlog
from skerry.agent.v1 import command_pb2, link_pb2, report_pb2
from skerry.wire.errors import MessageTooLarge
from skerry.wire.outbox import CommandOutbox
from skerry.wire.session import Session

from controlplane.domain.clock import Clock
from controlplane.domain.clusters import AgentIdentity
from controlplane.domain.commands import Command, CommandOutcome, CommandProgress
from controlplane.domain.errors import SkerryError, StatusCode, StorageUnavailable
from controlplane.domain.reports import Report
from controlplane.link import codec
from controlplane.link.renewals import Identities

log = structlog.get_logger(__name__)

_MAX_TRIES = 3
_RETRY_SECONDS = 1.0


class AgentSessions(Identities, Protocol):
    """What the link needs of `services.agent_sessions`; see there."""

    async def authenticate(self, certificate_der: bytes) -> AgentIdentity: ...

    async def connected(
        self, identity: AgentIdentity, *, agent_version: str, boot_id: str
    ) -> int: ...

    def seen(self, cluster_uid: str, epoch: int, round_trip: timedelta | None) -> None: ...

    async def disconnected(self, cluster_uid: str, epoch: int, reason: str) -> None: ...

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
        self._outbox = CommandOutbox(sent_seq=fetched)
        self._work = asyncio.Event()
        self._fetch_cancels = True
        self._tries: dict[tuple[str, int | str], int] = {}

    @property
    def oldest_command(self) -> int | None:
        """The first command that was sent and that the agent has not confirmed."""
        return self._outbox.oldest_under_way

    @property
    def oldest_report(self) -> tuple[str, int | str] | None:
        """What the agent said first and that is not in the database."""
        return self._outbox.oldest_waiting

    # From the wire and the registry; these do not wait

    def fetch_commands(self) -> None:
        """Commands wait in the outbox."""
        self._outbox.wake()
        self._work.set()

    def cancel_command(self, seq: int) -> None:
        """Tell the agent to stop working on a command, once it has been sent."""
        self._outbox.cancel(seq)
        self._work.set()

    def take(self, kind: str, frame: link_pb2.Frame) -> None:
        """Put down what the agent said. Raises `ProtocolError` when too much waits."""
        self._outbox.heard(kind, frame)
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
        """Do all that waits. False when something was not taken: nothing is lost, try again."""
        try:
            await self._carry_acknowledgement()
            taken = await self._carry_results()
            await self._send_commands()
            taken = await self._carry_progress() and taken
            taken = await self._carry_reports() and taken
        except SkerryError as error:
            log.error("agent_session_waits", cluster_uid=self._cluster_uid, error=error.message)
            return False
        return taken

    async def _carry_acknowledgement(self) -> None:
        seq = self._outbox.acknowledgement()
        if seq is not None:
            await self._sessions.acknowledged(self._cluster_uid, self._epoch, seq)
            self._outbox.acknowledgement_stored(seq)

    async def _carry_results(self) -> bool:
        taken = True
        for seq, result in list(self._outbox.results.items()):

            async def carry(result: command_pb2.CommandResult = result) -> None:
                await self._sessions.finished(self._cluster_uid, self._epoch, codec.outcome(result))

            match await self._try(("result", seq), carry):
                case True:
                    self._outbox.result_stored(result)
                    self._acknowledge_result(seq)
                case False:
                    taken = False
                case None:  # it can never be recorded as it is: say so in its place
                    if await self._end_unreadable(result):
                        self._acknowledge_result(seq)
                    self._outbox.result_stored(result)
        return taken

    async def _carry_progress(self) -> bool:
        taken = True
        for seq, progress in list(self._outbox.progress.items()):

            async def carry(progress: command_pb2.CommandProgress = progress) -> None:
                await self._sessions.progressed(
                    self._cluster_uid, self._epoch, codec.progress(progress)
                )

            done = await self._try(("progress", seq), carry)
            taken = taken and done is not False
            if done is not False:
                self._outbox.progress_stored(progress)
        return taken

    async def _carry_reports(self) -> bool:
        taken = True
        for key, report in list(self._outbox.reports.items()):
            recorded = False

            async def carry(report: report_pb2.Report = report) -> None:
                nonlocal recorded
                recorded = await self._sessions.reported(
                    self._cluster_uid, self._epoch, codec.report(report)
                )

            done = await self._try(("report", key), carry)
            taken = taken and done is not False
            if done is not False:
                self._outbox.report_stored(report)
            if done and recorded:
                frame = link_pb2.Frame()
                frame.report_ack.key = key
                frame.report_ack.version = report.version
                self._wire.connection.send_control(frame, ("report_ack", key))
                self._wire.wake()
        return taken

    async def _try(
        self, what: tuple[str, int | str], carry: Callable[[], Awaitable[None]]
    ) -> bool | None:
        """Whether the services took it; None when they will not, however often they are asked.

        Raises `StorageUnavailable`: then nothing can be carried, and nobody is to blame.
        """
        try:
            await carry()
        except StorageUnavailable:
            raise
        except Exception as error:
            tries = self._tries[what] = self._tries.get(what, 0) + 1
            log.exception(
                "agent_message_not_taken",
                cluster_uid=self._cluster_uid,
                what=what[0],
                key=what[1],
                tries=tries,
            )
            if tries < _MAX_TRIES and isinstance(error, SkerryError):
                return False
            del self._tries[what]
            return None
        self._tries.pop(what, None)
        return True

    async def _end_unreadable(self, result: command_pb2.CommandResult) -> bool:
        """End a command whose result cannot be recorded, as failed; whether that could be recorded."""
        outcome = CommandOutcome(
            seq=result.seq,
            command_id=result.command_id,
            code=StatusCode.INTERNAL,
            reason="INTERNAL",
            message="the agent said how this ended, but the control plane could not record it; "
            "its log has the reason",
            deploy=None,
        )

        async def end() -> None:
            await self._sessions.finished(self._cluster_uid, self._epoch, outcome)

        return bool(await self._try(("end", result.seq), end))

    def _acknowledge_result(self, seq: int) -> None:
        frame = link_pb2.Frame()
        frame.result_ack.seq = seq
        self._wire.connection.send_control(frame)
        self._wire.wake()

    async def _send_commands(self) -> None:
        if self._fetch_cancels:
            for seq in await self._sessions.pending_cancels(self._cluster_uid):
                self._outbox.cancel(seq)
            self._fetch_cancels = False
        after = self._outbox.fetch_after()
        if after is not None:
            try:
                commands = await self._sessions.pending_commands(self._cluster_uid, after)
            except BaseException:
                self._outbox.wake()
                raise
            for command in commands:
                if self._outbox.full:
                    break
                await self._send_command(command)
        for seq in self._outbox.take_cancels():
            frame = link_pb2.Frame()
            frame.command_cancel.seq = seq
            self._wire.connection.send_exchange(frame)  # behind the command it is about
        self._wire.wake()

    async def _send_command(self, command: Command) -> None:
        try:
            frame = link_pb2.Frame(command=codec.command(command))
            self._wire.connection.send_exchange(frame)
        except MessageTooLarge as error:
            await self._skip(
                command,
                StatusCode.RESOURCE_EXHAUSTED,
                "REQUEST_TOO_LARGE",
                f"the command is too large for the link: {error}",
            )
        except Exception:  # a poison command must not keep the others back
            log.exception("command_not_sendable", cluster_uid=self._cluster_uid, seq=command.seq)
            await self._skip(
                command,
                StatusCode.INTERNAL,
                "INTERNAL",
                "the control plane could not put this command into words; its log has the reason",
            )
        else:
            self._outbox.sent(command.seq)

    async def _skip(self, command: Command, code: StatusCode, reason: str, message: str) -> None:
        await self._sessions.finished(
            self._cluster_uid,
            self._epoch,
            CommandOutcome(command.seq, command.command_id, code, reason, message, deploy=None),
        )
        self._outbox.skipped(command.seq)
