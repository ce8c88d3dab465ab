"""The token bucket."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from skerry.wire.rate import TokenBucket


@given(
    per_second=st.floats(0.1, 1000),
    at_once=st.integers(1, 500),
    gaps=st.lists(st.floats(0, 5), max_size=300),
)
def test_no_window_holds_more_than_the_burst_and_the_rate(
    per_second: float, at_once: int, gaps: list[float]
) -> None:
    bucket, now, taken = TokenBucket(per_second=per_second, at_once=at_once), 100.0, 0
    for gap in gaps:
        now += gap
        taken += bucket.take(now)
        assert taken <= at_once + (now - 100.0) * per_second + 1e-6


def test_what_was_used_up_comes_back_with_time() -> None:
    bucket = TokenBucket(per_second=2, at_once=3)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert not bucket.take(0.4)
    assert bucket.take(0.5)
    assert [bucket.take(60.0) for _ in range(4)] == [True, True, True, False]


def test_a_clock_that_stands_still_gives_nothing() -> None:
    bucket = TokenBucket(per_second=2, at_once=1)
    assert bucket.take(5.0)
    assert not bucket.take(5.0)
    assert not bucket.take(4.0)
