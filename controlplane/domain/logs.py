"""Log streams: what is asked of an agent and what comes back (`agent.v1.OpenLogs`, `LogEvent`, `LogCursor`)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controlplane.domain.names import AppName


@dataclass(frozen=True, slots=True)
class LogCursor:
    """The last line delivered of one container run.

    `time` is the line's timestamp as the runtime wrote it; `lines_at_time` how many lines with exactly that time were
    delivered. Both are needed: lines may share a time.
    """

    pod: str
    pod_uid: str
    container: str
    time: str
    lines_at_time: int
    restarts: int


@dataclass(frozen=True, slots=True)
class LogsRequest:
    """What the agent is asked for. A cursor wins over `since_time` and `tail_lines` for its container."""

    namespace: str
    app: str
    services: tuple[str, ...]
    follow: bool
    since_time: datetime | None
    tail_lines: int | None
    previous: bool
    cursors: tuple[LogCursor, ...] = ()


class LogEventKind(StrEnum):
    """What a log event says."""

    LINES = "lines"
    GAP = "gap"
    STARTED = "started"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One event of a log stream.

    LINES: `lines` is whole lines, each `RFC 3339 time`, space, text, newline. GAP and ENDED: `message` says why.
    `from_time` is set in a GAP when it is known since when lines are missing.
    """

    kind: LogEventKind
    service: str
    pod: str
    pod_uid: str
    container: str
    restarts: int
    lines: bytes = b""
    message: str = ""
    from_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class TailRequest:
    """What a caller asks for; `tail_lines` None means all, `services` empty means all."""

    app: AppName
    services: tuple[str, ...] = ()
    follow: bool = False
    since_time: datetime | None = None
    tail_lines: int | None = None
    previous: bool = False
