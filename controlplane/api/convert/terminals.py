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
    Terminal,
    TerminalDetached,
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


def kept_exec_event(event: TerminalEvent | None, received: int) -> terminal_pb2.ExecResponse:
    """One event of Exec with `keep`."""
    message = terminal_pb2.ExecResponse(input_received=received)
    _fill(message, event)
    return message


def attach_event(event: TerminalEvent | None, received: int) -> terminal_pb2.AttachTerminalResponse:
    """One event of AttachTerminal."""
    message = terminal_pb2.AttachTerminalResponse(input_received=received)
    _fill(message, event)
    return message


def terminal_event(event: TerminalEvent | None) -> terminal_pb2.OpenTerminalResponse:
    """One event of OpenTerminal; None is a heartbeat."""
    message = terminal_pb2.OpenTerminalResponse()
    _fill(message, event)
    return message


def terminal(item: Terminal) -> terminal_pb2.Terminal:
    """A terminal in a list."""
    message = terminal_pb2.Terminal(
        name=str(TerminalName(item.uid)),
        app=item.app,
        owner=item.owner,
        pod=item.pod,
        container=item.container,
        command=item.command,
        attached=item.attached,
        output_bytes=item.output_bytes,
    )
    message.create_time.FromDatetime(item.create_time)
    if item.detach_time is not None:
        message.detach_time.FromDatetime(item.detach_time)
    if item.expire_time is not None:
        message.expire_time.FromDatetime(item.expire_time)
    return message


_Events = (
    terminal_pb2.ExecResponse
    | terminal_pb2.AttachTerminalResponse
    | terminal_pb2.OpenTerminalResponse
)


def _fill(message: _Events, event: TerminalEvent | None) -> None:
    match event:
        case None:
            pass
        case TerminalOpened():
            message.started.pod = event.pod
            message.started.container = event.container
            message.started.terminal = str(TerminalName(event.terminal))
        case TerminalOutput():
            message.output.offset = event.offset
            message.output.data = event.data
        case TerminalDetached():
            message.detached.reason = terminal_pb2.DetachReason.Value(
                f"DETACH_REASON_{event.reason}"
            )
        case ExecEnded():
            message.exit.CopyFrom(_exit(event))


def _exit(event: ExecEnded) -> terminal_pb2.ExecExit:
    return terminal_pb2.ExecExit(code=event.exit_code, message=event.message)
