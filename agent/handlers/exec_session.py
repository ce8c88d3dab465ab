"""A command that outlives the streams that carry it. Made by `exec`, one for each command.

The session reads the command's output whether or not a stream is there, and keeps what the far end
may not have. When the link is cut it waits for the next stream; a terminal then goes on printing and
loses its oldest output when the ring is full, anything else waits, for a pipe must not lose a byte.
Decision 120.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog
from skerry.agent.v1 import link_pb2, stream_pb2
from skerry.wire.data import StreamData
from skerry.wire.errors import StreamReset
from skerry.wire.limits import INTERACTIVE_CREDIT, KIB
from skerry.wire.replay import Replay, ReplayError

from agent.handlers.errors import stream_error
from agent.kube import ExecResult, OutputChannel, TerminalSize
from agent.kube.errors import ExecError, KubeError
from agent.link.errors import StreamError
from agent.link.handlers import Stream
from agent.workloads.errors import INVALID_ARGUMENT
from agent.workloads.terminal import ExecQuery, Terminal, has_no_shell

log = structlog.get_logger(__name__)

_CHANNELS = {
    OutputChannel.STDOUT: link_pb2.CHANNEL_STDOUT,
    OutputChannel.STDERR: link_pb2.CHANNEL_STDERR,
}
_END_OF_TRANSMISSION = b"\x04"
_REMEMBERED = 1_000
_CANNOT_RUN = 126  # what a shell says of a command that is there but cannot be run
_PIECE_BYTES = 16 * KIB
_DATA_LOSS = 15

Sleep = Callable[[float], Awaitable[None]]


class CommandSession:
    """One command and its streams. `keep_seconds` is how long it waits for a stream; 0: not at all."""

    def __init__(
        self,
        terminal: Terminal,
        query: ExecQuery,
        *,
        keep_seconds: float,
        sleep: Sleep,
        on_end: Callable[[], None],
    ) -> None:
        self._terminal = terminal
        self._query = query
        self._keep_seconds = keep_seconds
        self._sleep = sleep
        self._on_end = on_end
        self._out = Replay()
        self._in = _Input()
        self._stream: Stream | None = None
        self._carrier: asyncio.Task[None] | None = None
        self._grace: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._over = False
        self._failure: Exception | None = None
        self._closed = False
        self._working = asyncio.create_task(self._work(), name=f"exec-{terminal.pod}")

    async def carry(self, stream: Stream, output_received: int | None = None) -> None:
        """Be the session's stream until the command has ended and the far end knows it.

        With `output_received` the stream goes on where a former one was cut. When this one is cut the
        session waits for the next; any other way out ends the command. Raises StreamError.
        """
        await self._take_over()
        self._carrier = asyncio.current_task()
        try:
            if output_received is not None:
                await self._resume(stream, output_received)
            await self._exchange(stream)
        except BaseException as error:
            if self._keep_seconds and _was_cut(stream, error):
                self._wait_for_stream()
            else:
                await self.close()
            raise
        finally:
            if self._carrier is asyncio.current_task():
                self._carrier = None
                self._stream = None
                self._room.set()
        await self.close()

    async def close(self) -> None:
        """End the command if it still runs, and all tasks."""
        if self._closed:
            return
        self._closed = True
        self._on_end()
        self._stop_grace()
        ended = self._over and self._failure is None
        self._working.cancel()
        await asyncio.gather(self._working, return_exceptions=True)
        await self._terminal.session.close()
        if not ended:
            await self._terminal.end()

    # Streams

    async def _take_over(self) -> None:
        """A newer stream is the session's; an older one may not have heard of its own end yet."""
        self._stop_grace()
        older, self._carrier = self._carrier, None
        if older is not None and not older.done():
            older.cancel()
            await asyncio.wait({older})
        self._stop_grace()

    async def _resume(self, stream: Stream, output_received: int) -> None:
        try:
            lost = self._out.rewind(output_received)
        except ReplayError as error:
            raise StreamError(_DATA_LOSS, "TERMINAL_GONE", str(error)) from error
        if lost:
            log.warning("exec_output_lost", pod=self._terminal.pod, bytes=lost)
        resumed = stream_pb2.ExecResumed(
            running=self._running(),
            input_received=self._in.received,
            output_offset=self._out.said,
        )
        status = stream_pb2.ExecStatus(resumed=resumed)
        await stream.send_message(status.SerializeToString(), link_pb2.CHANNEL_CONTROL)

    async def _exchange(self, stream: Stream) -> None:
        self._stream = stream
        self._room.set()
        receiving = asyncio.create_task(self._receive(stream), name="exec-receive")
        try:
            while True:
                self._news.clear()
                while (piece := self._out.next()) is not None:
                    self._room.set()
                    if piece.whole:
                        await stream.send_message(piece.payload, piece.channel)
                    else:
                        await stream.send(piece.payload, piece.channel)
                if self._failure is not None:
                    raise self._failure
                if self._over:
                    break
                await self._news.wait()
            if self._keep_seconds:
                # The far end says in turn that it has nothing more: then it has the exit code, too.
                stream.finish()
                await asyncio.wait({receiving}, timeout=self._keep_seconds)
                if isinstance(stream.error, StreamReset):
                    raise stream.error.again()
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)

    async def _receive(self, stream: Stream) -> None:
        while True:
            await self._in.room()
            data = await stream.receive()
            self._in.put(data)  # nothing is awaited between: what is taken is counted
            if data is None:
                return

    def _wait_for_stream(self) -> None:
        if not self._closed:
            log.info("exec_stream_cut", pod=self._terminal.pod, keep_seconds=self._keep_seconds)
            self._grace = asyncio.create_task(self._end_after_grace(), name="exec-grace")

    def _stop_grace(self) -> None:
        if self._grace is not None and self._grace is not asyncio.current_task():
            self._grace.cancel()
        self._grace = None

    async def _end_after_grace(self) -> None:
        await self._sleep(self._keep_seconds)
        log.info("exec_abandoned", pod=self._terminal.pod)
        await self.close()

    # The command

    async def _work(self) -> None:
        try:
            status = stream_pb2.ExecStatus(running=self._running())
            self._out.add(status.SerializeToString(), link_pb2.CHANNEL_CONTROL)
            self._news.set()
            result = await self._run()
            await self._terminal.session.close()
            ended = stream_pb2.ExecEnded(
                exit_code=_CANNOT_RUN if result.exit_code is None else result.exit_code,
                message=result.message,
            )
            self._out.add(
                stream_pb2.ExecStatus(ended=ended).SerializeToString(), link_pb2.CHANNEL_CONTROL
            )
        except KubeError as error:
            self._failure = stream_error(error)
        except Exception as error:
            self._failure = error
        self._over = True
        self._news.set()

    async def _run(self) -> ExecResult:
        result = await self._pump()
        if not has_no_shell(result.message):
            return result
        if not self._query.command:
            raise StreamError(
                *(INVALID_ARGUMENT, "INVALID_FIELD"),
                f"the image of {self._terminal.container} has no shell; name a command that it has",
            )
        # Nothing ran yet: try without the shell, with the input that was meant for it.
        await self._terminal.session.close()
        await self._terminal.start_without_shell()
        self._in.rewind()
        return await self._pump()

    async def _pump(self) -> ExecResult:
        """Move bytes both ways until the command has ended."""
        feeding = asyncio.create_task(self._feed(), name="exec-input")
        try:
            async for channel, payload in self._terminal.session.output():
                self._in.forget()
                for start in range(0, len(payload), _PIECE_BYTES):
                    await self._keep(payload[start : start + _PIECE_BYTES], _CHANNELS[channel])
        finally:
            feeding.cancel()
            await asyncio.gather(feeding, return_exceptions=True)
        return self._terminal.session.result

    async def _keep(self, payload: bytes, channel: link_pb2.Channel.ValueType) -> None:
        while not self._out.has_room(len(payload)):
            if self._query.tty and self._stream is None:
                break
            self._room.clear()
            await self._room.wait()
        self._out.add(payload, channel)
        self._news.set()

    async def _feed(self) -> None:
        session = self._terminal.session
        while (data := await self._in.next()) is not None:
            if data.channel == link_pb2.CHANNEL_STDIN:
                await session.write(data.payload)
            elif data.channel == link_pb2.CHANNEL_CONTROL:
                control = stream_pb2.ExecControl.FromString(data.payload)
                if control.HasField("resize"):
                    await session.resize(TerminalSize(control.resize.rows, control.resize.columns))
                elif control.stdin_eof:
                    await self._end_input()
        await self._end_input()

    async def _end_input(self) -> None:
        if not self._query.stdin:
            return
        if self._query.tty:
            # A terminal has no end of input: the key that says so goes through it.
            await self._terminal.session.write(_END_OF_TRANSMISSION)
            return
        try:
            await self._terminal.session.end_stdin()
        except ExecError as error:
            log.warning("stdin_not_ended", pod=self._terminal.pod, error=error.message)

    def _running(self) -> stream_pb2.ExecRunning:
        return stream_pb2.ExecRunning(
            pod=self._terminal.pod,
            container=self._terminal.container,
            resumable=self._keep_seconds > 0,
        )


