"""One connection to the control plane, from dialling to its end. Made by `link`, anew for each attempt."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC

import grpc
import grpc.aio
import structlog
from skerry.agent.v1 import command_pb2, link_pb2, link_pb2_grpc, report_pb2
from skerry.wire import capabilities
from skerry.wire.connection import Connection, Role
from skerry.wire.errors import MessageTooLarge, WireError
from skerry.wire.limits import PROTOCOL_MAX, PROTOCOL_MIN
from skerry.wire.session import LinkStream, Session

from agent.link.commands import CommandRunner
from agent.link.errors import JournalError
from agent.link.renewal import Renewer
from agent.link.reports import ReportBoard
from agent.link.streams import StreamRunner
from agent.link.transport import CHANNEL_OPTIONS, CallTransport

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection ended: the control plane's word, or an error, or neither (it just closed).

    `connected_seconds` is 0 when the control plane never let us in.
    """

    connected_seconds: float
    go_away: link_pb2.GoAway | None
    error: WireError | None


class AgentConnection:
    """Dials, proves who we are, and carries everything until the connection ends.

    Implements the `SessionOwner` of the wire and the `Outbox` of the commands and of the renewal.
    """

    def __init__(
        self,
        *,
        renewer: Renewer,
        proxy_ca_pem: bytes,
        agent_version: str,
        boot_id: str,
        commands: CommandRunner,
        streams: StreamRunner,
        board: ReportBoard,
    ) -> None:
        self._renewer = renewer
        self._identity = renewer.identity
        self._proxy_ca_pem = proxy_ca_pem
        self._agent_version = agent_version
        self._boot_id = boot_id
        self._commands = commands
        self._streams = streams
        self._board = board
        self._session: Session | None = None
        self._connected_at: float | None = None
        self._go_away: link_pb2.GoAway | None = None
        self._failed: JournalError | None = None

    @property
    def connected(self) -> bool:
        """The control plane let us in."""
        return self._connected_at is not None

    @property
    def wire(self) -> Connection | None:
        """The protocol's state, for counting; None before dialling."""
        return self._session.connection if self._session else None

    @property
    def round_trip_seconds(self) -> float:
        """The last measured round trip, 0 before the first."""
        return self._session.connection.round_trip.latest if self._session else 0.0

    async def run(self) -> Ending:
        """Carry the connection until it ends. Cancelling it ends the connection."""
        loop = asyncio.get_running_loop()
        credentials = grpc.ssl_channel_credentials(
            root_certificates=self._identity.ca_pem + self._proxy_ca_pem
        )
        error: WireError | None = None
        async with grpc.aio.secure_channel(
            self._identity.address, credentials, options=CHANNEL_OPTIONS
        ) as channel:
            call = link_pb2_grpc.LinkServiceStub(channel).Connect()
            session = Session(
                Connection(Role.AGENT, now=loop.time()), CallTransport(call), self, name="link"
            )
            self._session = session
            try:
                await session.run()
            except WireError as ended:
                error = ended
            finally:
                self._board.subscribe(None)
                self._commands.detach(self)
                self._renewer.detach(self)
                if session.tasks:
                    await asyncio.wait(set(session.tasks))
        connected = loop.time() - self._connected_at if self._connected_at is not None else 0.0
        self._connected_at = None
        return Ending(connected, self._go_away, error)

    # What arrives (SessionOwner)

    def frame_arrived(self, kind: str, frame: link_pb2.Frame) -> None:
        """A frame of the handshake or of commands and reports."""
        match kind:
            case "challenge":
                self._say_hello(frame.challenge)
            case "welcome":
                self._enter(frame.welcome)
            case "command":
                self._commands.received(frame.command)
            case "command_cancel":
                self._commands.cancel(frame.command_cancel.seq)
            case "result_ack":
                self._commands.acknowledged(frame.result_ack.seq)
            case "renew_result":
                self._renewer.answered(frame.renew_result)
            case "renew_now":
                self._renewer.ask(frame.renew_now.reason)
            case "report_ack":
                self._board.acknowledged(frame.report_ack.key, frame.report_ack.version)

    def stream_opened(self, stream: LinkStream, open_: link_pb2.Open) -> None:
        """The control plane wants something of a stream's length."""
        self._streams.opened(stream, open_)

    def stream_ended(self, stream: LinkStream) -> None:
        """The stream is over."""
        self._streams.ended(stream)

    def peer_goes_away(self, go_away: link_pb2.GoAway) -> None:
        """The control plane will close the connection; `link` looks at the reason."""
        self._go_away = go_away
        if self._session is not None:
            self._session.close(flush_seconds=2.0)

    # What is said (Outbox)

    def acknowledge(self, seq: int) -> None:
        """Every command up to `seq` is in the journal."""
        frame = link_pb2.Frame()
        frame.command_ack.seq = seq
        if session := self._live():
            session.connection.send_control(frame, "command_ack")
            session.wake()

    def progress(self, progress: command_pb2.CommandProgress) -> None:
        """How far a command is."""
        self._exchange(link_pb2.Frame(command_progress=progress), ("progress", progress.seq))

    def result(self, result: command_pb2.CommandResult) -> None:
        """How a command ended."""
        if session := self._live():
            session.connection.drop_exchange(("progress", result.seq))
        try:
            self._exchange(link_pb2.Frame(command_result=result), ("result", result.seq))
        except MessageTooLarge as error:
            short = command_pb2.CommandResult(
                seq=result.seq,
                command_id=result.command_id,
                code=result.code,
                reason=result.reason,
                message=f"{result.message[:1000]} (details left out: {error})",
            )
            self._exchange(link_pb2.Frame(command_result=short), ("result", result.seq))

    def renewal(self, frame: link_pb2.Frame) -> None:
        """A frame about our next certificate."""
        if session := self._live():
            session.connection.send_control(frame)
            session.wake()

    def fail(self, error: JournalError) -> None:
        """Commands cannot be taken on: come back later, then they are sent again."""
        if session := self._live():
            log.error("link_closed_by_agent", error=str(error))
            session.close(flush_seconds=1.0)

    def _report(self, report: report_pb2.Report) -> None:
        try:
            self._exchange(link_pb2.Frame(report=report), ("report", report.key))
        except MessageTooLarge as error:
            log.error("report_too_large", key=report.key, error=str(error))

    def _exchange(self, frame: link_pb2.Frame, key: tuple[str, int | str]) -> None:
        if session := self._live():
            session.connection.send_exchange(frame, key)
            session.wake()

    def _live(self) -> Session | None:
        return self._session if self._connected_at is not None else None

    # The handshake

    def _say_hello(self, challenge: link_pb2.Challenge) -> None:
        if self._session is None:
            return
        hello = link_pb2.Hello(
            protocol_min=PROTOCOL_MIN,
            protocol_max=PROTOCOL_MAX,
            capabilities=capabilities.OF_AGENT,
            agent_version=self._agent_version,
            boot_id=self._boot_id,
            last_command_seq=self._commands.last_seq,
            certificate=self._identity.certificate_der,
            signature=self._identity.sign(challenge.nonce),
            renewal=self._renewer.for_hello(challenge.now.ToDatetime(UTC)),
        )
        self._session.connection.send_control(link_pb2.Frame(hello=hello))

    def _enter(self, welcome: link_pb2.Welcome) -> None:
        session = self._session
        if session is None:
            return
        session.set_timer()
        self._connected_at = session.now()
        log.info(
            "link_up",
            cluster=welcome.cluster,
            epoch=welcome.epoch,
            control_plane_can=capabilities.named(welcome.capabilities),
        )
        if welcome.HasField("renewal"):
            self._renewer.answered(welcome.renewal)
        self._renewer.attach(self)
        self._commands.attach(self)
        self._board.subscribe(self._report)
        for report in self._board.pending():
            self._report(report)
