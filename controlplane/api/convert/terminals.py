"""Commands in containers."""

from skerry.platform.v1 import terminal_pb2

from controlplane.domain.errors import InvalidField
from controlplane.domain.names import AppName, TerminalName
from controlplane.domain.terminals import (
    ExecEnded,
    ExecEvent,
    ExecLost,
    ExecOutput,
    ExecRunning,
    ExecStart,
    TerminalEvent,
    TerminalOpened,
    TerminalOutput,
    WindowSize,
    loss_notice,
)

MAX_SIDE = 10_000
MAX_COMMAND_BYTES = 64 * 1024


def exec_start(message: terminal_pb2.ExecStart) -> ExecStart:
    """What to run. Raises InvalidField."""
    if sum(len(word.encode()) for word in message.command) > MAX_COMMAND_BYTES:
        raise InvalidField.of("start.command", "is longer than 64 KiB")
    return ExecStart(
        app=AppName.parse(message.app, "start.app"),
        service=message.service,
        pod=message.pod,
        command=tuple(message.command),
        tty=message.tty,
        stdin=message.stdin,
        size=window_size(message.size, "start.size") if message.HasField("size") else None,
    )


def window_size(message: terminal_pb2.WindowSize, field: str) -> WindowSize:
    """A size in characters. Raises InvalidField."""
    if not (0 < message.rows <= MAX_SIDE and 0 < message.columns <= MAX_SIDE):
        raise InvalidField.of(field, f"rows and columns must be from 1 to {MAX_SIDE}")
    return WindowSize(rows=message.rows, columns=message.columns)


def exec_event(event: ExecEvent) -> terminal_pb2.ExecResponse:
    """One event of Exec."""
    match event:
        case ExecRunning():
            started = terminal_pb2.ExecStarted(pod=event.pod, container=event.container)
            return terminal_pb2.ExecResponse(started=started)
        case ExecOutput(stderr=True):
            return terminal_pb2.ExecResponse(stderr=event.data)
        case ExecOutput():
            return terminal_pb2.ExecResponse(stdout=event.data)
        case ExecLost():
            return terminal_pb2.ExecResponse(stdout=loss_notice(event.bytes_lost))
        case ExecEnded():
            return terminal_pb2.ExecResponse(exit=_exit(event))


def terminal_event(event: TerminalEvent | None) -> terminal_pb2.OpenTerminalResponse:
    """One event of OpenTerminal; None is a heartbeat."""
    match event:
        case None:
            return terminal_pb2.OpenTerminalResponse()
        case TerminalOpened():
            started = terminal_pb2.ExecStarted(
                pod=event.pod,
                container=event.container,
                terminal=str(TerminalName(event.terminal)),
            )
            return terminal_pb2.OpenTerminalResponse(started=started)
        case TerminalOutput():
            output = terminal_pb2.TerminalOutput(offset=event.offset, data=event.data)
            return terminal_pb2.OpenTerminalResponse(output=output)
        case ExecEnded():
            return terminal_pb2.OpenTerminalResponse(exit=_exit(event))


def _exit(event: ExecEnded) -> terminal_pb2.ExecExit:
    return terminal_pb2.ExecExit(code=event.exit_code, message=event.message)
