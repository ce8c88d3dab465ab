"""Commands run in containers: requests, what comes out, how it ends (`agent.v1.OpenExec`, `ExecControl`, `ExecStatus`)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controlplane.domain.names import AppName


@dataclass(frozen=True, slots=True)
class WindowSize:
    """A terminal's size in characters."""

    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class ExecRequest:
    """What the agent is asked to run; `size` only with `tty`."""

    namespace: str
    app: str
    service: str
    pod: str
    command: tuple[str, ...]
    tty: bool
    stdin: bool
    size: WindowSize | None


@dataclass(frozen=True, slots=True)
class ExecStart:
    """What a caller asks to run: `service` may be empty when the app has one, `pod` for the newest ready one."""

    app: AppName
    service: str = ""
    pod: str = ""
    command: tuple[str, ...] = ()
    tty: bool = False
    stdin: bool = False
    size: WindowSize | None = None


@dataclass(frozen=True, slots=True)
class ExecRunning:
    """The command runs; said first."""

    pod: str
    container: str


@dataclass(frozen=True, slots=True)
class ExecOutput:
    """Bytes the command printed."""

    data: bytes
    stderr: bool = False


@dataclass(frozen=True, slots=True)
class ExecLost:
    """Output of so many bytes is missing here: the link was away for longer than the agent could keep it."""

    bytes_lost: int


@dataclass(frozen=True, slots=True)
class ExecEnded:
    """The command ended; said last. `exit_code` is 128 + n when signal n killed it."""

    exit_code: int
    message: str


ExecEvent = ExecRunning | ExecOutput | ExecLost | ExecEnded


@dataclass(frozen=True, slots=True)
class TerminalOpened:
    """First event of a terminal opened without client streaming: its name, and where the command runs."""

    terminal: str
    pod: str
    container: str


@dataclass(frozen=True, slots=True)
class TerminalOutput:
    """A piece of output and where it starts in the whole output, in bytes."""

    offset: int
    data: bytes


class DetachReason(StrEnum):
    """Why a client is no longer attached; names of `platform.v1.DetachReason` without the prefix."""

    REQUESTED = "REQUESTED"
    TAKEN = "TAKEN"


@dataclass(frozen=True, slots=True)
class TerminalDetached:
    """A client's part has ended; the command runs on."""

    reason: DetachReason


TerminalEvent = TerminalOpened | TerminalOutput | ExecEnded | TerminalDetached


@dataclass(frozen=True, slots=True)
class Terminal:
    """An open terminal in a list. `detach_time` and `expire_time` only while no client is attached."""

    uid: str
    app: str
    owner: str
    pod: str
    container: str
    command: tuple[str, ...]
    create_time: datetime
    attached: bool
    detach_time: datetime | None
    expire_time: datetime | None
    output_bytes: int


@dataclass(frozen=True, slots=True)
class TerminalLimits:
    """How many terminals may be open at a time, and how long one runs on after a detach, in seconds."""

    per_user: int = 16
    per_cluster: int = 128
    detached_seconds: float = 24 * 3600.0


def loss_notice(bytes_lost: int) -> bytes:
    """What a terminal shows where output is missing."""
    return f"\r\n… {bytes_lost} bytes lost …\r\n".encode()
