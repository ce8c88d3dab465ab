"""Frames and cursors: whole lines only, nothing lost, nothing doubled, however the bytes arrive."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from agent.workloads.loglines import Cursor, CursorFilter, CursorTracker, LineFramer

LIMIT = 200
ticks = st.integers(0, 5)
text = st.text(alphabet="ab é☃ \t", max_size=30).map(lambda t: t.encode())
long_text = st.text(alphabet="xé☃", min_size=150, max_size=900).map(lambda t: t.encode())


def stamp(tick: int) -> bytes:
    return f"2026-11-23T14:30:{tick // 1000:02d}.{tick % 1000:03d}000000Z".encode()


@st.composite
def logs(draw: st.DrawFn) -> list[bytes]:
    """Lines with times that never go back and often repeat."""
    now, lines = 0, []
    for _ in range(draw(st.integers(0, 20))):
        now += draw(ticks)
        lines.append(stamp(now) + b" " + draw(st.one_of(text, text, long_text)) + b"\n")
    return lines


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data in chunks."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


def framed(chunks: list[bytes]) -> list[bytes]:
    framer = LineFramer(LIMIT)
    frames = [frame for chunk in chunks for frame in framer.feed(chunk)]
    return [*frames, *framer.end()]


def lines_of(frames: list[bytes]) -> list[bytes]:
    return b"".join(frames).splitlines(keepends=True)


@given(logs(), st.lists(st.integers(0, 10_000), max_size=8))
def test_the_same_bytes_give_the_same_lines_however_they_arrive(
    log: list[bytes], places: list[int]
) -> None:
    data = b"".join(log)
    assert lines_of(framed(cut(data, places))) == lines_of(framed([data]))


@given(logs(), st.lists(st.integers(0, 10_000), max_size=8))
def test_frames_are_whole_lines_within_the_limit(log: list[bytes], places: list[int]) -> None:
    for frame in framed(cut(b"".join(log), places)):
        assert frame.endswith(b"\n")
        assert len(frame) <= LIMIT
        for line in frame.splitlines():
            line.decode()  # no character is cut


@given(logs())
def test_no_text_is_lost_or_added(log: list[bytes]) -> None:
    def texts(lines: list[bytes]) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        for line in lines:
            time, _, rest = line.rstrip(b"\n").partition(b" ")
            found[time] = found.get(time, b"") + rest
        return found

    assert texts(lines_of(framed([b"".join(log)]))) == texts(log)


def test_lines_that_are_not_complete_wait() -> None:
    framer = LineFramer(LIMIT)
    assert list(framer.feed(stamp(0) + b" hel")) == []
    assert list(framer.feed(b"lo\n" + stamp(1))) == [stamp(0) + b" hello\n"]


def test_a_log_without_a_last_newline_is_ended() -> None:
    assert framed([stamp(0) + b" end"]) == [stamp(0) + b" end\n"]


def test_a_long_line_is_cut_and_counted() -> None:
    framer = LineFramer(LIMIT)
    frames = list(framer.feed(stamp(0) + b" " + b"x" * 300 + b"\n"))
    assert framer.cut_lines == 1
    assert [frame[:30] for frame in frames] == [stamp(0), stamp(0)]


def test_a_line_of_exactly_the_limit_is_not_cut() -> None:
    line = stamp(0) + b" " + b"x" * (LIMIT - 32) + b"\n"
    assert len(line) == LIMIT
    assert framed([line]) == [line]


@given(logs(), st.integers(0, 100), st.lists(st.integers(0, 10_000), max_size=6))
@example(log=[stamp(0) + b" a\n"] * 3, position=1, places=[])
def test_resuming_anywhere_loses_and_doubles_nothing(
    log: list[bytes], position: int, places: list[int]
) -> None:
    """Deliver some frames, remember the cursor, read all again: what passes is the rest."""
    everything = lines_of(framed([b"".join(log)]))
    delivered = everything[: position % (len(everything) + 1)]
    tracker = CursorTracker()
    for line in delivered:
        tracker.delivered(line)
    head = CursorFilter(tracker.cursor)
    rest = [new for frame in framed(cut(b"".join(log), places)) if (new := head.feed(frame))]
    assert delivered + lines_of(rest) == everything
    assert not head.lost


@given(logs(), st.integers(1, 5))
def test_a_cursor_counts_the_lines_of_its_time_over_frames(log: list[bytes], size: int) -> None:
    lines = lines_of(framed([b"".join(log)]))
    tracker = CursorTracker()
    for start in range(0, len(lines), size):
        tracker.delivered(b"".join(lines[start : start + size]))
    if lines:
        last = lines[-1].split(b" ")[0]
        same = sum(line.split(b" ")[0] == last for line in lines)
        assert tracker.cursor == Cursor(last, same)


def test_a_cursor_whose_line_was_rotated_away_is_a_loss() -> None:
    head = CursorFilter(Cursor(stamp(3), 1))
    assert head.feed(stamp(5) + b" later\n") == stamp(5) + b" later\n"
    assert head.lost


def test_a_start_time_is_no_line_that_could_be_lost() -> None:
    head = CursorFilter(Cursor(stamp(3), 0))
    assert head.feed(stamp(2) + b" a\n" + stamp(3) + b" b\n") == stamp(3) + b" b\n"
    assert not head.lost


def test_times_written_in_other_ways_compare_by_what_they_mean() -> None:
    head = CursorFilter(Cursor(b"2026-11-23T14:30:00.5Z", 1))
    before = b"2026-11-23T16:30:00.499999999+02:00 old\n"
    same = b"2026-11-23T14:30:00.500000000Z there\n"
    after = b"2026-11-23T14:30:00.500000001Z new\n"
    assert head.feed(before + same + after) == after
