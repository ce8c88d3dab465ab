"""Round trips and the windows that follow them."""

from __future__ import annotations

from skerry.wire.credit import BulkWindows, RoundTrip
from skerry.wire.limits import (
    KIB,
    MAX_STREAM_WINDOW,
    MIB,
    MIN_STREAM_WINDOW,
    START_BULK_WINDOW,
)
from skerry.wire.streams import grant_threshold


def trip(*seconds: float) -> RoundTrip:
    made = RoundTrip()
    for value in seconds:
        made.sample(value)
    return made


def windows(pool: int = 16 * MIB) -> BulkWindows:
    return BulkWindows(pool=pool, initial=64 * KIB)


def test_windows_double_while_they_limit() -> None:
    made, round_trip = windows(), trip(0.1)
    for number in range(10):
        made.window(2)
        made.turned_around(0.01, round_trip)
        made.adapt(round_trip, float(number))
    assert made.total == 16 * MIB
    assert made.window(2) == MAX_STREAM_WINDOW


def test_windows_that_do_not_limit_stay() -> None:
    made, round_trip = windows(), trip(0.001)
    made.window(2)
    made.turned_around(1.0, round_trip)
    made.adapt(round_trip, 1.0)
    assert made.total == START_BULK_WINDOW


def test_active_streams_share_and_none_gets_less_than_it_began_with() -> None:
    made = windows()
    assert made.window(2) == START_BULK_WINDOW
    assert made.window(4) == START_BULK_WINDOW // 2
    for stream_id in range(6, 200, 2):
        made.window(stream_id)
    assert made.window(2) == 64 * KIB


def test_the_pool_bounds_what_is_granted_above_the_initial_credit() -> None:
    made = windows(pool=100 * KIB)
    made.reserved = 90 * KIB
    assert made.affordable(0) == 74 * KIB
    assert made.affordable(50 * KIB) == 124 * KIB
    made.reserved = 200 * KIB
    assert made.affordable(0) == 64 * KIB, "the initial credit is always there"


def test_a_sender_that_needs_a_whole_frame_always_gets_it() -> None:
    frame = 16 * KIB
    for window in range(MIN_STREAM_WINDOW, 2 * MIB, 4093):
        granted = 10 * MIB
        leftover = frame - 1  # the most that is left when a sender waits
        assert granted - leftover >= grant_threshold(granted, window, frame)