class _Input:
    """What came from the far end, in order, until the command takes it; remembered until it is known that the command runs."""

    def __init__(self) -> None:
        self.received = 0
        """Bytes that came, over all channels."""
        self._ahead: deque[StreamData | None] = deque()
        self._held = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._remembered: list[StreamData | None] | None = []

    async def room(self) -> None:
        """Wait until more may be taken in."""
        while self._held >= INTERACTIVE_CREDIT:
            self._room.clear()
            await self._room.wait()

    def put(self, data: StreamData | None) -> None:
        """The next of it; None is the end."""
        if data is not None:
            self.received += len(data.payload)
            self._held += len(data.payload)
        self._ahead.append(data)
        self._news.set()

    async def next(self) -> StreamData | None:
        while not self._ahead:
            self._news.clear()
            await self._news.wait()
        item = self._ahead.popleft()
        if item is not None:
            self._held -= len(item.payload)
        self._room.set()
        if self._remembered is not None and len(self._remembered) < _REMEMBERED:
            self._remembered.append(item)
        return item

    def rewind(self) -> None:
        """Give everything again."""
        again = self._remembered or []
        self._ahead.extendleft(reversed(again))
        self._held += sum(len(item.payload) for item in again if item is not None)
        self._remembered = None

    def forget(self) -> None:
        """The command has answered: it will not be started again."""
        self._remembered = None


def _was_cut(stream: Stream, error: BaseException) -> bool:
    """Whether the link under the stream went away, rather than the stream being ended."""
    cause = error if isinstance(error, StreamReset) else stream.error
    return isinstance(cause, StreamReset) and cause.reason == "LINK_LOST"
