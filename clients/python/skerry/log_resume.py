"""What a log follow must remember to go on after a cut without losing or doubling a line.

Used by `skerry.services.logs`. A container's log is a file that is read again in the same order, and
every line carries its time with nanoseconds; so the last line printed finds the place again. Times
alone would not do: kubelet filters by whole seconds, and lines of stdout and stderr may be some
microseconds out of order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from skerry.platform.v1 import log_pb2

Source = tuple[str, str, int]
"""Pod, container, restarts: one file."""

NANOSECONDS = 1_000_000_000
SLACK = 1 * NANOSECONDS
"""How far a line may be out of order."""
LATE = 120 * NANOSECONDS
"""How long lines may be on their way (the server bridges a minute): nothing older is asked for again,
so that a quiet container does not make a busy one be read from hours ago."""
_LOOK_BACK = 8


@dataclass(slots=True)
class Position:
    """How far one file was read."""

    last_line: bytes
    """With its newline."""
    newest: int
    """The latest time among the last lines, in nanoseconds since 1970."""


class LogResume:
    """Where each file of one follow stands."""

    def __init__(self, request: log_pb2.TailLogsRequest) -> None:
        self._request = request
        self._positions: dict[Source, Position] = {}
        self._silent: set[tuple[str, str]] = set()
        self._catching_up: set[Source] = set()
        self._since = 0

    def next_request(self, *, settled: bool) -> log_pb2.TailLogsRequest:
        """What to ask for after a cut. Before the stream has settled old lines may still be missing,
        so the first question is repeated; what was seen is then left out."""
        self._catching_up = set(self._positions)
        self._since = 0
        request = log_pb2.TailLogsRequest()
        request.CopyFrom(self._request)
        if not self._positions or (self._silent and not settled):
            return request
        times = [position.newest for position in self._positions.values()]
        self._since = max(min(times), max(times) - LATE) - SLACK
        if request.HasField("since_time"):
            self._since = max(self._since, request.since_time.ToNanoseconds())
        request.since_time.FromNanoseconds(self._since)
        request.ClearField("tail_lines")
        return request

    def note_source(self, source: log_pb2.LogSource) -> None:
        """A container is read, or no longer."""
        key = (source.pod, source.container)
        if source.ended or any((s[0], s[1]) == key for s in self._positions):
            self._silent.discard(key)
        else:
            self._silent.add(key)

    def take(self, chunk: log_pb2.LogChunk) -> tuple[bytes, log_pb2.LogGap | None]:
        """The chunk's lines that were not seen yet, and what was lost before them."""
        source = (chunk.pod, chunk.container, chunk.restarts)
        lines, gap = chunk.lines, None
        if source in self._catching_up:
            lines, gap = self._unseen(source, chunk)
        if lines:
            self._silent.discard((chunk.pod, chunk.container))
            self._advance(source, lines)
        return lines, gap

    def _advance(self, source: Source, lines: bytes) -> None:
        tail = lines.rsplit(b"\n", _LOOK_BACK)[:-1]  # What is behind the last newline is empty.
        if not tail:
            return
        known = self._positions.get(source)
        newest = max(line_time(line) for line in tail)
        if known is None:
            self._positions[source] = Position(tail[-1] + b"\n", newest)
        else:
            known.last_line = tail[-1] + b"\n"
            known.newest = max(known.newest, newest)

    def _unseen(
        self, source: Source, chunk: log_pb2.LogChunk
    ) -> tuple[bytes, log_pb2.LogGap | None]:
        position = self._positions[source]
        lines = b"\n" + chunk.lines
        found = lines.find(b"\n" + position.last_line)
        if found >= 0:
            self._catching_up.discard(source)
            return chunk.lines[found + len(position.last_line) :], None
        start = 0
        for line in chunk.lines.splitlines(keepends=True):
            if line_time(line) > position.newest:
                self._catching_up.discard(source)
                return chunk.lines[start:], self._gap(chunk, position)
            start += len(line)
        return b"", None

    def _gap(self, chunk: log_pb2.LogChunk, position: Position) -> log_pb2.LogGap | None:
        """The last line seen was asked for again and did not come: what lay behind it may be gone, too."""
        if position.newest < self._since:
            return None
        gap = log_pb2.LogGap(
            service=chunk.service,
            pod=chunk.pod,
            message="the log was rotated while the connection was away; lines may be missing",
        )
        gap.from_time.FromNanoseconds(position.newest)
        return gap


def line_time(line: bytes) -> int:
    """The RFC 3339 time at the start of a log line in nanoseconds since 1970; 0 when there is none."""
    text = line[:40].split(b" ", 1)[0].decode("ascii", "replace")
    base, fraction, zone = text[:19], "", text[19:]
    if zone.startswith("."):
        digits = len(zone[1:]) - len(zone[1:].lstrip("0123456789"))
        fraction, zone = zone[1 : 1 + digits], zone[1 + digits :]
    try:
        moment = datetime.fromisoformat(base + (zone or "Z"))
    except ValueError:
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * NANOSECONDS + int((fraction or "0").ljust(9, "0")[:9])
