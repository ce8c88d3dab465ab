"""The soak's verdict: noise and steps at the start are not growth, a leak is."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from soak.verdict import Series, judge, theil_sen


def _series(value: Callable[[float], float], *, points: int = 120) -> Series:
    return Series("memory", "MiB", [(float(at), value(float(at))) for at in range(points)], 6.0)


def test_noise_is_flat() -> None:
    chance = random.Random(1)
    assert not judge(_series(lambda _: 100 + chance.uniform(-10, 10))).grows


def test_a_warm_up_is_flat() -> None:
    assert not judge(_series(lambda at: 100 if at > 20 else 50 + at)).grows


def test_spikes_are_flat() -> None:
    assert not judge(_series(lambda at: 400 if at in (70, 95, 110, 118) else 100)).grows


def test_a_slow_leak_grows() -> None:
    chance = random.Random(2)
    finding = judge(_series(lambda at: 100 + at / 4 + chance.uniform(-3, 3)))
    assert finding.grows
    assert finding.growth == pytest.approx(22, abs=3)
    assert str(finding).startswith("GROWS")


def test_a_step_up_that_stays_grows() -> None:
    assert judge(_series(lambda at: 100 if at < 75 else 130)).grows


def test_shrinking_is_flat() -> None:
    assert not judge(_series(lambda at: 200 - at)).grows


def test_growth_within_the_share_is_flat() -> None:
    assert not judge(_series(lambda at: 1000 + at / 4)).grows


def test_too_few_points_are_no_verdict() -> None:
    with pytest.raises(ValueError, match="too few"):
        judge(_series(lambda _: 1.0, points=5))


def test_the_slope_is_the_median_of_all_pairs() -> None:
    assert theil_sen([(0, 0), (1, 2), (2, 4), (3, 6), (4, 100)]) == pytest.approx(2)
