"""Waiting before dialling again."""

from __future__ import annotations

import random

from agent.link.backoff import Backoff


def test_waits_grow_to_the_limit_and_stay_within() -> None:
    backoff = Backoff(random.Random(1))
    waits = [backoff.after(0) for _ in range(200)]
    assert all(0.5 <= wait <= 30 for wait in waits)
    assert waits[0] <= 1.5
    assert max(waits) > 15


def test_a_healthy_connection_makes_the_next_wait_short() -> None:
    backoff = Backoff(random.Random(1))
    for _ in range(50):
        backoff.after(0)
    assert backoff.after(29) > 0
    assert backoff.after(30) <= 1.5


def test_agents_do_not_come_in_step() -> None:
    waits = {round(Backoff(random.Random(seed)).after(0), 6) for seed in range(100)}
    assert len(waits) > 90


def test_what_the_control_plane_asks_for_is_kept() -> None:
    backoff = Backoff(random.Random(1))
    assert all(2 <= backoff.between(2, 5) <= 5 for _ in range(100))
    assert backoff.between(3, 1) == 3
