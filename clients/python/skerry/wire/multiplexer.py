"""The streams of one connection, multiplexed: opening, credit, data in both directions, ends, orphans.

Used by `connection` alone, which hands over the frames that have a stream and asks for what is due.
Who may send how much: see `credit`. What is written first: see `scheduler`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from skerry.agent.v1 import link_pb2
from skerry.wire.credit import BulkWindows, RoundTrip
from skerry.wire.data import StreamData
from skerry.wire.errors import (
    LinkLost,
    MessageTooLarge,
    ProtocolError,
    StreamFinished,
    StreamReset,
    TooManyStreams,
)
from skerry.wire.events import Event, Readable, StreamEnded, StreamOpened, Writable
from skerry.wire.limits import (
    INTERACTIVE_CREDIT,
    KIB,
    MAX_QUEUED_FRAMES,
    OPENS_DELAYED_SECONDS,
    Limits,
)
from skerry.wire.rate import TokenBucket
from skerry.wire.scheduler import Scheduler, Traffic
from skerry.wire.streams import NEVER, StreamState, grant_threshold

_SMALL_OPEN_BYTES = 4 * KIB
_MAX_SKIPPED = 4_096

_INVALID_ARGUMENT, _DEADLINE_EXCEEDED, _RESOURCE_EXHAUSTED = 3, 4, 8
_UNIMPLEMENTED, _DATA_LOSS = 12, 15


class Multiplexer:
    """One end's half of every stream. `probe` is called when a busy stream wants the round trip measured."""

    def __init__(
        self,
        *,
        first_id: int,
        limits: Limits,
        scheduler: Scheduler,
        received: Traffic,
        round_trip: RoundTrip,
        emit: Callable[[Event], None],
        probe: Callable[[float], None],
    ) -> None:
        self.streams: dict[int, StreamState] = {}
        self.unread: dict[int, StreamState] = {}
        """Streams that are over while their consumer still has data to take: they count as open here."""
        self.resets: dict[str, int] = {}
        self._scheduler = scheduler
        self._received = received
        self._round_trip = round_trip
        self._emit = emit
        self._probe = probe
        self._next_id = first_id
        self._last_peer_id = 0
        self._skipped_peer_ids: set[int] = set()  # a large Open comes after later small ones
        self.adopt(limits)

    def adopt(self, limits: Limits) -> None:
        """The limits agreed in the handshake; before any stream."""
        self._limits = limits
        rate = limits.opens_per_second
        burst = max(limits.max_streams, rate)
        self._opens = TokenBucket(per_second=rate, at_once=burst)
        self._peer_opens = TokenBucket(
            per_second=rate, at_once=burst + rate * OPENS_DELAYED_SECONDS
        )
        self.windows = BulkWindows(
            pool=limits.connection_credit, initial=limits.initial_stream_credit
        )

    @property
    def full(self) -> bool:
        """No more streams may be open at a time."""
        return len(self.streams) + len(self.unread) >= self._limits.max_streams

    # From this end

    def open(self, open_: link_pb2.Open, now: float) -> StreamState:
        """Open a stream; `credit` is filled in. Raises `TooManyStreams`, `MessageTooLarge`."""
        if self.full:
            raise TooManyStreams(
                f"{self._limits.max_streams} streams are open on this connection, which is its limit"
            )
        if not self._opens.take(now):
            raise TooManyStreams(
                f"more than {self._limits.opens_per_second} streams a second were opened on this connection, which is its limit"
            )
        interactive = open_.lane == link_pb2.LANE_INTERACTIVE
        stream = self._new_stream(
            self._next_id,
            interactive=interactive,
            local=True,
            send_limit=self._initial_credit(interactive),
            now=now,
        )
        frame = link_pb2.Frame(stream_id=stream.id, open=open_)
        frame.open.credit = stream.window
        size = frame.ByteSize()
        if size > self._limits.max_message_bytes - 128 * KIB:
            raise MessageTooLarge(size, self._limits.max_message_bytes - 128 * KIB)
        self._next_id += 2
        self.streams[stream.id] = stream
        if open_.deadline_ms:
            stream.answer_by = now + open_.deadline_ms / 1000
        if size <= _SMALL_OPEN_BYTES:
            self._scheduler.control(frame)
        else:
            stream.opening = frame
            self._scheduler.schedule(stream)
        return stream

    def send(
        self,
        stream: StreamState,
        payload: bytes,
        channel: link_pb2.Channel.ValueType = link_pb2.CHANNEL_UNSPECIFIED,
    ) -> None:
        """Queue one Data frame. The caller has made sure of credit: see `StreamState.send_limit`."""
        if stream.fin_queued:
            raise StreamFinished("the stream was finished; nothing can be sent on it any more")
        stream.outbound.append((payload, channel))
        stream.enqueued += len(payload)
        if stream.enqueued > stream.send_limit:
            raise ProtocolError("more was sent than the peer's credit allows")
        if not stream.scheduled:
            self._scheduler.schedule(stream)

    def finish(self, stream: StreamState) -> None:
        """Nothing follows in this direction. Doing it twice is doing it once."""
        if not stream.closed and not stream.fin_queued:
            stream.fin_queued = True
            self._scheduler.schedule(stream)

    def reset(self, stream: StreamState, code: int, reason: str, message: str) -> None:
        """End the stream at once and tell the peer."""
        if stream.closed:
            return
        if stream.opening is None:  # else the peer has never heard of it
            frame = link_pb2.Frame(stream_id=stream.id)
            frame.reset.status.code = code
            frame.reset.status.reason = reason
            frame.reset.status.message = message
            self._scheduler.control(frame)
        self._count_reset(reason)
        self._end(stream, StreamReset(code, reason, message))

    def abandon(self, stream: StreamState) -> None:
        """Nobody takes what arrives any more: drop it, and what follows."""
        stream.abandoned = True
        stream.inbound.clear()
        stream.consumed = stream.received
        if stream.closed or stream.fin_received:
            self._settle(stream)

    def consumed(self, stream: StreamState, size: int, now: float) -> bool:
        """The final consumer took `size` bytes. True when a credit frame waits to be written."""
        stream.consumed += size
        if stream.consumed < stream.grant_at:
            return False
        if stream.closed or stream.fin_received:
            self._settle(stream)
            return False
        return self._grant(stream, now)

    # From the peer

    def on_data(self, frame: link_pb2.Frame) -> None:
        """Bytes of a stream: put down for its consumer, who is woken if it waits."""
        stream = self.streams.get(frame.stream_id)
        if stream is None:
            self._check_unknown(frame.stream_id)
            return
        data = frame.data
        payload = data.payload
        size = len(payload)
        received = self._received
        if stream.interactive:
            received.interactive_frames += 1
            received.interactive_bytes += size
        else:
            received.bulk_frames += 1
            received.bulk_bytes += size
        if not stream.answered:
            stream.answered = True
            stream.answer_by = None
        if (
            data.offset != stream.received
            or stream.received + size > stream.granted
            or size > stream.max_frame
            or stream.fin_received
            or len(stream.inbound) >= MAX_QUEUED_FRAMES
        ):
            self._refuse_data(stream, data, size)
            return
        if size:
            stream.received += size
            if stream.abandoned:
                stream.consumed = stream.received
            else:
                stream.inbound.append(StreamData(payload, data.channel))
        if data.fin:
            stream.fin_received = True
            self._settle(stream)
            self.forget_if_done(stream)
        if stream.reader_waits and (size or stream.fin_received):
            stream.reader_waits = False
            self._emit(Readable(stream))

    def on_open(self, frame: link_pb2.Frame, now: float) -> None:
        """The peer opens a stream."""
        stream_id, open_ = frame.stream_id, frame.open
        self._take_peer_id(stream_id)
        interactive = open_.lane == link_pb2.LANE_INTERACTIVE
        stream = self._new_stream(
            stream_id,
            interactive=interactive,
            local=False,
            send_limit=open_.credit,
            now=now,
            window=self._initial_credit(interactive),
        )
        stream.answered = True
        self.streams[stream_id] = stream
        if len(self.streams) + len(self.unread) > self._limits.max_streams:
            self.reset(
                stream,
                _RESOURCE_EXHAUSTED,
                "LINK_LIMIT_EXCEEDED",
                f"{self._limits.max_streams} streams are open on this connection, which is its limit",
            )
            return
        if not self._peer_opens.take(now):
            self.reset(
                stream,
                _RESOURCE_EXHAUSTED,
                "LINK_LIMIT_EXCEEDED",
                f"more than {self._limits.opens_per_second} streams a second were opened on this connection, which is its limit",
            )
            return
        self._emit(StreamOpened(stream, open_))

    def on_credit(self, frame: link_pb2.Frame, now: float) -> None:
        """The peer lets us send more."""
        del now
        stream = self.streams.get(frame.stream_id)
        if stream is None:
            self._check_unknown(frame.stream_id)
            return
        limit = frame.credit.max_offset
        if limit > stream.send_limit:  # cumulative: an old or repeated one changes nothing
            stream.send_limit = limit
            if stream.sender_waits:
                stream.sender_waits = False
                self._emit(Writable(stream))

    def on_reset(self, frame: link_pb2.Frame, now: float) -> None:
        """The peer ends a stream at once."""
        del now
        stream = self.streams.get(frame.stream_id)
        if stream is None:
            self._check_unknown(frame.stream_id)
            return
        status = frame.reset.status
        self._count_reset(status.reason or "UNSPECIFIED")
        self._end(stream, StreamReset(status.code, status.reason, status.message))

    def on_sync(self, frame: link_pb2.Frame, now: float) -> None:
        """Drop streams that the peer no longer holds.

        Frames arrive in the order they were written, so a stream the peer opened is an orphan when
        the peer does not list it. One that we opened may still be on its way: only when the peer has
        said something on it, or has left it out twice in a row, it is.
        """
        del now
        held = set(frame.sync_streams.stream_ids)
        for stream in list(self.streams.values()):
            if stream.id in held:
                stream.missing_in_sync = False
            elif stream.answered or not stream.local or stream.missing_in_sync:
                self.reset(stream, _DATA_LOSS, "LINK_LOST", "the peer no longer holds the stream")
            else:
                stream.missing_in_sync = True

    def on_unknown(self, frame: link_pb2.Frame) -> None:
        """A newer peer's kind of frame: its stream cannot work, the connection can."""
        stream = self.streams.get(frame.stream_id)
        if stream is not None:
            self.reset(stream, _UNIMPLEMENTED, "INVALID_FIELD", "a frame of a kind not known here")

    # What is due

    def next_deadline(self) -> float:
        """When a stream must have been answered, at the earliest; infinity when none waits."""
        return min(
            (stream.answer_by for stream in self.streams.values() if stream.answer_by is not None),
            default=math.inf,
        )

    def expire(self, now: float) -> None:
        """Reset streams that the peer did not answer in time."""
        for stream in list(self.streams.values()):
            if stream.answer_by is not None and now >= stream.answer_by:
                self.reset(
                    stream,
                    _DEADLINE_EXCEEDED,
                    "DEADLINE_EXCEEDED",
                    "the peer did not answer in time",
                )

    def lose(self, message: str) -> None:
        """The transport is gone: every stream ends with `LinkLost`."""
        for stream in list(self.streams.values()):
            self._end(stream, LinkLost(message=message))

    def written(self) -> None:
        """A batch was taken from the scheduler: wake senders that have room, drop streams that are over."""
        scheduler = self._scheduler
        if scheduler.drained:
            for stream in scheduler.drained:
                if stream.sender_waits:
                    stream.sender_waits = False
                    self._emit(Writable(stream))
            scheduler.drained.clear()
        if scheduler.finished:
            for stream in scheduler.finished:
                self.forget_if_done(stream)
            scheduler.finished.clear()

    # Bookkeeping

    def _refuse_data(self, stream: StreamState, data: link_pb2.Data, size: int) -> None:
        if data.offset != stream.received or stream.fin_received:
            code, reason, message = (
                _DATA_LOSS,
                "LINK_LOST",
                f"data at offset {data.offset}, but {stream.received} was next",
            )
        elif size > stream.max_frame:
            code, reason, message = (
                _INVALID_ARGUMENT,
                "LINK_LIMIT_EXCEEDED",
                f"a frame of {size} bytes; the limit is {stream.max_frame}",
            )
        elif stream.received + size > stream.granted:
            code, reason, message = (
                _RESOURCE_EXHAUSTED,
                "FLOW_CONTROL",
                f"data up to {stream.received + size}, but only {stream.granted} was granted",
            )
        else:
            code, reason, message = (
                _RESOURCE_EXHAUSTED,
                "SLOW_CONSUMER",
                f"{MAX_QUEUED_FRAMES} frames wait to be consumed, which is the limit of a stream",
            )
        self.reset(stream, code, reason, message)

    def _check_unknown(self, stream_id: int) -> None:
        """A frame of a stream that is over is a race; of one that never was, a mistake."""
        ours = stream_id % 2 == self._next_id % 2
        newest = self._next_id - 2 if ours else self._last_peer_id
        if not 0 < stream_id <= newest:
            raise ProtocolError(f"a frame of stream {stream_id}, which was never opened")

    def _take_peer_id(self, stream_id: int) -> None:
        """An id is used once. One may be skipped and used later, within bounds."""
        skipped = self._skipped_peer_ids
        if stream_id in skipped:
            skipped.remove(stream_id)
            return
        first = self._last_peer_id + 2 if self._last_peer_id else 1 + self._next_id % 2
        if stream_id % 2 != first % 2 or stream_id < first or stream_id - first > _MAX_SKIPPED:
            raise ProtocolError(f"a stream was opened with the id {stream_id}, which is not free")
        skipped.update(range(first, stream_id, 2))
        while len(skipped) > _MAX_SKIPPED:  # reset before they were told of: they never come
            skipped.remove(min(skipped))
        self._last_peer_id = stream_id

    def _new_stream(
        self,
        stream_id: int,
        *,
        interactive: bool,
        local: bool,
        send_limit: int,
        now: float,
        window: int | None = None,
    ) -> StreamState:
        return StreamState(
            stream_id,
            interactive=interactive,
            local=local,
            max_frame=self._limits.max_frame_bytes,
            send_limit=send_limit,
            window=window or self._initial_credit(interactive),
            now=now,
        )

    def _initial_credit(self, interactive: bool) -> int:
        """What a stream starts with: told in Open one way, known from the limits the other way."""
        initial = self._limits.initial_stream_credit
        return min(initial, INTERACTIVE_CREDIT) if interactive else initial

    def _grant(self, stream: StreamState, now: float) -> bool:
        if not stream.interactive:
            windows = self.windows
            windows.turned_around(now - stream.granted_time, self._round_trip)
            window = min(windows.window(stream.id), windows.affordable(stream.reserved))
            stream.window = window
            self._probe(now)
        limit = stream.consumed + stream.window
        stream.granted_time = now
        if limit <= stream.granted:  # the window shrank: wait until it is used up
            stream.grant_at = grant_threshold(stream.granted, stream.window, stream.max_frame)
            stream.grant_at = max(stream.grant_at, stream.consumed + 1)
            return False
        stream.granted = limit
        stream.grant_at = grant_threshold(limit, stream.window, stream.max_frame)
        if not stream.interactive:
            held = max(0, limit - stream.consumed - self._limits.initial_stream_credit)
            self.windows.reserved += held - stream.reserved
            stream.reserved = held
        frame = link_pb2.Frame(stream_id=stream.id)
        frame.credit.max_offset = limit
        self._scheduler.control(frame, stream.id)
        return True

    def _settle(self, stream: StreamState) -> None:
        """Nothing more arrives: of the pool the stream keeps what its consumer has not taken yet."""
        held = stream.received - stream.consumed
        if stream.reserved:
            keeps = max(0, min(stream.reserved, held - self._limits.initial_stream_credit))
            self.windows.reserved += keeps - stream.reserved
            stream.reserved = keeps
        stream.grant_at = stream.received if held else NEVER
        if not held:
            self.unread.pop(stream.id, None)
        elif stream.closed:
            self.unread[stream.id] = stream

    def forget_if_done(self, stream: StreamState) -> None:
        """Both directions have ended and this end's last frame is written."""
        if stream.fin_sent and stream.fin_received and not stream.closed:
            stream.closed = True
            del self.streams[stream.id]
            self._settle(stream)
            self._emit(StreamEnded(stream))

    def _end(self, stream: StreamState, error: StreamReset) -> None:
        """Over at once. What has arrived may still be read; what was not written is dropped."""
        stream.closed = True
        stream.error = error
        stream.answer_by = None
        self._settle(stream)
        self._scheduler.drop(stream)
        self.streams.pop(stream.id, None)
        for waits, event in (
            (stream.reader_waits, Readable(stream)),
            (stream.sender_waits, Writable(stream)),
        ):
            if waits:
                self._emit(event)
        stream.reader_waits = stream.sender_waits = False
        self._emit(StreamEnded(stream))

    def _count_reset(self, reason: str) -> None:
        self.resets[reason] = self.resets.get(reason, 0) + 1
