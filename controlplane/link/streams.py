"""Streams of a live agent in the domain's words: implements `LogStream` of the services' ports.

Made by `registry`. Reading grants the agent credit, so a reader that stalls holds up its own stream only.
"""

from google.protobuf.message import DecodeError
from skerry.agent.v1 import stream_pb2
from skerry.wire.data import StreamData
from skerry.wire.errors import LinkLost, StreamReset
from skerry.wire.session import LinkStream

from controlplane.domain.errors import AgentOffline, Internal, SkerryError, error_from_status
from controlplane.domain.logs import LogEvent
from controlplane.link import codec

_CANCELLED = 1


def domain_error(error: StreamReset) -> SkerryError:
    """How a stream ended, as the services know it."""
    if isinstance(error, LinkLost):
        return AgentOffline("the connection to the cluster's agent was cut", retry_after=1.0)
    return error_from_status(error.code, error.reason, error.message)


class AgentStream:
    """What streams of answers have in common."""

    def __init__(self, stream: LinkStream) -> None:
        self._stream = stream
        self._ended = False

    async def _receive(self) -> StreamData | None:
        try:
            data = await self._stream.receive()
        except StreamReset as error:
            self._ended = True
            raise domain_error(error) from error
        if data is None:
            self._ended = True
            self._stream.finish()
        return data

    async def close(self) -> None:
        """End it; harmless when it has ended."""
        if not self._ended:
            self._ended = True
            self._stream.reset(_CANCELLED, "CANCELLED", "the caller has gone")

    def _unreadable(self, error: DecodeError) -> SkerryError:
        self._ended = True
        self._stream.reset(_CANCELLED, "INTERNAL", "the control plane could not read what came")
        internal = Internal(
            "the agent sent what this control plane cannot read; update the older of the two"
        )
        internal.__cause__ = error
        return internal


class AgentLogStream(AgentStream):
    """An open log stream."""

    async def receive(self) -> LogEvent | None:
        """The next event; None when the agent has said all there is."""
        data = await self._receive()
        if data is None:
            return None
        try:
            return codec.log_event(stream_pb2.LogEvent.FromString(data.payload))
        except DecodeError as error:
            raise self._unreadable(error) from error
