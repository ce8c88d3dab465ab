"""Cutting a container's log into frames of whole lines, and finding the place to go on.

Pure, on bytes. Speed counts here (a busy log is 100,000 lines a second): bytes are cut at newlines
in large pieces, and single lines are looked at only where a cursor must be found.

Each line is `time`, a space, the text, a newline; the time is RFC 3339 as the runtime wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

FRAME_BYTES = 16 * 1024
_LONGEST_TIME = 40


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last line delivered of one container's run."""

    time: bytes
    lines_at_time: int
    """Lines delivered with exactly that time; 0 to start at that time."""


class LineFramer:
    """Collects chunks cut anywhere and gives frames of whole lines, none larger than `limit`.

    A line that alone is longer than a frame is cut into several lines of the same time, at
    character boundaries; `cut_lines` counts the cuts. The same bytes are always cut into the same
    lines, however they arrive, so that cursors stay valid.
    """

    def __init__(self, limit: int = FRAME_BYTES) -> None:
        if limit <= 2 * _LONGEST_TIME:
            raise ValueError("a frame must have room for a time and some text")
        self._limit = limit
        self._rest = b""
        self.cut_lines = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Frames of the lines that are complete with this chunk; none is held back."""
        data = self._rest + chunk
        start = 0
        while True:
            end = data.rfind(b"\n", start, start + self._limit) + 1
            if end:
                yield data[start:end]
                start = end
            elif len(data) - start <= self._limit:
                break
            else:
                piece, data = self._cut(data, start)
                start = 0
                yield piece
        self._rest = data[start:]

    def end(self) -> Iterator[bytes]:
        """What is left when the log has ended without a last newline."""
        if self._rest:
            yield from self.feed(b"\n")

    def _cut(self, data: bytes, start: int) -> tuple[bytes, bytes]:
        """A first piece of the long line at `start`, and what remains with its time repeated."""
        self.cut_lines += 1
        time = _time_of(data[start : start + _LONGEST_TIME])
        cut = _character_boundary(data, start + self._limit - 1)
        rest = data[cut + 1 :] if data[cut : cut + 1] == b"\n" else time + data[cut:]
        return data[start:cut] + b"\n", rest


class CursorFilter:
    """Drops the lines up to a cursor from a log that is read again from a little before it.

    The API server starts a log at a whole second only. Lines older than the cursor, and as many of
    its very time as were delivered, are dropped; from the first newer one on everything passes.
    """

    def __init__(self, cursor: Cursor | None) -> None:
        self._cursor = cursor
        self._key = _key(cursor.time) if cursor else (0, 0)
        self._skipped = 0
        self.lost = False
        """Whether the cursor's own line was not there any more: lines between may be lost."""

    def feed(self, frame: bytes) -> bytes:
        """The part of a frame that is new."""
        cursor = self._cursor
        if cursor is None:
            return frame
        start = 0
        while start < len(frame):
            end = frame.index(b"\n", start) + 1
            order = self._compare(_time_of(frame[start : start + _LONGEST_TIME]).rstrip(b" "))
            if order > 0:
                self.lost = self._skipped < cursor.lines_at_time
                self._cursor = None
                return frame[start:]
            if order == 0:
                if self._skipped == cursor.lines_at_time:
                    self._cursor = None
                    return frame[start:]
                self._skipped += 1
            start = end
        return b""

    def _compare(self, time: bytes) -> int:
        """Negative, zero or positive: before, at or after the cursor's time."""
        mine = self._cursor.time if self._cursor else b""
        if len(time) == len(mine) and time[-1:] == mine[-1:] == b"Z":
            return (time > mine) - (time < mine)
        key = _key(time)
        return (key > self._key) - (key < self._key)


class CursorTracker:
    """Where a container's log stands after each frame that was delivered."""

    def __init__(self, cursor: Cursor | None = None) -> None:
        self.cursor = cursor

    def delivered(self, frame: bytes) -> None:
        """Note a frame of whole lines."""
        last = frame.rfind(b"\n", 0, len(frame) - 1) + 1
        time = _time_of(frame[last : last + _LONGEST_TIME]).rstrip(b" ")
        mark = time + b" "
        count = frame.count(b"\n" + mark) + frame.startswith(mark)
        before = self.cursor
        if before is not None and before.time == time:
            count += before.lines_at_time
        self.cursor = Cursor(time, count)


def _time_of(line: bytes) -> bytes:
    """The time of a line with the space behind it; empty when it has none."""
    end = line.find(b" ")
    return line[: end + 1] if end > 0 else b""


def _key(time: bytes) -> tuple[int, int]:
    """A time as something that sorts: whole seconds (UTC) and nanoseconds.

    Runtimes write between 0 and 9 digits of fraction and may use an offset instead of Z.
    """
    text = time.decode("ascii", "replace")
    if len(text) < 20 or text[10] != "T":
        return (0, 0)
    try:
        seconds = _seconds(text[:19])
        rest = text[19:]
        digits = ""
        if rest.startswith("."):
            stop = 1
            while stop < len(rest) and rest[stop].isdigit():
                stop += 1
            digits, rest = rest[1:stop], rest[stop:]
        if rest not in ("Z", "z", ""):
            sign = -1 if rest[0] == "-" else 1
            seconds -= sign * (int(rest[1:3]) * 3600 + int(rest[4:6]) * 60)
        return seconds, int(digits.ljust(9, "0")[:9] or 0)
    except (ValueError, IndexError):
        return (0, 0)


def _seconds(text: str) -> int:
    """Seconds since the epoch of `2026-11-23T14:30:00`, taken as UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def _character_boundary(data: bytes, position: int) -> int:
    """The last place at or before `position` that does not cut a UTF-8 character."""
    for back in range(4):
        if data[position - back] & 0xC0 != 0x80:
            return position - back
    return position
