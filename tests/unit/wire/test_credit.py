"""Round trips and the windows that follow them."""

from __future__ import annotations

from skerry.wire.credit import BulkWindows, RoundTrip
from skerry.wire.limits import (
    KIB,
    MAX_STREAM_WINDOW,
    MIB,
    MIN_BULK_WINDOW,
    MIN_STREAM_WINDOW,
    START_BULK_WINDOW,
)
from skerry.wire.streams import grant_threshold


def trip(*seconds: float) -> RoundTrip:
    made = RoundTrip()
    for number, value in enumerate(seconds):
        made.sample(value, float(number))
    return made


def windows(pool: int = 16 * MIB) -> BulkWindows:
    return BulkWindows(pool=pool, initial=64 * KIB)


def test_a_round_trip_far_above_the_floor_is_inflated() -> None:
    assert not trip(0.05, 0.06, 0.05).inflated
    assert trip(0.05, 0.3, 0.3).inflated


def test_small_queues_on_a_short_way_are_nobodys_trouble() -> None:
    assert not trip(0.0003, 0.005, 0.005).inflated


def test_the_floor_follows_a_route_that_became_longer() -> None:
    made = trip(0.02)
    for minute in range(1, 60):
        made.sample(0.1, minute * 60.0)
    assert not made.inflated


def test_windows_double_while_they_limit() -> None:
    made, round_trip = windows(), trip(0.1)
    for _ in range(10):
        made.window(2)
        made.turned_around(0.01, round_trip)
        made.adapt(round_trip, 0, 0.0)
    assert made.total == 16 * MIB
    assert made.window(2) == MAX_STREAM_WINDOW


def test_windows_that_do_not_limit_stay() -> None:
    made, round_trip = windows(), trip(0.001)
    made.window(2)
    made.turned_around(1.0, round_trip)
    made.adapt(round_trip, 0, 0.0)
    assert made.total == START_BULK_WINDOW


def test_windows_halve_while_a_queue_builds_down_to_a_floor() -> None:
    made, inflated = windows(), trip(0.01, 1.0, 1.0)
    for epoch in range(1, 10):
        made.window(2)
        made.adapt(inflated, epoch * 1000, float(epoch))  # as much comes through as before
    assert made.total == MIN_BULK_WINDOW


def test_a_window_that_brings_more_is_kept_however_long_the_way_takes() -> None:
    made, inflated = windows(), trip(0.01, 1.0, 1.0)
    delivered = 0
    totals = []
    for epoch in range(1, 40):  # a busy machine: what comes through is the window, each second
        made.window(2)
        made.turned_around(1.0, inflated)
        delivered += made.total
        made.adapt(inflated, delivered, float(epoch))
        totals.append(made.total)
    assert max(totals) == 16 * MIB
    assert totals[-1] >= 4 * MIB


def test_active_streams_share_and_none_gets_less_than_a_frame_needs() -> None:
    made = windows()
    assert made.window(2) == START_BULK_WINDOW
    assert made.window(4) == START_BULK_WINDOW // 2
    for stream_id in range(6, 200, 2):
        made.window(stream_id)
    assert made.window(2) == MIN_STREAM_WINDOW


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
