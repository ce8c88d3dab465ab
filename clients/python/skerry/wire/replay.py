"""What one end of a session said, by offset, so that it can be said again on the next connection.

A session (a command in a container) outlives the streams that carry it. Each direction counts its
bytes over all streams. Whoever sends keeps what the peer may not have yet; after a cut the peer says
how far it got, and the sender goes on exactly there. Pure numbers and queues, used by both ends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from skerry.agent.v1 import link_pb2
from skerry.wire.limits import INTERACTIVE_CREDIT, KIB

REPLAY_BYTES = 256 * KIB
# A stream's credit, and the piece that waits for more of it.
_UNREAD_BYTES = 2 * INTERACTIVE_CREDIT
_MERGED_BYTES = 4 * KIB

Channel: TypeAlias = "link_pb2.Channel.ValueType"


class ReplayError(Exception):
    """The peer says that it got what was never sent, or half of what goes in one piece."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of one channel. Those of the control channel are one message, never cut nor joined."""

    offset: int
    channel: Channel
    payload: bytes

    @property
    def end(self) -> int:
        return self.offset + len(self.payload)

    @property
    def whole(self) -> bool:
        """Goes in one piece."""
        return self.channel == link_pb2.CHANNEL_CONTROL


class Replay:
    """One direction of one session, on the end that sends.

    `keep` is how much of what was handed to a stream the peer may not have: the stream's credit and a
    piece. What lies further back needs no keeping.
    """

    def __init__(self, *, capacity: int = REPLAY_BYTES, keep: int = _UNREAD_BYTES) -> None:
        self._capacity = capacity
        self._keep = keep
        self._said: deque[Piece] = deque()
        self._waiting: deque[Piece] = deque()
        self.said = 0
        """Offset behind what was handed to a stream."""
        self.end = 0
        """Offset behind what was added."""

    @property
    def start(self) -> int:
        """Offset of the oldest byte still held."""
        for pieces in (self._said, self._waiting):
            if pieces:
                return pieces[0].offset
        return self.end

    def has_room(self, size: int) -> bool:
        """Whether so much can be added without losing anything."""
        return not self._waiting or self.end - self.said + size <= self._capacity

    def add(self, payload: bytes, channel: Channel) -> None:
        """Behind everything else. Above the capacity the oldest goes: ask `has_room` first where nothing may be lost."""
        piece = Piece(self.end, channel, payload)
        self.end = piece.end
        _append(self._waiting, piece)
        while self.end - self.start > self._capacity + self._keep:
            if self._said:
                self._said.popleft()
            elif len(self._waiting) > 1:
                self.said = self._waiting.popleft().end
            else:
                break

    def next(self) -> Piece | None:
        """What to hand to the stream now; counts as said."""
        if not self._waiting:
            return None
        piece = self._waiting.popleft()
        self.said = piece.end
        _append(self._said, piece)
        while self._said and self._said[0].end <= self.said - self._keep:
            self._said.popleft()
        return piece

    def rewind(self, received: int) -> int:
        """The peer has everything before `received` and nothing behind: go on there.

        Returns how many bytes are lost, because they are no longer held. Raises ReplayError.
        """
        if received > self.said:
            raise ReplayError(f"the peer got {received} bytes, but only {self.said} were sent")
        for piece in self._said:
            if piece.whole and piece.offset < received < piece.end:
                raise ReplayError(f"the peer got half of the message at {piece.offset}")
        while self._said and self._said[-1].end > received:
            piece = self._said.pop()
            if piece.offset < received:
                cut = received - piece.offset
                self._said.append(Piece(piece.offset, piece.channel, piece.payload[:cut]))
                piece = Piece(received, piece.channel, piece.payload[cut:])
            self._waiting.appendleft(piece)
        self.said = self._waiting[0].offset if self._waiting else self.end
        return max(0, self.said - received)

    def held(self) -> Iterator[Piece]:
        """Everything held, oldest first."""
        yield from self._said
        yield from self._waiting


def _append(pieces: deque[Piece], piece: Piece) -> None:
    """Small pieces of one channel become one: a byte at a time must not cost an object each."""
    if pieces:
        last = pieces[-1]
        if (
            last.channel == piece.channel
            and not piece.whole
            and len(last.payload) + len(piece.payload) <= _MERGED_BYTES
        ):
            pieces[-1] = Piece(last.offset, last.channel, last.payload + piece.payload)
            return
    pieces.append(piece)
