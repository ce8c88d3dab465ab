"""Streams of a live agent in the domain's words: implements `LogStream` and `ExecSession` of the services' ports.

Made by `registry`. Reading grants the agent credit, so a reader that stalls holds up its own stream only.
"""

from google.protobuf.message import DecodeError
from skerry.agent.v1 import link_pb2, stream_pb2
from skerry.wire.data import StreamData
from skerry.wire.errors import LinkLost, StreamFinished, StreamReset
from skerry.wire.session import LinkStream

from controlplane.domain.errors import AgentOffline, Internal, SkerryError, error_from_status
from controlplane.domain.logs import LogEvent
from controlplane.domain.terminals import (
    ExecEnded,
    ExecEvent,
    ExecOutput,
    ExecRunning,
    WindowSize,
)
from controlplane.link import codec

_CANCELLED = 1


def domain_error(error: StreamReset) -> SkerryError:
    """How a stream ended, as the services know it."""
    if isinstance(error, LinkLost):
        return AgentOffline("the connection to the cluster's agent was cut", retry_after=1.0)
    return error_from_status(error.code, error.reason, error.message)


class AgentStream:
    """What log and exec streams have in common."""

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


class AgentExecSession(AgentStream):
    """A command running in a container."""

    async def receive(self) -> ExecEvent | None:
        """The next event: ExecRunning first, ExecEnded last, then None."""
        while (data := await self._receive()) is not None:
            match data.channel:
                case link_pb2.CHANNEL_STDOUT:
                    return ExecOutput(data.payload)
                case link_pb2.CHANNEL_STDERR:
                    return ExecOutput(data.payload, stderr=True)
                case link_pb2.CHANNEL_CONTROL:
                    event = self._status(data.payload)
                    if event is not None:
                        return event
        return None

    async def send_stdin(self, data: bytes) -> None:
        """Pass input on; waits for credit."""
        await self._send(data, link_pb2.CHANNEL_STDIN)

    async def close_stdin(self) -> None:
        """Say that input has ended."""
        await self._send(
            stream_pb2.ExecControl(stdin_eof=True).SerializeToString(), link_pb2.CHANNEL_CONTROL
        )

    async def resize(self, size: WindowSize) -> None:
        """Change the window."""
        control = stream_pb2.ExecControl(
            resize=stream_pb2.Resize(rows=size.rows, columns=size.columns)
        )
        # A size of 0 by 0 is an empty Resize, but never an empty ExecControl.
        await self._send(control.SerializeToString(), link_pb2.CHANNEL_CONTROL)

    async def _send(self, data: bytes, channel: link_pb2.Channel.ValueType) -> None:
        try:
            await self._stream.send(data, channel)
        except StreamReset as error:
            raise domain_error(error) from error
        except StreamFinished:
            pass  # the command has ended; what is typed after that goes nowhere, as in any terminal

    def _status(self, payload: bytes) -> ExecEvent | None:
        try:
            status = stream_pb2.ExecStatus.FromString(payload)
        except DecodeError as error:
            raise self._unreadable(error) from error
        match status.WhichOneof("kind"):
            case "running":
                return ExecRunning(pod=status.running.pod, container=status.running.container)
            case "ended":
                return ExecEnded(exit_code=status.ended.exit_code, message=status.ended.message)
            case _:
                return None  # a newer agent's kind
