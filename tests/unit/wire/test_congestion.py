"""What a keystroke waits for beside bulk streams on a line of limited rate, and what is left of the line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skerry.wire.congestion import MAX_LIMIT, MIN_LIMIT, START_LIMIT, BulkBudget
from skerry.wire.limits import KIB

from tests.unit.wire.slow_line import EndlessBudget, SlowLine

_MEGABIT = 125_000


def played(line: SlowLine, warm_up: float) -> tuple[float, float]:
    """The longest wait of a key in seconds, and the share of the line that bulk used, both behind the warm-up."""
    line.run(warm_up)
    since, before = line.now, line.bulk_taken
    line.run(3.0)
    return line.longest_wait(since), (line.bulk_taken - before) / 3.0 / line.rate


@pytest.mark.parametrize("round_trip", [0.001, 0.05, 0.2])
@pytest.mark.parametrize("streams", [1, 10, 100])
def test_a_key_waits_25_ms_at_most_and_the_line_is_used(round_trip: float, streams: int) -> None:
    line = SlowLine(rate=40 * _MEGABIT, delay=round_trip / 2, streams=streams)
    wait, share = played(line, 2 + 20 * round_trip)
    assert wait <= 0.025
    assert share >= 0.9


@pytest.mark.parametrize("round_trip", [0.001, 0.05, 0.2])
@pytest.mark.parametrize("streams", [1, 10, 100])
def test_without_the_budget_a_key_waits_for_all_that_credit_allows(
    round_trip: float, streams: int
) -> None:
    line = SlowLine(rate=40 * _MEGABIT, delay=round_trip / 2, streams=streams, budget=EndlessBudget)
    wait, _ = played(line, 2 + 20 * round_trip)
    assert wait > 0.1


@settings(
    max_examples=10, derandomize=True
)  # a heuristic: the same lines each time, or chance would fail it
@given(
    megabits=st.integers(5, 50),
    round_trip=st.floats(0.0, 0.3),
    streams=st.integers(1, 20),
    stalled=st.integers(0, 10),
)
def test_on_any_line_a_key_waits_for_little_and_stalled_consumers_cost_nothing(
    megabits: int, round_trip: float, streams: int, stalled: int
) -> None:
    rate = megabits * _MEGABIT
    line = SlowLine(rate=rate, delay=round_trip / 2, streams=streams, stalled=stalled)
    wait, share = played(line, 3 + 30 * round_trip)
    assert wait <= 0.05 + 2 * MIN_LIMIT / rate
    assert share >= 0.4  # after so short a time a slow long line is still being measured


def test_a_late_pong_stands_for_all_before_it() -> None:
    budget = BulkBudget()
    for number in (1, 2, 3):
        budget.wrote(number * 16 * KIB)
        budget.mark(number, 0.0)
    assert budget.in_flight == 48 * KIB
    assert budget.acknowledge(2, 0.1) == pytest.approx(0.1)
    assert budget.in_flight == 16 * KIB
    assert budget.acknowledge(1, 0.2) is None
    assert budget.acknowledge(9, 0.2) is None, "never asked"
    assert budget.in_flight == 16 * KIB


def test_what_is_full_waits_for_a_pong() -> None:
    budget = BulkBudget()
    seen = [(budget.allowance > 0, budget.wants_mark)]
    budget.wrote(START_LIMIT)
    seen.append((budget.allowance > 0, budget.wants_mark))
    budget.mark(1, 0.0)
    seen.append((budget.allowance > 0, budget.wants_mark))
    budget.acknowledge(1, 0.1)
    seen.append((budget.allowance > 0, budget.wants_mark))
    assert seen == [(True, False), (False, True), (False, False), (True, False)]


@given(
    st.lists(
        st.tuples(st.integers(0, 200_000), st.floats(0, 1, allow_nan=False), st.booleans()),
        max_size=200,
    )
)
def test_the_limit_has_bounds_and_nothing_waits_for_ever(
    steps: list[tuple[int, float, bool]],
) -> None:
    budget, now, sent, ping = BulkBudget(), 0.0, 0, 0
    for size, seconds, answer in steps:
        now += seconds
        if budget.allowance:
            sent += size
            budget.wrote(sent)
        else:
            budget.held_back()
        if budget.wants_mark:
            ping += 1
            budget.mark(ping, now)
        if answer and ping:
            budget.acknowledge(ping, now)
        assert MIN_LIMIT <= budget.limit <= MAX_LIMIT
    for _ in range(3):  # whatever was, one answer makes room
        if budget.wants_mark:
            ping += 1
            budget.mark(ping, now)
        if ping:
            budget.acknowledge(ping, now + 0.1)
    assert budget.in_flight == 0
    assert budget.allowance > 0
