"""The protocol of one connection, as a state machine: messages and a clock in, messages and events out.

Both ends are this class; `Role` says which. It does no I/O, starts no task and reads no clock, so a
test can drive two of them through any schedule. `session` is its asyncio shell. The order of use:

    events = connection.receive(envelope, now)     # whenever one arrived
    events = connection.tick(now)                  # at `next_deadline()` at the latest
    envelope, events = connection.next_message(now)   # whenever the transport can take one

Streams: see `multiplexer`. Who may send how much: `credit`. What is written first: `scheduler`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from enum import Enum

from skerry.agent.v1 import link_pb2
from skerry.wire.congestion import BulkBudget
from skerry.wire.credit import RoundTrip
from skerry.wire.errors import ConnectionRefused, MessageTooLarge, ProtocolError
from skerry.wire.events import Event, FrameArrived, PeerGoesAway, PeerSilent
from skerry.wire.limits import HANDSHAKE_SECONDS, KIB, SYNC_SECONDS, Limits
from skerry.wire.liveness import Liveness
from skerry.wire.multiplexer import Multiplexer
from skerry.wire.scheduler import Envelope, Scheduler, Traffic
from skerry.wire.streams import StreamState

_PROBE_SECONDS = 0.05  # how often a busy bulk stream measures the round trip, at most


class Role(Enum):
    """Which end this is."""

    AGENT = "agent"
    CONTROL_PLANE = "control-plane"


class Phase(Enum):
    """Where the connection stands."""

    HANDSHAKE = "handshake"
    OPEN = "open"
    CLOSED = "closed"


_HANDSHAKE_KINDS = {
    Role.AGENT: frozenset({"challenge", "welcome"}),
    Role.CONTROL_PLANE: frozenset({"hello"}),
}
_PASSED_ON = {
    Role.AGENT: frozenset(
        {"command", "command_cancel", "result_ack", "report_ack", "renew_result", "renew_now"}
    ),
    Role.CONTROL_PLANE: frozenset(
        {
            "command_ack",
            "command_progress",
            "command_result",
            "report",
            "renew_request",
            "renew_stored",
        }
    ),
}


class Connection:
    """One end of one connection. Times are seconds of a monotonic clock."""

    def __init__(
        self,
        role: Role,
        *,
        now: float,
        limits: Limits | None = None,
        ping_seconds: float = 15.0,
    ) -> None:
        self.role = role
        self.phase = Phase.HANDSHAKE
        self.limits = limits or Limits()
        self.round_trip = RoundTrip()
        self.sent = Traffic()
        self.received = Traffic()
        self._envelope: Callable[[], Envelope] = (
            link_pb2.ConnectRequest if role is Role.AGENT else link_pb2.ConnectResponse
        )
        self._scheduler = Scheduler(self.sent)
        self._events: list[Event] = []
        self._mux = Multiplexer(
            first_id=1 if role is Role.AGENT else 2,
            limits=self.limits,
            scheduler=self._scheduler,
            received=self.received,
            round_trip=self.round_trip,
            emit=lambda event: self._events.append(event),
            probe=self._probe,
        )
        self.streams = self._mux.streams
        """The streams that this end holds, by id."""
        self.resets = self._mux.resets
        """How many streams either end reset, by reason."""
        self._liveness = Liveness(asks=role is Role.CONTROL_PLANE, now=now, interval=ping_seconds)
        self._handshake_by = now + HANDSHAKE_SECONDS
        self._sync_due = now + SYNC_SECONDS
        self._sync_wanted = False
        self._ping_id = 0
        self._ping_wanted = False
        self._budget = BulkBudget()
        self._peer_goes_away = False
        self._handlers: dict[str, Callable[[link_pb2.Frame, float], None]] = {
            "open": self._mux.on_open,
            "credit": self._mux.on_credit,
            "reset": self._mux.on_reset,
            "ping": self._on_ping,
            "pong": self._on_pong,
            "go_away": self._on_go_away,
            "sync_streams": self._mux.on_sync,
        }

    # The connection itself

    def establish(self, now: float, *, limits: Limits, ping_seconds: float) -> None:
        """The handshake is over: Welcome was sent. On the agent's end receiving Welcome does it."""
        if self.phase is not Phase.HANDSHAKE:
            raise ProtocolError("a second Welcome")
        self.phase = Phase.OPEN
        self.limits = limits
        self._mux.adopt(limits)
        self._liveness.begin(now, ping_seconds)
        self._ping(now)
        self._sync_due = now + SYNC_SECONDS

    def go_away(
        self,
        reason: link_pb2.GoAwayReason.ValueType,
        message: str,
        *,
        reconnect_seconds: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """Tell the peer that this connection ends; nothing may be opened any more."""
        low, high = reconnect_seconds
        go_away = link_pb2.GoAway(
            reason=reason,
            message=message,
            reconnect_min_ms=round(low * 1000),
            reconnect_max_ms=round(high * 1000),
        )
        self._scheduler.control(link_pb2.Frame(go_away=go_away))
        self._peer_goes_away = True

    def lose(self, message: str) -> list[Event]:
        """The transport is gone: every stream ends with `LinkLost`."""
        self.phase = Phase.CLOSED
        self._mux.lose(message)
        return self._take_events()

    def next_deadline(self) -> float:
        """When `tick` must be called at the latest."""
        if self.phase is Phase.HANDSHAKE:
            return self._handshake_by
        return min(
            self._liveness.ask_at,
            self._liveness.silent_at,
            self._sync_due,
            self._mux.next_deadline(),
        )

    def tick(self, now: float) -> list[Event]:
        """Do what is due."""
        if self.phase is Phase.HANDSHAKE:
            if now >= self._handshake_by:
                self._events.append(PeerSilent(HANDSHAKE_SECONDS))
            return self._take_events()
        if self._liveness.is_silent(now):
            self._events.append(PeerSilent(now - self.heard))
            return self._take_events()
        if now >= self._liveness.ask_at:
            self._ping(now)
        if now >= self._sync_due:
            self._sync_wanted = True
            self._sync_due = now + SYNC_SECONDS
        self._mux.expire(now)
        return self._take_events()

    def receive(self, envelope: Envelope, now: float) -> list[Event]:
        """Take in one message of the peer. Raises `ProtocolError` when it broke the protocol."""
        self._liveness.note_heard(now)
        on_data = self._mux.on_data
        for frame in envelope.frames:
            kind = frame.WhichOneof("kind")
            if kind == "data":
                on_data(frame)
            else:
                self._on_frame(kind, frame, now)
        return self._take_events()

    def next_message(self, now: float) -> tuple[Envelope | None, list[Event]]:
        """The next message to write, or None when nothing may be written now."""
        scheduler = self._scheduler
        if self._sync_wanted:
            # The list is made here and not when it is due: what is written before it is what the peer
            # has seen when it reads it, and a stream opened meanwhile must be on it.
            self._sync_wanted = False
            frame = link_pb2.Frame()
            frame.sync_streams.stream_ids.extend(self.streams)
            scheduler.control(frame)
        if not self.has_output:
            return None, self._take_events()
        budget = self._budget
        envelope = self._envelope()
        scheduler.fill(envelope, budget.allowance)
        budget.wrote(self.sent.bulk_bytes)
        if scheduler.has_bulk and not budget.allowance:
            budget.held_back()
        if self._ping_wanted or budget.wants_mark:
            self._mark(envelope, now)
        self._mux.written()
        return (envelope if envelope.frames else None), self._take_events()

    @property
    def heard(self) -> float:
        """When the last message arrived."""
        return self._liveness.heard

    @property
    def has_output(self) -> bool:
        """Whether `next_message` has something."""
        scheduler, budget = self._scheduler, self._budget
        return (
            scheduler.urgent
            or self._sync_wanted
            or self._ping_wanted
            or (scheduler.has_bulk and (budget.allowance > 0 or budget.wants_mark))
        )

    # Frames of the layer above

    def send_control(self, frame: link_pb2.Frame, key: Hashable = None) -> None:
        """Queue a small urgent frame. With a key, replaces what waits under the same key."""
        self._scheduler.control(frame, key)

    def send_exchange(self, frame: link_pb2.Frame, key: Hashable = None) -> None:
        """Queue a frame of commands or reports. With a key, replaces what waits under it.

        Raises `MessageTooLarge` for one that the peer would not take.
        """
        size = frame.ByteSize()
        if size > self.limits.max_message_bytes - 128 * KIB:  # room for a batch beside it
            raise MessageTooLarge(size, self.limits.max_message_bytes - 128 * KIB)
        self._scheduler.exchange(frame, key)

    def drop_exchange(self, key: Hashable) -> None:
        """What waits under the key is no longer worth saying."""
        self._scheduler.forget(key)

    # Streams: see `Multiplexer`

    def open(self, open_: link_pb2.Open, now: float) -> StreamState:
        """Open a stream; `credit` is filled in. Raises `ConnectionRefused`, `MessageTooLarge`."""
        if self.phase is not Phase.OPEN or self._peer_goes_away:
            raise ConnectionRefused("the connection is closed or going away")
        return self._mux.open(open_, now)

    @property
    def full(self) -> bool:
        """No more streams may be open at a time."""
        return self._mux.full

    def send(
        self,
        stream: StreamState,
        payload: bytes,
        channel: link_pb2.Channel.ValueType = link_pb2.CHANNEL_UNSPECIFIED,
    ) -> None:
        """Queue one Data frame. The caller has made sure of credit: see `StreamState.send_limit`."""
        self._mux.send(stream, payload, channel)

    def finish(self, stream: StreamState) -> None:
        """Nothing follows in this direction. Doing it twice is doing it once."""
        self._mux.finish(stream)

    def reset(self, stream: StreamState, code: int, reason: str, message: str) -> None:
        """End the stream at once and tell the peer; what was not consumed is dropped."""
        self._mux.reset(stream, code, reason, message)
        self._mux.abandon(stream)

    def abandon(self, stream: StreamState) -> None:
        """Nobody takes what arrives on the stream any more: drop it, and what follows."""
        self._mux.abandon(stream)

    def consumed(self, stream: StreamState, size: int, now: float) -> bool:
        """The final consumer took `size` bytes. True when a credit frame waits to be written."""
        return self._mux.consumed(stream, size, now)

    def take_events(self) -> list[Event]:
        """Events that a call without a result of its own gave rise to."""
        return self._take_events()

    # Receiving

    def _on_frame(self, kind: str | None, frame: link_pb2.Frame, now: float) -> None:
        self.received.control_frames += 1
        self.received.control_bytes += frame.ByteSize()
        if kind is None:
            self._mux.on_unknown(frame)
            return
        if self.phase is Phase.HANDSHAKE:
            if kind in _HANDSHAKE_KINDS[self.role]:
                if kind == "welcome":  # at once: what follows may be in the same message
                    self.establish(
                        now,
                        limits=Limits.from_proto(frame.welcome.limits),
                        ping_seconds=max(frame.welcome.ping_interval_ms, 100) / 1000,
                    )
                self._events.append(FrameArrived(kind, frame))
            elif kind in ("go_away", "ping", "pong"):
                self._handlers[kind](frame, now)
            else:
                raise ProtocolError(f"{kind} before the handshake was over")
            return
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(frame, now)
        elif kind in _PASSED_ON[self.role]:
            self._events.append(FrameArrived(kind, frame))
        else:
            raise ProtocolError(f"{kind} is not for the {self.role.value} to receive now")

    def _on_ping(self, frame: link_pb2.Frame, now: float) -> None:
        del now
        pong = link_pb2.Frame()
        pong.pong.id = frame.ping.id
        pong.pong.sent_us = frame.ping.sent_us
        self._scheduler.control(pong, "pong")

    def _on_pong(self, frame: link_pb2.Frame, now: float) -> None:
        trip = self._budget.acknowledge(frame.pong.id, now)
        if trip is None:
            return
        self.round_trip.sample(trip)
        self._liveness.note_round_trip(self.round_trip.smoothed)
        self._mux.windows.adapt(self.round_trip, now)

    def _on_go_away(self, frame: link_pb2.Frame, now: float) -> None:
        del now
        self._peer_goes_away = True
        self._events.append(PeerGoesAway(frame.go_away))

    # Bookkeeping

    def _probe(self, now: float) -> None:
        """A busy stream wants to know the round trip."""
        if self._liveness.since_asked(now) >= _PROBE_SECONDS:
            self._ping(now)

    def _ping(self, now: float) -> None:
        """Ask with the next message."""
        self._ping_wanted = True
        self._liveness.note_asked(now)

    def _mark(self, envelope: Envelope, now: float) -> None:
        """Add a ping: its pong says that the peer lives, how far it is, and that this message has arrived."""
        self._ping_wanted = False
        self._ping_id += 1
        frame = envelope.frames.add()
        frame.ping.id = self._ping_id
        frame.ping.sent_us = int(now * 1_000_000)
        self.sent.control_frames += 1
        self.sent.control_bytes += frame.ByteSize()
        self._budget.mark(self._ping_id, now)

    def _take_events(self) -> list[Event]:
        events = self._events
        if events:
            self._events = []
        return events
