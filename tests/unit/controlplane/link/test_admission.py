"""A storm of agents is spread, and nobody waits for ever."""

from __future__ import annotations

import heapq
import random

import pytest

from controlplane.link.admission import HandshakeGate


def test_beyond_the_burst_agents_are_asked_to_come_back() -> None:
    gate = HandshakeGate(per_second=10, at_once=2, under_way=99)
    assert gate.enter(0.0) is None
    assert gate.enter(0.0) is None
    refused = gate.enter(0.0)
    assert refused is not None
    why, low, high = refused
    assert why == "RATE"
    assert 0 < low < high


def test_as_many_are_checked_together_as_may_be() -> None:
    gate = HandshakeGate(per_second=1000, at_once=1000, under_way=2)
    assert gate.enter(0.0) is None
    assert gate.enter(0.0) is None
    refused = gate.enter(0.0)
    assert refused is not None
    assert refused[0] == "BUSY"
    gate.leave()
    assert gate.enter(0.0) is None


def test_each_refusal_books_a_later_place() -> None:
    gate = HandshakeGate(per_second=10, at_once=1, under_way=99)
    gate.enter(0.0)
    waits = [refused[1] for _ in range(400) if (refused := gate.enter(0.0)) is not None]
    assert waits == sorted(waits)
    assert waits[0] == 1.0
    assert waits[199] == pytest.approx(20.0)
    assert waits[399] == pytest.approx(40.0)


@pytest.mark.parametrize("agents", [500, 5000])
@pytest.mark.parametrize("seconds", [0.0, 0.5])
def test_a_storm_is_in_within_a_minute(agents: int, seconds: float) -> None:
    """All come at once; one handshake takes so long on the control plane."""
    rng = random.Random(agents)
    gate = HandshakeGate()
    due = [(rng.uniform(0, 1), number, "come") for number in range(agents)]
    heapq.heapify(due)
    admitted, refused, now = 0, 0, 0.0
    while due:
        now, number, what = heapq.heappop(due)
        if what == "leave":
            gate.leave()
            continue
        answer = gate.enter(now)
        if answer is None:
            admitted += 1
            heapq.heappush(due, (now + seconds, number, "leave"))
        else:
            refused += 1
            heapq.heappush(due, (now + rng.uniform(answer[1], answer[2]), number, "come"))
    assert admitted == agents
    assert now <= agents / 100 + 15
    assert refused <= 3 * agents, "an agent comes in vain a few times at most"
