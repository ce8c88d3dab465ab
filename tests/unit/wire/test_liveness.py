"""When a peer is given up: soon enough, and never while it lives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skerry.wire.liveness import Liveness

INTERVAL = 10.0
GRACE = 4.0


class Peer:
    """The other end: answers each ping after the round trip, except while it is stopped."""

    def __init__(self, round_trip: float, stopped: tuple[float, float]) -> None:
        self.round_trip = round_trip
        self.stopped = stopped

    def answer_to(self, asked: float) -> float:
        """When the answer arrives."""
        reached = asked + self.round_trip / 2
        begin, end = self.stopped
        answered = end if begin <= reached < end else reached
        return answered + self.round_trip / 2


def given_up(liveness: Liveness, peer: Peer, until: float) -> float | None:
    """Run one end as its shell does; when it gave the peer up."""
    now, answers = 0.0, [peer.answer_to(0.0)]
    liveness.note_asked(0.0)
    while now < until:
        due = min(liveness.ask_at, liveness.silent_at)
        if answers and min(answers) <= due:
            now = min(answers)
            answers.remove(now)
            liveness.note_heard(now)
            continue
        now = due
        if liveness.is_silent(now):
            return now
        if now >= liveness.ask_at:
            liveness.note_asked(now)
            answers.append(peer.answer_to(now))
    return None


@given(
    asks=st.booleans(),
    round_trip=st.floats(0, 2.5),
    stop_at=st.floats(0, 60),
)
def test_a_peer_that_stops_for_the_grace_is_never_given_up(
    asks: bool, round_trip: float, stop_at: float
) -> None:
    liveness = Liveness(asks=asks, now=0.0, interval=INTERVAL)
    blocked = GRACE - round_trip - 1.001  # an agent asks a second later
    peer = Peer(round_trip, (stop_at, stop_at + max(0.0, blocked)))
    assert given_up(liveness, peer, 200.0) is None


@given(asks=st.booleans(), round_trip=st.floats(0, 2.5), stop_at=st.floats(0, 60))
def test_a_frozen_peer_is_found_in_fifteen_seconds(
    asks: bool, round_trip: float, stop_at: float
) -> None:
    liveness = Liveness(asks=asks, now=0.0, interval=INTERVAL)
    found = given_up(liveness, Peer(round_trip, (stop_at, 1e9)), 1000.0)
    assert found is not None
    assert found - stop_at <= INTERVAL + GRACE + round_trip + 1e-6


def test_on_average_it_takes_nine_seconds() -> None:
    found = []
    for tenth in range(100, 200):
        stop_at = tenth / 10
        at = given_up(
            Liveness(asks=True, now=0.0, interval=INTERVAL), Peer(0.0, (stop_at, 1e9)), 100.0
        )
        assert at is not None
        found.append(at - stop_at)
    assert 8.5 < sum(found) / len(found) < 9.5


def test_who_overslept_asks_again_before_judging() -> None:
    liveness = Liveness(asks=True, now=0.0, interval=INTERVAL)
    liveness.note_asked(INTERVAL)
    woke = 40.0  # suspended meanwhile: the answer may be in the buffers
    assert not liveness.is_silent(woke)
    assert liveness.silent_at == woke + GRACE * 3 / 4
    assert not liveness.is_silent(woke + 1)
    assert liveness.is_silent(woke + 3)


def test_a_question_that_was_asked_late_gets_its_time() -> None:
    liveness = Liveness(asks=True, now=0.0, interval=INTERVAL)
    liveness.note_asked(13.5)  # due at 10; this end was busy
    assert liveness.silent_at == 13.5 + GRACE * 3 / 4


def test_a_long_line_has_more_grace_within_bounds() -> None:
    liveness = Liveness(asks=True, now=0.0, interval=INTERVAL)
    liveness.note_round_trip(3.0)
    assert liveness.grace == 6.0
    liveness.note_round_trip(1000.0)
    assert liveness.grace == 2 * INTERVAL


@pytest.mark.parametrize("interval", [0.1, 0.5, 2.0])
def test_short_intervals_leave_time_to_answer(interval: float) -> None:
    assert Liveness(asks=True, now=0.0, interval=interval).grace == 2.0
