"""One agent's connection on the control plane's side, from the challenge to the end. Made by `servicer`.

Admits the agent, keeps its presence and the metrics current, and says how it ended; what it says about
commands and the cluster goes to its `courier`.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog
from google.protobuf.timestamp_pb2 import Timestamp
from skerry.agent.v1 import link_pb2
from skerry.wire import capabilities
from skerry.wire.connection import Connection, Role
from skerry.wire.errors import PeerSilentError, ProtocolError, WireError
from skerry.wire.limits import PROTOCOL_MAX, PROTOCOL_MIN, Limits
from skerry.wire.scheduler import Traffic
from skerry.wire.session import LinkStream, Session, Transport

from controlplane.domain.clock import Clock
from controlplane.domain.clusters import AgentIdentity
from controlplane.domain.errors import AgentRefused, CredentialsInvalid, SkerryError, StatusCode
from controlplane.domain.link_health import LinkSample
from controlplane.link import proof
from controlplane.link.admission import HandshakeGate
from controlplane.link.courier import AgentSessions, Courier
from controlplane.link.metrics import LinkMetrics
from controlplane.link.renewals import Renewals

log = structlog.get_logger(__name__)

_FLUSH_SECONDS = 2.0


class Directory(Protocol):
    """Where admitted sessions are found: `registry`."""

    def admit(self, session: "AgentSession") -> bool:
        """Make it the session of its cluster and send the older one away; False when it is the older."""
        ...

    def remove(self, session: "AgentSession") -> None:
        """It has ended."""
        ...


class _Waiting:
    """Since when the same thing has been the first of those that wait."""

    def __init__(self) -> None:
        self._what: object = None
        self.since: datetime | None = None

    def look(self, what: object, now: datetime) -> None:
        """This is the first now, None when nothing waits."""
        if what is None:
            self.since = None
        elif what != self._what or self.since is None:
            self.since = now
        self._what = what


class AgentSession:
    """Implements the wire's `SessionOwner`."""

    def __init__(
        self,
        transport: Transport,
        *,
        sessions: AgentSessions,
        directory: Directory,
        clock: Clock,
        metrics: LinkMetrics,
        ping_seconds: float,
        limits: Limits,
        gate: HandshakeGate,
        new_nonce: Callable[[], bytes] = lambda: secrets.token_bytes(32),
    ) -> None:
        self._sessions = sessions
        self._directory = directory
        self._clock = clock
        self._metrics = metrics
        self._ping_seconds = ping_seconds
        self._limits = limits
        self._gate = gate
        self._nonce = new_nonce()
        loop = asyncio.get_running_loop()
        self.wire = Session(
            Connection(Role.CONTROL_PLANE, now=loop.time(), limits=limits),
            transport,
            self,
            name="agent-link",
        )
        self.identity: AgentIdentity | None = None
        self.epoch = 0
        self.courier: Courier | None = None
        """Carries commands, results and reports; there once the agent is admitted."""
        self.renewals: Renewals | None = None
        """Gives the agent its next certificate; there once the agent is admitted."""
        self._hello: asyncio.Future[link_pb2.Hello] = loop.create_future()
        self._kinds: dict[int, str] = {}
        self._protocol = 0
        self._capabilities: tuple[str, ...] = ()
        self._connect_time = clock.now()
        self._commands_wait = _Waiting()
        self._reports_wait = _Waiting()
        self._parting = ""
        self._attended = False
        self._counted: dict[tuple[str, str], tuple[int, int]] = {}
        self._counted_resets: dict[str, int] = {}

    @property
    def cluster_uid(self) -> str:
        """Whose session this is; empty before the agent has said who it is."""
        return self.identity.cluster_uid if self.identity else ""

    async def serve(self) -> None:
        """Carry the connection until it ends. What went wrong is logged, not raised."""
        challenge = link_pb2.Challenge(nonce=self._nonce, now=self._now())
        self.wire.connection.send_control(link_pb2.Frame(challenge=challenge))
        running = asyncio.get_running_loop().create_task(self.wire.run(), name="agent-link")
        try:
            if await self._hello_before(running) and (courier := await self._admit()):
                assert self.renewals is not None  # noqa: S101 - made in _admit
                await self._attend(running, courier, self.renewals)
            await asyncio.wait({running})
        finally:
            running.cancel()
            await asyncio.wait({running})
            self._say_goodbye(running)

    def send_away(
        self,
        reason: link_pb2.GoAwayReason.ValueType,
        message: str,
        reconnect_seconds: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """Tell the agent that this connection ends, and why; then end it."""
        if not self._parting:
            self._parting = link_pb2.GoAwayReason.Name(reason).removeprefix("GO_AWAY_REASON_")
            self.wire.connection.go_away(reason, message, reconnect_seconds=reconnect_seconds)
            self.wire.close(_FLUSH_SECONDS)

    def open(self, open_: link_pb2.Open) -> LinkStream:
        """Open a stream on the agent. Raises `ConnectionRefused`, `MessageTooLarge`."""
        stream = self.wire.open(open_)
        self._kinds[stream.id] = open_.WhichOneof("kind") or "other"
        return stream

    def can(self, capability: str) -> bool:
        """Whether the agent named this capability (`skerry.wire.capabilities`)."""
        return capability in self._capabilities

    def note_refused_open(self) -> None:
        """A stream was not opened, because of a limit."""
        self._metrics.open_refused()

    def sample(self) -> LinkSample:
        """How this connection is, now."""
        connection = self.wire.connection
        smoothed = connection.round_trip.smoothed
        return LinkSample(
            epoch=self.epoch,
            protocol=self._protocol,
            capabilities=self._capabilities,
            connect_time=self._connect_time,
            smoothed_round_trip=timedelta(seconds=smoothed) if smoothed else None,
            streams=dict(Counter(self._kinds.values())),
            received_bytes=connection.received.bytes,
            sent_bytes=connection.sent.bytes,
            commands_waiting_since=self._commands_wait.since,
            reports_waiting_since=self._reports_wait.since,
        )

    # What arrives, from the reader: put down, do not wait (SessionOwner)

    def frame_arrived(self, kind: str, frame: link_pb2.Frame) -> None:
        """A frame of the handshake or of commands and reports."""
        if kind == "hello":
            if self._hello.done():
                raise ProtocolError("a second Hello")
            self._hello.set_result(frame.hello)
        elif kind in ("renew_request", "renew_stored"):
            if self.renewals is not None:
                self.renewals.take(kind, frame)
        elif self.courier is not None:
            self.courier.take(kind, frame)

    def stream_opened(self, stream: LinkStream, open_: link_pb2.Open) -> None:
        """Agents have nothing to open yet."""
        stream.reset(
            StatusCode.UNIMPLEMENTED,
            "INTERNAL",
            f"this control plane takes no {open_.WhichOneof('kind') or 'such'} stream from agents",
        )

    def stream_ended(self, stream: LinkStream) -> None:
        """Its reader learns it from the stream itself."""
        self._kinds.pop(stream.id, None)

    def peer_goes_away(self, go_away: link_pb2.GoAway) -> None:
        """The agent ends the connection."""
        log.info("agent_goes_away", cluster_uid=self.cluster_uid, message=go_away.message[:200])
        self.wire.close(_FLUSH_SECONDS)

    # Admission

    async def _hello_before(self, running: asyncio.Task[None]) -> bool:
        """Wait for Hello; False when the connection ended without (the wire has a deadline)."""
        both: set[asyncio.Future[Any]] = {running, self._hello}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        return self._hello.done()

    async def _admit(self) -> Courier | None:
        """Let the agent in; None when it was sent away, at once where too many come."""
        refused = self._gate.enter(self.wire.now())
        if refused is not None:
            why, low, high = refused
            self._metrics.handshake_refused(why)
            self.send_away(
                link_pb2.GO_AWAY_REASON_RETRY_AFTER,
                "too many agents connect at once",
                (low, high),
            )
            return None
        try:
            return await self._check()
        finally:
            self._gate.leave()

    async def _check(self) -> Courier | None:
        """Let the agent in when its proof is right; None when it was sent away."""
        hello = self._hello.result()
        if hello.protocol_max < PROTOCOL_MIN or hello.protocol_min > PROTOCOL_MAX:
            self.send_away(
                link_pb2.GO_AWAY_REASON_INCOMPATIBLE,
                f"the agent speaks protocol {hello.protocol_min} to {hello.protocol_max}, "
                f"the control plane {PROTOCOL_MIN} to {PROTOCOL_MAX}",
            )
            return None
        try:
            identity = await self._sessions.authenticate(hello.certificate)
            proof.check(identity.public_key_der, self._nonce, hello.signature)
            if identity.expired and not hello.HasField("renewal"):
                raise CredentialsInvalid(
                    "the certificate has expired and this agent does not renew it: update the agent, or make a join "
                    "token with `skerry cluster join-token` and join again"
                )
            self.epoch = await self._sessions.connected(
                identity, agent_version=hello.agent_version[:64], boot_id=hello.boot_id[:64]
            )
            self.renewals = self._renewals(identity)
            renewal = None
            if hello.HasField("renewal"):
                renewal = await self.renewals.answer(hello.renewal)
            if identity.expired and (renewal is None or not renewal.certificate):
                raise CredentialsInvalid(
                    "the certificate has expired and could not be renewed: "
                    + (renewal.error.message if renewal else "another connection is newer")
                )
        except AgentRefused as error:
            log.warning("agent_refused", error=error.message)
            self.send_away(link_pb2.GO_AWAY_REASON_REVOKED, error.message)
            return None
        except CredentialsInvalid as error:
            log.warning("agent_refused", error=error.message)
            self.send_away(link_pb2.GO_AWAY_REASON_UNAUTHENTICATED, error.message)
            return None
        except SkerryError as error:  # the database, most likely: the agent is welcome, later
            log.error("agent_not_admitted", error=error.message, reason=error.reason)
            self.send_away(
                link_pb2.GO_AWAY_REASON_DRAINING,
                "the control plane cannot take agents now",
                (2, 10),
            )
            return None
        self.identity = identity
        self.courier = Courier(
            self.wire,
            self._sessions,
            self._clock,
            cluster_uid=identity.cluster_uid,
            epoch=self.epoch,
            fetched=hello.last_command_seq,
        )
        if not self._directory.admit(self):
            await self._sessions.disconnected(identity.cluster_uid, self.epoch, self._parting)
            return None
        self._protocol = min(hello.protocol_max, PROTOCOL_MAX)
        self._capabilities = capabilities.named(hello.capabilities)
        self._connect_time = self._clock.now()
        welcome = link_pb2.Welcome(
            protocol=self._protocol,
            epoch=self.epoch,
            limits=self._limits.to_proto(),
            now=self._now(),
            ping_interval_ms=round(self._ping_seconds * 1000),
            cluster=str(identity.cluster),
            capabilities=capabilities.OF_CONTROL_PLANE,
            renewal=renewal,
        )
        self.wire.connection.send_control(link_pb2.Frame(welcome=welcome))
        self.wire.connection.establish(
            self.wire.now(), limits=self._limits, ping_seconds=self._ping_seconds
        )
        self.wire.set_timer()
        self.wire.wake()
        log.info(
            "agent_connected",
            cluster=str(identity.cluster),
            epoch=self.epoch,
            agent_version=hello.agent_version[:64],
            last_command_seq=hello.last_command_seq,
        )
        return self.courier

    def _renewals(self, identity: AgentIdentity) -> Renewals:
        def send(frame: link_pb2.Frame) -> None:
            self.wire.connection.send_control(frame)
            self.wire.wake()

        return Renewals(
            self._sessions,
            self._clock,
            identity=identity,
            epoch=self.epoch,
            send=send,
            refuse=lambda message: self.send_away(link_pb2.GO_AWAY_REASON_REVOKED, message),
        )

    # Life

    async def _attend(
        self, running: asyncio.Task[None], courier: Courier, renewals: Renewals
    ) -> None:
        """Work for an admitted agent until the connection ends."""
        self._attended = True
        self._metrics.session_opened()
        loop = asyncio.get_running_loop()
        worker = loop.create_task(courier.run(), name="agent-link-worker")
        observer = loop.create_task(self._observe(), name="agent-link-observer")
        renewing = loop.create_task(renewals.run(), name="agent-link-renewals")
        helpers = {worker, observer, renewing}
        try:
            await asyncio.wait({running, *helpers}, return_when=asyncio.FIRST_COMPLETED)
            for task in helpers:
                if task.done() and not task.cancelled() and (error := task.exception()):
                    log.error("agent_session_failed", cluster_uid=self.cluster_uid, exc_info=error)
                    self.wire.close(_FLUSH_SECONDS)
        finally:
            for task in helpers:
                task.cancel()
            self._directory.remove(self)
            await asyncio.wait(helpers)
            self._count()
            try:
                await self._sessions.disconnected(
                    self.cluster_uid, self.epoch, self._ending(running)
                )
            except SkerryError as error:
                log.warning("disconnect_not_recorded", error=error.message)

    async def _observe(self) -> None:
        """Keep `seen` and the metrics current."""
        connection, cluster_uid = self.wire.connection, self.cluster_uid
        heard = latest = 0.0
        while True:
            if connection.heard > heard:
                heard, trip = connection.heard, connection.round_trip.latest
                self._sessions.seen(
                    cluster_uid, self.epoch, timedelta(seconds=trip) if trip else None
                )
                if trip and trip != latest:
                    latest = trip
                    self._metrics.round_trip(trip)
            self._count()
            self._note_waiting()
            await self._clock.sleep(self._ping_seconds / 2)

    def _note_waiting(self) -> None:
        if self.courier is not None:
            now = self._clock.now()
            self._commands_wait.look(self.courier.oldest_command, now)
            self._reports_wait.look(self.courier.oldest_report, now)

    # The end

    def _ending(self, running: asyncio.Task[None]) -> str:
        """Why the connection ended, in a word."""
        if not running.done():
            return self._parting or "FAILED"
        match None if running.cancelled() else running.exception():
            case None:
                return self._parting or "CLOSED"
            case PeerSilentError():
                return "SILENT"
            case ProtocolError():
                return "PROTOCOL_ERROR"
            case WireError():
                return self._parting or "LOST"
            case _:
                return "FAILED"

    def _say_goodbye(self, running: asyncio.Task[None]) -> None:
        error = None if running.cancelled() else running.exception()
        reason = self._ending(running)
        if error is not None and reason == "FAILED":
            log.error("agent_link_failed", cluster_uid=self.cluster_uid, exc_info=error)
        if self._attended:
            self._metrics.session_closed(reason)
            log.info(
                "agent_disconnected",
                cluster_uid=self.cluster_uid,
                epoch=self.epoch,
                reason=reason,
                error=str(error) if error else None,
            )
        elif error is not None:
            log.info("agent_connection_failed", reason=reason, error=str(error))

    def _count(self) -> None:
        connection = self.wire.connection
        for direction, traffic in (("in", connection.received), ("out", connection.sent)):
            for lane, frames, size in _lanes(traffic):
                key = (direction, lane)
                frames_before, size_before = self._counted.get(key, (0, 0))
                if (
                    frames != frames_before
                ):  # an idle agent has one lane at work, and there are thousands
                    self._counted[key] = (frames, size)
                    self._metrics.traffic(
                        direction, lane, frames - frames_before, size - size_before
                    )
        for reason, count in connection.resets.items():
            before = self._counted_resets.get(reason, 0)
            self._counted_resets[reason] = count
            if count > before:
                self._metrics.streams_reset(reason, count - before)

    def _now(self) -> Timestamp:
        timestamp = Timestamp()
        timestamp.FromDatetime(self._clock.now())
        return timestamp


def _lanes(traffic: Traffic) -> tuple[tuple[str, int, int], ...]:
    return (
        ("control", traffic.control_frames, traffic.control_bytes),
        ("interactive", traffic.interactive_frames, traffic.interactive_bytes),
        ("bulk", traffic.bulk_frames, traffic.bulk_bytes),
    )
