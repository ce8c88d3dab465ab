"""Trying again: growing, jittered, bounded, and only what may pass."""

from __future__ import annotations

import random

import pytest

from agent.kube.backoff import Backoff, retry_transient
from agent.kube.errors import InvalidError, KubeError, UnreachableError


def test_delays_double_within_their_jitter_up_to_the_longest() -> None:
    backoff = Backoff(first=1.0, longest=5.0, rng=random.Random(1))
    for most in (1.0, 2.0, 4.0, 5.0, 5.0):
        assert most / 2 <= backoff.next() <= most


def test_a_success_begins_small_again() -> None:
    backoff = Backoff(first=1.0, longest=100.0, rng=random.Random(1))
    for _ in range(5):
        backoff.next()
    backoff.reset()
    assert backoff.next() <= 1.0


class Flaky:
    """Fails some times, then succeeds."""

    def __init__(self, *errors: KubeError) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


QUICK = {"within": 5.0, "backoff": Backoff(first=0.001, longest=0.002)}


async def test_what_passes_is_tried_again() -> None:
    call = Flaky(UnreachableError("away"), UnreachableError("away"))
    assert await retry_transient(call, **QUICK) == "done"  # type: ignore[arg-type]
    assert call.calls == 3


async def test_what_does_not_pass_is_raised_at_once() -> None:
    call = Flaky(InvalidError("wrong"))
    with pytest.raises(InvalidError):
        await retry_transient(call, **QUICK)  # type: ignore[arg-type]
    assert call.calls == 1


async def test_the_time_is_bounded() -> None:
    call = Flaky(*(UnreachableError("away") for _ in range(1_000)))
    with pytest.raises(UnreachableError):
        await retry_transient(call, within=0.0)
    assert call.calls == 1
