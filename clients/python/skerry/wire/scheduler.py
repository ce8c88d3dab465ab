"""What is written next: the lanes control > interactive > bulk, in batches.

One envelope is one gRPC message, which costs about the same whatever its size, so all that waits goes
together, up to 64 KiB. Within a lane streams take turns by deficit round robin, so a stream of large
frames gets no more bytes than one of small ones. Commands, results and reports travel beside the bulk
streams: they can be large, and must not hold up a keystroke or an acknowledgement.

Used by `connection` alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from typing import TypeAlias

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

from skerry.agent.v1 import link_pb2
from skerry.wire.errors import ProtocolError
from skerry.wire.limits import BATCH_BYTES, KIB, MAX_CONTROL_FRAMES
from skerry.wire.streams import StreamState

Envelope: TypeAlias = link_pb2.ConnectRequest | link_pb2.ConnectResponse
_Frames: TypeAlias = RepeatedCompositeFieldContainer[link_pb2.Frame]

QUANTUM = 16 * KIB
_FRAME_OVERHEAD = 24  # stream id, offset, channel, tags and lengths of a Data frame, at most


class Traffic:
    """Frames and payload bytes by lane, counted by the end that owns it. Monotonic."""

    __slots__ = (
        "bulk_bytes",
        "bulk_frames",
        "control_bytes",
        "control_frames",
        "interactive_bytes",
        "interactive_frames",
    )

    def __init__(self) -> None:
        self.control_frames = self.control_bytes = 0
        self.interactive_frames = self.interactive_bytes = 0
        self.bulk_frames = self.bulk_bytes = 0

    @property
    def bytes(self) -> int:
        """Of all lanes."""
        return self.control_bytes + self.interactive_bytes + self.bulk_bytes


class Scheduler:
    """Holds what waits to be written and cuts it into envelopes."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._control: deque[link_pb2.Frame] = deque()
        self._control_latest: dict[Hashable, link_pb2.Frame] = {}
        self._exchange: deque[tuple[link_pb2.Frame, int]] = deque()
        self._exchange_latest: dict[Hashable, link_pb2.Frame] = {}
        self._interactive: deque[StreamState] = deque()
        self._bulk: deque[StreamState] = deque()
        self.drained: list[StreamState] = []
        """Streams whose waiting sender has room again since the last batch."""
        self.finished: list[StreamState] = []
        """Streams whose last frame was written with the last batch."""

    @property
    def urgent(self) -> bool:
        """Something waits that is not the data of bulk streams."""
        return bool(
            self._control
            or self._control_latest
            or self._exchange
            or self._exchange_latest
            or self._interactive
        )

    @property
    def has_bulk(self) -> bool:
        """Data of bulk streams waits."""
        return bool(self._bulk)

    def control(self, frame: link_pb2.Frame, key: Hashable = None) -> None:
        """Write before everything else. With a key, replaces what waits under the same key."""
        if key is not None:
            self._control_latest[key] = frame
        else:
            self._control.append(frame)
        if len(self._control) + len(self._control_latest) > MAX_CONTROL_FRAMES:
            raise ProtocolError(
                f"more than {MAX_CONTROL_FRAMES} control frames wait to be written; the peer asks "
                "for more answers than it reads"
            )

    def exchange(self, frame: link_pb2.Frame, key: Hashable = None) -> None:
        """Write beside the bulk streams. With a key, replaces what waits under the same key."""
        if key is not None:
            self._exchange_latest.pop(key, None)  # to the end: what is newest is not what waited
            self._exchange_latest[key] = frame
        else:
            self._exchange.append((frame, frame.ByteSize()))

    def forget(self, key: Hashable) -> None:
        """Drop what waits beside the bulk streams under a key; it is no longer worth saying."""
        self._exchange_latest.pop(key, None)

    def schedule(self, stream: StreamState) -> None:
        """The stream has something to write."""
        if not stream.scheduled:
            stream.scheduled = True
            (self._interactive if stream.interactive else self._bulk).append(stream)

    def drop(self, stream: StreamState) -> None:
        """Write nothing more of the stream."""
        stream.outbound.clear()
        stream.opening = None
        stream.enqueued = stream.sent
        stream.fin_queued = False
        if stream.scheduled:
            stream.scheduled = False
            (self._interactive if stream.interactive else self._bulk).remove(stream)

    def fill(self, envelope: Envelope, bulk: int) -> int:
        """Put the next batch into an empty envelope, with at most about `bulk` bytes of bulk streams.

        Returns how many frames.
        """
        frames = envelope.frames
        left = self._fill_control(frames, BATCH_BYTES)
        if self._interactive:
            left = self._fill_streams(frames, self._interactive, left)
        if self._exchange or self._exchange_latest:
            left = self._fill_exchange(frames, left)
        if self._bulk and bulk > 0:
            # At least one frame, so that a busy terminal cannot starve the logs.
            self._fill_streams(frames, self._bulk, min(left, bulk), at_least_one=True)
        return len(frames)

    def _fill_control(self, frames: _Frames, left: int) -> int:
        traffic = self._traffic
        while self._control and left > 0:
            frame = self._control.popleft()
            left -= self._append(frames, frame, frame.ByteSize())
            traffic.control_frames += 1
        while self._control_latest and left > 0:
            key = next(iter(self._control_latest))
            frame = self._control_latest.pop(key)
            left -= self._append(frames, frame, frame.ByteSize())
            traffic.control_frames += 1
        return left

    def _fill_exchange(self, frames: _Frames, left: int) -> int:
        share = QUANTUM
        while self._exchange and share > 0:
            frame, size = self._exchange.popleft()
            share -= self._append(frames, frame, size)
            self._traffic.control_frames += 1
        while self._exchange_latest and share > 0:
            key = next(iter(self._exchange_latest))
            frame = self._exchange_latest.pop(key)
            share -= self._append(frames, frame, frame.ByteSize())
            self._traffic.control_frames += 1
        return left - (QUANTUM - share)

    def _append(self, frames: _Frames, frame: link_pb2.Frame, size: int) -> int:
        frames.append(frame)
        self._traffic.control_bytes += size
        return size

    def _fill_streams(
        self,
        frames: _Frames,
        rotation: deque[StreamState],
        left: int,
        *,
        at_least_one: bool = False,
    ) -> int:
        add = frames.add
        count = total = 0
        full = False
        while rotation and not full:
            stream = rotation[0]
            if stream.deficit <= 0:
                stream.deficit += QUANTUM
            if stream.opening is not None:
                size = stream.opening.ByteSize()
                left -= self._append(frames, stream.opening, size)
                stream.deficit -= size
                stream.opening = None
            outbound, offset = stream.outbound, stream.sent
            deficit = stream.deficit
            while outbound and deficit > 0:
                payload, channel = outbound[0]
                size = len(payload)
                cost = size + _FRAME_OVERHEAD
                if cost > left and (count or not at_least_one):
                    full = True
                    break
                outbound.popleft()
                frame = add()
                frame.stream_id = stream.id
                data = frame.data
                data.offset = offset
                data.payload = payload
                if channel:
                    data.channel = channel
                if stream.fin_queued and not outbound:
                    data.fin = stream.fin_sent = True
                offset += size
                deficit -= cost
                left -= cost
                count += 1
            total += offset - stream.sent
            stream.sent = offset
            stream.deficit = deficit
            if not outbound and stream.fin_queued and not stream.fin_sent:
                frame = add()
                frame.stream_id = stream.id
                frame.data.offset = offset
                frame.data.fin = stream.fin_sent = True
                left -= _FRAME_OVERHEAD
                count += 1
            if stream.fin_sent:
                self.finished.append(stream)
            if stream.sender_waits:
                self.drained.append(stream)
            if not outbound:
                stream.scheduled = False
                stream.deficit = 0
                rotation.popleft()
            elif deficit <= 0:
                rotation.rotate(-1)
        traffic = self._traffic
        if rotation is self._interactive:
            traffic.interactive_frames += count
            traffic.interactive_bytes += total
        else:
            traffic.bulk_frames += count
            traffic.bulk_bytes += total
        return left
