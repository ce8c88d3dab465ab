"""A command in a container over as many streams as it takes: implements `ExecSession` of the services' ports.

When the link is cut, the session waits for the agent to come back and goes on where both directions stood; decision 120. Made
by `registry`, which says how a stream is opened now.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from google.protobuf.message import DecodeError
from skerry.agent.v1 import link_pb2, stream_pb2
from skerry.wire.data import StreamData
from skerry.wire.errors import StreamFinished, StreamReset
from skerry.wire.replay import Replay, ReplayError
from skerry.wire.session import LinkStream

from controlplane.domain.errors import AgentOffline, Internal, SkerryError, TerminalGone
from controlplane.domain.terminals import (
    ExecEnded,
    ExecEvent,
    ExecLost,
    ExecOutput,
    ExecRunning,
    WindowSize,
)
from controlplane.link.streams import domain_error

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 0.25
_ANSWER_MS = 30_000
_CUT = "LINK_LOST"
_LIMIT = "LINK_LIMIT_EXCEEDED"
_CANCELLED, _UNIMPLEMENTED = 1, 12


class AgentExecSession:
    """A command running in a container. `open_` raises AgentOffline while the agent is away.

    Without a `name` the agent keeps nothing over a cut. `keep_seconds` is how long it waits for the agent to come back.
    """

    def __init__(
        self,
        name: str,
        stream: LinkStream,
        *,
        open_: Callable[[link_pb2.Open], LinkStream],
        keep_seconds: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._name = name
        self._stream = stream
        self._open = open_
        self._keep_seconds = keep_seconds
        self._sleep = sleep
        self._in = Replay()
        self._said = 0
        self._received = 0
        self._lost = 0
        self._running = False
        # Until the agent has said for this one: it may be set not to keep sessions.
        self._resumable = bool(name)
        self._pending: list[ExecEvent] = []
        self._resuming = asyncio.Lock()
        self._sending = asyncio.Lock()
        self._ended = False
        self._closed = False

    async def receive(self) -> ExecEvent | None:
        """The next event: ExecRunning first, ExecEnded last, then None. ExecLost says what a cut cost."""
        while True:
            if self._pending:
                return self._pending.pop(0)
            stream = self._stream
            try:
                data = await stream.receive()
            except StreamReset as error:
                await self._cut(stream, error)
                continue
            if data is None:
                self._ended = True
                stream.finish()
                return None
            self._received += len(data.payload)
            if (event := self._event(data)) is not None:
                return event

    async def send_stdin(self, data: bytes) -> None:
        """Pass input on; waits for credit, and for the agent to come back."""
        await self._send(data, link_pb2.CHANNEL_STDIN)

    async def close_stdin(self) -> None:
        """Say that input has ended."""
        control = stream_pb2.ExecControl(stdin_eof=True)
        await self._send(control.SerializeToString(), link_pb2.CHANNEL_CONTROL)

    async def resize(self, size: WindowSize) -> None:
        """Change the window."""
        resize = stream_pb2.Resize(rows=size.rows, columns=size.columns)
        # A size of 0 by 0 is an empty Resize, but never an empty ExecControl.
        await self._send(
            stream_pb2.ExecControl(resize=resize).SerializeToString(), link_pb2.CHANNEL_CONTROL
        )

    async def close(self) -> None:
        """End it; harmless when it has ended. While the link is away the agent ends it by itself after its time."""
        self._closed = True
        if not self._ended:
            self._ended = True
            self._stream.reset(_CANCELLED, "CANCELLED", "the caller has gone")

    async def _send(self, payload: bytes, channel: link_pb2.Channel.ValueType) -> None:
        if not payload:
            return
        async with self._sending:
            self._in.add(payload, channel)
            while True:
                stream = self._stream
                try:
                    await self._flush(stream, self._in.end)
                except StreamReset as error:
                    await self._cut(stream, error)
                except StreamFinished:
                    return  # the command has ended; what is typed after that goes nowhere, as in any terminal
                else:
                    return

    async def _flush(self, stream: LinkStream, until: int) -> None:
        while self._in.said < until and (piece := self._in.next()) is not None:
            if piece.whole:
                await stream.send_message(piece.payload, piece.channel)
            else:
                await stream.send(piece.payload, piece.channel)

    def _event(self, data: StreamData) -> ExecEvent | None:
        match data.channel:
            case link_pb2.CHANNEL_STDOUT:
                return ExecOutput(data.payload)
            case link_pb2.CHANNEL_STDERR:
                return ExecOutput(data.payload, stderr=True)
            case link_pb2.CHANNEL_CONTROL:
                status = self._status(data.payload)
                match status.WhichOneof("kind"):
                    case "running":
                        return self._runs(status.running)
                    case "ended":
                        return ExecEnded(
                            exit_code=status.ended.exit_code, message=status.ended.message
                        )
        return None  # a newer agent's kind

    def _runs(self, running: stream_pb2.ExecRunning) -> ExecEvent | None:
        self._resumable = bool(self._name) and running.resumable
        if self._running:
            return None
        self._running = True
        return ExecRunning(pod=running.pod, container=running.container)

    def _status(self, payload: bytes) -> stream_pb2.ExecStatus:
        try:
            return stream_pb2.ExecStatus.FromString(payload)
        except DecodeError as error:
            self._ended = True
            self._stream.reset(_CANCELLED, "INTERNAL", "the control plane could not read what came")
            raise Internal(
                "the agent sent what this control plane cannot read; update the older of the two"
            ) from error

    # After a cut

    async def _cut(self, stream: LinkStream, error: StreamReset) -> None:
        """Go on on another stream, or raise why not. Reader and writer may both come here; one does the work."""
        if stream is not self._stream:
            return
        if self._closed or error.reason != _CUT or not self._resumable:
            self._ended = True
            raise domain_error(error) from error
        async with self._resuming:
            if stream is not self._stream:
                return
            # What had arrived and nobody took is not counted as received: it comes again.
            stream.abandon()
            try:
                await self._resume()
            except SkerryError as failure:
                self._ended = True
                raise failure from error

    async def _resume(self) -> None:
        log.info("exec_cut", session=self._name)
        loop = asyncio.get_running_loop()
        end = loop.time() + self._keep_seconds
        while True:
            try:
                await self._resume_once()
            except SkerryError as error:
                # After a reconnect all streams are opened at once: a limit is waited for, too.
                if not isinstance(error, AgentOffline) and error.reason != _LIMIT:
                    raise
                if self._closed or loop.time() >= end:
                    raise AgentOffline(
                        f"the connection to the cluster's agent was cut for more than {self._keep_seconds:.0f} s; "
                        "the command was ended, begin anew",
                        retry_after=5.0,
                    ) from error
                await self._sleep(_RETRY_SECONDS)
            else:
                return

    async def _resume_once(self) -> None:
        open_ = link_pb2.Open(
            lane=link_pb2.LANE_INTERACTIVE,
            deadline_ms=_ANSWER_MS,
            resume_exec=stream_pb2.ResumeExec(session=self._name, output_received=self._received),
        )
        stream = self._open(open_)
        try:
            data = await stream.receive()
            if data is None:
                raise TerminalGone("the agent did not say where the session goes on; begin anew")
            resumed = self._status(data.payload).resumed
            self._said = max(self._said, self._in.said)
            if self._in.rewind(resumed.input_received):
                raise TerminalGone("input was lost in a cut of the link; the command was ended")
            self._stream = stream
            if resumed.HasField("running") and (event := self._runs(resumed.running)) is not None:
                self._pending.append(event)
            if (lost := resumed.output_offset - self._received) > 0:
                log.warning("exec_output_lost", session=self._name, bytes=lost)
                self._received = resumed.output_offset
                self._pending.append(ExecLost(lost))
            # No more than the stream's first credit: it waits for nobody.
            await self._flush(stream, self._said)
        except ReplayError as error:
            raise TerminalGone(f"the session cannot go on: {error}; begin anew") from error
        except StreamReset as error:
            if error.code == _UNIMPLEMENTED:
                raise TerminalGone(
                    "the cluster's agent was replaced by an older one; begin anew"
                ) from error
            if error.reason == _CUT:
                raise AgentOffline(error.message, retry_after=1.0) from error
            raise domain_error(error) from error
