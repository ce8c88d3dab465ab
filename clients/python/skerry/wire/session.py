"""The asyncio shell of one connection: one task that reads, one that writes, one timer.

Nothing else touches the transport, and no read or write that is under way is ever cancelled: grpc
would end the whole call and leak (grpc/grpc#43360). The reader waits for nobody: it hands data to the
core and wakes who waits. A consumer that stalls therefore holds up its own stream and nothing else.

Used by `agent.link` and `controlplane.link`, each with its own transport.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from skerry.agent.v1 import link_pb2
from skerry.wire.connection import Connection, Phase
from skerry.wire.data import StreamData
from skerry.wire.errors import (
    MessageTooLarge,
    PeerSilentError,
    ProtocolError,
    StreamFinished,
    TransportError,
    WireError,
)
from skerry.wire.events import (
    Event,
    FrameArrived,
    PeerGoesAway,
    PeerSilent,
    Readable,
    StreamEnded,
    StreamOpened,
    Writable,
)
from skerry.wire.limits import SEND_BUFFER
from skerry.wire.scheduler import Envelope
from skerry.wire.streams import StreamState

_FLUSH_SECONDS = 1.0
_UNSPECIFIED = link_pb2.CHANNEL_UNSPECIFIED


class Transport(Protocol):
    """A bidirectional stream of envelopes. Errors are raised as `TransportError`."""

    async def read(self) -> Envelope | None:
        """The next message, or None when the peer has ended."""
        ...

    async def write(self, message: Any) -> None:
        """Takes an envelope of this end's type; returns when the next one may be written."""
        ...

    async def finish_writing(self) -> bool:
        """Nothing follows. True when the peer's own end is worth waiting for."""
        ...

    def cancel(self) -> None:
        """End the call now; a read or write under way returns or fails soon after."""
        ...


class SessionOwner(Protocol):
    """Told what arrives, from the reader's task: must not wait.

    `frame_arrived` may raise `ProtocolError`, which ends the connection; nothing else may be raised.
    """

    def frame_arrived(self, kind: str, frame: link_pb2.Frame) -> None:
        """A frame of the handshake, of commands or of reports."""
        ...

    def stream_opened(self, stream: LinkStream, open_: link_pb2.Open) -> None:
        """The peer opened a stream."""
        ...

    def stream_ended(self, stream: LinkStream) -> None:
        """The stream is over; `stream.error` says why if it did not end well."""
        ...

    def peer_goes_away(self, go_away: link_pb2.GoAway) -> None:
        """The peer will end the connection."""
        ...


