"""The `exec` stream: a command's standard streams and its end, both ways at once.

stdin, stdout and stderr are Data on their channels; the control channel carries the window's size
and the end of input towards the command, where it runs and how it ended back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from skerry.agent.v1 import link_pb2, stream_pb2
from skerry.wire.data import StreamData

from agent.handlers.errors import stream_error
from agent.kube import ExecResult, KubeClient, OutputChannel, TerminalSize
from agent.kube.errors import ExecError, KubeError
from agent.link.errors import StreamError
from agent.link.handlers import Stream
from agent.workloads.errors import INVALID_ARGUMENT, WorkloadError
from agent.workloads.terminal import ExecQuery, Terminal, has_no_shell, open_terminal

log = structlog.get_logger(__name__)

_CHANNELS = {
    OutputChannel.STDOUT: link_pb2.CHANNEL_STDOUT,
    OutputChannel.STDERR: link_pb2.CHANNEL_STDERR,
}
_END_OF_TRANSMISSION = b"\x04"
_REMEMBERED = 1_000
_CANNOT_RUN = 126  # what a shell says of a command that is there but cannot be run


class ExecHandler:
    """`new_mark` gives an unguessable word for each session."""

    def __init__(self, kube: KubeClient, new_mark: Callable[[], str]) -> None:
        self._kube = kube
        self._new_mark = new_mark

    async def __call__(self, opened: link_pb2.Open, stream: Stream) -> None:
        query = _query(opened.exec)
        try:
            terminal = await open_terminal(self._kube, query, self._new_mark)
        except (WorkloadError, KubeError) as error:
            raise stream_error(error) from error
        try:
            await _say(
                stream,
                stream_pb2.ExecStatus(
                    running=stream_pb2.ExecRunning(pod=terminal.pod, container=terminal.container)
                ),
            )
            result = await _run(terminal, query, stream)
        except BaseException as error:
            # The far end is gone, or something broke: nobody would ever end the command.
            await terminal.session.close()
            await terminal.end()
            if isinstance(error, KubeError):
                raise stream_error(error) from error
            raise
        await terminal.session.close()
        await _say(
            stream,
            stream_pb2.ExecStatus(
                ended=stream_pb2.ExecEnded(
                    exit_code=_CANNOT_RUN if result.exit_code is None else result.exit_code,
                    message=result.message,
                )
            ),
        )


async def _run(terminal: Terminal, query: ExecQuery, stream: Stream) -> ExecResult:
    towards = _Input(stream)
    result = await _pump(terminal, query, stream, towards)
    if not has_no_shell(result.message):
        return result
    if not query.command:
        raise StreamError(
            *(INVALID_ARGUMENT, "INVALID_FIELD"),
            f"the image of {terminal.container} has no shell; name a command that it has",
        )
    # Nothing ran yet: try without the shell, with the input that was meant for it.
    await terminal.session.close()
    await terminal.start_without_shell()
    towards.rewind()
    return await _pump(terminal, query, stream, towards)


async def _pump(
    terminal: Terminal, query: ExecQuery, stream: Stream, towards: _Input
) -> ExecResult:
    """Move bytes both ways until the command has ended."""
    feeding = asyncio.create_task(_to_command(terminal, query, towards), name="exec-input")
    try:
        async for channel, payload in terminal.session.output():
            towards.forget()
            await stream.send(payload, _CHANNELS[channel])
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
    return terminal.session.result


class _Input:
    """What comes from the far end, remembered until it is known that the command runs."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._ahead: list[StreamData | None] = []
        self._remembered: list[StreamData | None] | None = []

    async def next(self) -> StreamData | None:
        item = self._ahead.pop(0) if self._ahead else await self._stream.receive()
        if self._remembered is not None and len(self._remembered) < _REMEMBERED:
            self._remembered.append(item)
        return item

    def rewind(self) -> None:
        """Give everything again."""
        self._ahead = [*(self._remembered or ()), *self._ahead]
        self._remembered = None

    def forget(self) -> None:
        """The command has answered: it will not be started again."""
        self._remembered = None


async def _to_command(terminal: Terminal, query: ExecQuery, towards: _Input) -> None:
    session = terminal.session
    while (data := await towards.next()) is not None:
        if data.channel == link_pb2.CHANNEL_STDIN:
            await session.write(data.payload)
        elif data.channel == link_pb2.CHANNEL_CONTROL:
            control = stream_pb2.ExecControl.FromString(data.payload)
            if control.HasField("resize"):
                await session.resize(TerminalSize(control.resize.rows, control.resize.columns))
            elif control.stdin_eof:
                await _end_input(terminal, query)
    await _end_input(terminal, query)


async def _end_input(terminal: Terminal, query: ExecQuery) -> None:
    if not query.stdin:
        return
    if query.tty:
        # A terminal has no end of input: the key that says so goes through it.
        await terminal.session.write(_END_OF_TRANSMISSION)
        return
    try:
        await terminal.session.end_stdin()
    except ExecError as error:
        log.warning("stdin_not_ended", pod=terminal.pod, error=error.message)


async def _say(stream: Stream, status: stream_pb2.ExecStatus) -> None:
    await stream.send_message(status.SerializeToString(), link_pb2.CHANNEL_CONTROL)


def _query(message: stream_pb2.OpenExec) -> ExecQuery:
    size = TerminalSize(message.rows, message.columns) if message.rows and message.columns else None
    return ExecQuery(
        namespace=message.namespace,
        app=message.app,
        service=message.service,
        pod=message.pod,
        command=tuple(message.command),
        tty=message.tty,
        stdin=message.stdin,
        size=size,
    )
