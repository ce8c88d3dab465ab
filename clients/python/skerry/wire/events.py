"""What the core tells its shell. Nothing is told that nobody waits for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from skerry.agent.v1 import link_pb2
from skerry.wire.streams import StreamState


@dataclass(frozen=True, slots=True)
class FrameArrived:
    """A frame of the handshake, of commands or of reports; the layer above knows what to do."""

    kind: str
    frame: link_pb2.Frame


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """The peer opened a stream."""

    stream: StreamState
    open: link_pb2.Open


@dataclass(frozen=True, slots=True)
class Readable:
    """Somebody waits to receive, and there is data, an end or an error."""

    stream: StreamState


@dataclass(frozen=True, slots=True)
class Writable:
    """Somebody waits to send, and there is room or an error."""

    stream: StreamState


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The stream is over on both ends; `stream.error` says why if it did not end well."""

    stream: StreamState


@dataclass(frozen=True, slots=True)
class PeerGoesAway:
    """The peer announces the end of the connection."""

    go_away: link_pb2.GoAway


@dataclass(frozen=True, slots=True)
class PeerSilent:
    """Nothing was heard for too long: the connection is dead."""

    seconds: float


Event: TypeAlias = (
    FrameArrived | StreamOpened | Readable | Writable | StreamEnded | PeerGoesAway | PeerSilent
)