class Session:
    """One connection, running."""

    def __init__(
        self, connection: Connection, transport: Transport, owner: SessionOwner, *, name: str
    ) -> None:
        self.connection = connection
        self.tasks: set[asyncio.Task[None]] = set()
        """The reader and the writer. They end by themselves once the transport has."""
        self._transport = transport
        self._owner = owner
        self._name = name
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._writer_waits: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._streams: dict[int, LinkStream] = {}
        self._closing = False
        self._failure: WireError | None = None

    async def run(self) -> None:
        """Carry the connection until it ends.

        Returns after a proper end by either side; raises `TransportError`, `PeerSilentError` or
        `ProtocolError` otherwise. All streams have ended by then.
        """
        for coroutine, role in ((self._read(), "reader"), (self._write(), "writer")):
            task = self._loop.create_task(coroutine, name=f"{self._name}-{role}")
            self.tasks.add(task)
            task.add_done_callback(self._task_done)
        self.set_timer()
        try:
            await self._ended
        finally:
            if self._timer is not None:
                self._timer.cancel()
            if not self._ended.done():
                self._ended.cancel()
            self._dispatch(self.connection.lose("the connection to the peer was lost"))
            self._transport.cancel()
            self.wake()

    def close(self, flush_seconds: float) -> None:
        """Write what is queued, then end; end anyway after `flush_seconds`."""
        if not self._closing:
            self._closing = True
            self._loop.call_later(flush_seconds, self._end, None)
            self.wake()

    def open(self, open_: link_pb2.Open) -> LinkStream:
        """Open a stream. Raises `ConnectionRefused`, `MessageTooLarge`."""
        state = self.connection.open(open_, self._loop.time())
        stream = self._streams[state.id] = LinkStream(self, state)
        if state.answer_by is not None:
            self.set_timer()
        self.wake()
        return stream

    def new_waiter(self) -> asyncio.Future[None]:
        """A future of this connection's loop."""
        return self._loop.create_future()

    def wake(self) -> None:
        """Something was queued for the peer."""
        waiter = self._writer_waits
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def now(self) -> float:
        """The clock that the connection runs on."""
        return self._loop.time()

    def settle(self) -> None:
        """Deliver events that a call of this end gave rise to, and write what it queued."""
        self._dispatch(self.connection.take_events())
        self.wake()

    def set_timer(self) -> None:
        """Be called when the connection has something due."""
        if self._timer is not None:
            self._timer.cancel()
        if not self._ended.done():
            self._timer = self._loop.call_at(self.connection.next_deadline(), self._tick)

    async def _read(self) -> None:
        connection, transport, now = self.connection, self._transport, self._loop.time
        try:
            while (message := await transport.read()) is not None:
                if self._ended.done():
                    return
                events = connection.receive(message, now())
                if events:
                    self._dispatch(events)
                if connection.has_output:
                    self.wake()
        except ProtocolError as error:
            self._break(error)
        except WireError as error:
            self._end(error)
        else:
            self._end(None)

    async def _write(self) -> None:
        connection, transport, now = self.connection, self._transport, self._loop.time
        try:
            while not self._ended.done():
                message, events = connection.next_message(now())
                if events:
                    self._dispatch(events)
                if message is not None:
                    await transport.write(message)
                elif self._closing:
                    break
                else:
                    self._writer_waits = self._loop.create_future()
                    await self._writer_waits
                    self._writer_waits = None
            if not self._ended.done() and not await transport.finish_writing():
                self._end(None)
        except WireError as error:
            self._end(error)

    def _tick(self) -> None:
        if self._ended.done():
            return
        self._dispatch(self.connection.tick(self._loop.time()))
        self.wake()
        self.set_timer()

    def _break(self, error: ProtocolError) -> None:
        """Tell the peer what it did, then end."""
        self._failure = error
        self.connection.go_away(link_pb2.GO_AWAY_REASON_PROTOCOL_ERROR, str(error))
        self.close(flush_seconds=_FLUSH_SECONDS)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if task.cancelled():  # grpc raises CancelledError when the call was cancelled
            self._end(TransportError("CANCELLED", "the call was cancelled"))
        elif (error := task.exception()) is not None:
            self._end(error)  # a mistake of ours, not of the peer: it must not pass in silence

    def _end(self, error: BaseException | None) -> None:
        if self._ended.done():
            return
        error = error or self._failure
        if error is None:
            self._ended.set_result(None)
        else:
            self._ended.set_exception(error)

    def _dispatch(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Readable(state):
                    if stream := self._streams.get(state.id):
                        stream.wake_reader()
                case Writable(state):
                    if stream := self._streams.get(state.id):
                        stream.wake_sender()
                case FrameArrived(kind, frame):
                    self._owner.frame_arrived(kind, frame)
                case StreamOpened(state, open_):
                    stream = self._streams[state.id] = LinkStream(self, state)
                    self._owner.stream_opened(stream, open_)
                case StreamEnded(state):
                    if stream := self._streams.pop(state.id, None):
                        stream.wake_reader()
                        stream.wake_sender()
                        self._owner.stream_ended(stream)
                case PeerGoesAway(go_away):
                    self._owner.peer_goes_away(go_away)
                case PeerSilent(seconds):
                    what = (
                        "the handshake did not end"
                        if self.connection.phase is Phase.HANDSHAKE
                        else "nothing was heard from the peer"
                    )
                    self._end(PeerSilentError(f"{what} for {seconds:.0f} s"))


class LinkStream:
    """One stream of a running connection. Several tasks may send, one may receive."""

    __slots__ = ("_lock", "_reader", "_sender", "_session", "_state")

    def __init__(self, session: Session, state: StreamState) -> None:
        self._session = session
        self._state = state
        self._lock = asyncio.Lock()  # waiting senders go in order
        self._reader: asyncio.Future[None] | None = None
        self._sender: asyncio.Future[None] | None = None

    @property
    def id(self) -> int:
        """Unique within the connection."""
        return self._state.id

    @property
    def error(self) -> Exception | None:
        """Why the stream ended, if it did not end well."""
        return self._state.error

    @property
    def max_message_bytes(self) -> int:
        """The largest payload that `send_message` takes, in bytes."""
        return self._state.max_frame

    async def send(
        self, payload: bytes, channel: link_pb2.Channel.ValueType = _UNSPECIFIED
    ) -> None:
        """Queue bytes, cut into frames as needed; waits for credit. Nothing is sent for no bytes.

        Raises `StreamReset` (or `LinkLost`) when the stream has ended, `StreamFinished` after `finish`.
        """
        state = self._state
        size = len(payload)
        end = state.enqueued + size
        if (
            0 < size <= state.max_frame
            and end <= state.send_limit
            and end - state.sent <= SEND_BUFFER
            and not self._lock.locked()
            and not state.closed
        ):
            session = self._session
            session.connection.send(state, payload, channel)
            session.wake()
        elif size:
            async with self._lock:
                frame = state.max_frame
                for start in range(0, size, frame):
                    await self._queue(payload[start : start + frame], channel)

    async def send_message(
        self, payload: bytes, channel: link_pb2.Channel.ValueType = _UNSPECIFIED
    ) -> None:
        """Queue one frame that arrives in one piece; waits for credit.

        Raises `MessageTooLarge`, `ValueError` for no bytes, and what `send` raises.
        """
        if not payload:
            raise ValueError("an empty message cannot be told from none")
        if len(payload) > self._state.max_frame:
            raise MessageTooLarge(len(payload), self._state.max_frame)
        await self.send(payload, channel)

    async def receive(self) -> StreamData | None:
        """The next piece, or None after the peer's last one. Taking it lets the peer send more.

        What has arrived before an end is delivered first; then `StreamReset` or `LinkLost` is raised.
        """
        state = self._state
        inbound = state.inbound
        while not inbound:
            if state.fin_received:
                return None
            if state.error is not None:
                raise state.error.again()
            if self._reader is not None and not self._reader.done():
                raise RuntimeError("two tasks receive from one stream")
            state.reader_waits = True
            self._reader = self._session.new_waiter()
            await self._reader
        data = inbound.popleft()
        session = self._session
        if session.connection.consumed(state, len(data.payload), session.now()):
            session.wake()
        return data

    def finish(self) -> None:
        """Nothing follows in this direction. Doing it twice is doing it once."""
        self._session.connection.finish(self._state)
        self._session.wake()

    def reset(self, code: int, reason: str, message: str) -> None:
        """End both directions at once. What was queued and not yet written is dropped."""
        self._session.connection.reset(self._state, code, reason, message)
        self._session.settle()

    def abandon(self) -> None:
        """Nobody receives any more: what has arrived is dropped, and what follows."""
        self._session.connection.abandon(self._state)

    def wake_reader(self) -> None:
        """There is data, an end or an error."""
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def wake_sender(self) -> None:
        """There is room or an error."""
        if self._sender is not None and not self._sender.done():
            self._sender.set_result(None)

    async def _queue(self, payload: bytes, channel: link_pb2.Channel.ValueType) -> None:
        state, session = self._state, self._session
        size = len(payload)
        while True:
            if state.error is not None:
                raise state.error.again()
            if state.fin_queued or state.closed:
                raise StreamFinished("the stream was finished; nothing can be sent on it any more")
            end = state.enqueued + size
            if end <= state.send_limit and end - state.sent <= SEND_BUFFER:
                session.connection.send(state, payload, channel)
                session.wake()
                return
            state.sender_waits = True
            self._sender = session.new_waiter()
            await self._sender
