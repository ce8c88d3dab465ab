"""When a link that is up is called degraded, and what is said about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.domain.link_health import (
    Durable,
    LinkHistory,
    LinkProblemReason,
    LinkSample,
    problems,
)

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
GOOD = LinkSample(
    epoch=3,
    protocol=1,
    capabilities=(),
    connect_time=NOW - timedelta(hours=2),
    smoothed_round_trip=timedelta(milliseconds=20),
    streams={},
    received_bytes=0,
    sent_bytes=0,
)
QUIET = LinkHistory()
YOUNG = Durable(NOW + timedelta(hours=40), timedelta(hours=48), NOW - timedelta(minutes=6))


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def lost(*minutes: float) -> LinkHistory:
    return LinkHistory(tuple(ago(60 * minute) for minute in minutes), "LOST", ago(0))


@pytest.mark.parametrize(
    ("sample", "history", "durable", "expected"),
    [
        (GOOD, QUIET, YOUNG, None),
        (replace(GOOD, smoothed_round_trip=None), QUIET, YOUNG, None),
        (replace(GOOD, smoothed_round_trip=timedelta(seconds=1)), QUIET, YOUNG, None),
        (
            replace(GOOD, smoothed_round_trip=timedelta(seconds=1.1)),
            QUIET,
            YOUNG,
            LinkProblemReason.HIGH_ROUND_TRIP,
        ),
        (GOOD, lost(50, 30, 1), YOUNG, None),
        (GOOD, lost(50, 30, 20, 1), YOUNG, LinkProblemReason.RECONNECTING_OFTEN),
        (GOOD, lost(61, 50, 30, 1), YOUNG, None),
        (replace(GOOD, commands_waiting_since=ago(30)), QUIET, YOUNG, None),
        (
            replace(GOOD, commands_waiting_since=ago(31)),
            QUIET,
            YOUNG,
            LinkProblemReason.COMMANDS_WAITING,
        ),
        (
            replace(GOOD, reports_waiting_since=ago(31)),
            QUIET,
            YOUNG,
            LinkProblemReason.REPORTS_WAITING,
        ),
        (GOOD, QUIET, replace(YOUNG, certificate_expires=NOW + timedelta(hours=10)), None),
        (
            GOOD,
            QUIET,
            replace(YOUNG, certificate_expires=NOW + timedelta(hours=9)),
            LinkProblemReason.CERTIFICATE_NOT_RENEWED,
        ),
        (GOOD, QUIET, replace(YOUNG, certificate_expires=None, facts_observed=None), None),
        (
            GOOD,
            QUIET,
            replace(YOUNG, facts_observed=ago(16 * 60)),
            LinkProblemReason.FACTS_STALE,
        ),
        (
            replace(GOOD, connect_time=ago(60)),
            QUIET,
            replace(YOUNG, facts_observed=ago(16 * 60)),
            None,
        ),
    ],
)
def test_what_is_wrong(
    sample: LinkSample,
    history: LinkHistory,
    durable: Durable,
    expected: LinkProblemReason | None,
) -> None:
    found = problems(sample, history, durable, NOW)
    assert [problem.reason for problem in found] == ([expected] if expected else [])
    assert all(problem.message for problem in found)


def test_all_that_is_wrong_is_said() -> None:
    bad = replace(
        GOOD,
        smoothed_round_trip=timedelta(seconds=9),
        commands_waiting_since=ago(60),
        reports_waiting_since=ago(60),
    )
    durable = Durable(ago(1), timedelta(hours=48), ago(3600))
    found = problems(bad, lost(9, 8, 7, 6), durable, NOW)
    assert {problem.reason for problem in found} == set(LinkProblemReason)


@given(st.lists(st.floats(0, 3 * 3600), max_size=200))
def test_the_history_is_bounded_and_of_one_hour(gaps: list[float]) -> None:
    history, now = LinkHistory(), NOW
    for gap in gaps:
        now += timedelta(seconds=gap)
        history = history.ended("LOST", now)
        assert len(history.lost) <= LinkHistory.KEPT
        assert all(now - time < timedelta(hours=1) for time in history.lost)
        assert history.last_disconnect_time == now
