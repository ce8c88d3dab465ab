"""Does a series grow? Pure; used by `__main__` and tested without a clock.

Two robust measures must agree: the Theil-Sen slope (the median of the slopes of all pairs, which a few outliers cannot turn)
and the medians of the first and the last third. What happens in the warm-up, the first quarter, is not looked at: caches
fill, the allocator takes its arenas.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_WARM_UP_SHARE = 0.25
_MOST_POINTS = 200  # pairs are quadratic


@dataclass(frozen=True, slots=True)
class Series:
    """One measure of one program over time. Growth below `slack`, in its unit, or below `share` of its level is none."""

    name: str
    unit: str
    points: Sequence[tuple[float, float]]
    """(seconds since the start, value)"""
    slack: float
    share: float = 0.05


@dataclass(frozen=True, slots=True)
class Finding:
    """What became of a series. `growth` is what the slope adds over the time looked at."""

    series: str
    unit: str
    first: float
    last: float
    growth: float
    allowed: float

    @property
    def grows(self) -> bool:
        """Both measures are beyond what is allowed."""
        return min(self.growth, self.last - self.first) > self.allowed

    def __str__(self) -> str:
        verdict = "GROWS" if self.grows else "flat"
        return (
            f"{verdict:5}  {self.series}: {self.first:.1f} to {self.last:.1f} {self.unit} (medians of the first and last third), "
            f"slope {self.growth:+.1f} over the run, allowed {self.allowed:.1f}"
        )


def judge(series: Series) -> Finding:
    """Raises ValueError for fewer than six points behind the warm-up: that says nothing."""
    end = series.points[-1][0] if series.points else 0.0
    settled = [(at, value) for at, value in series.points if at >= end * _WARM_UP_SHARE]
    if len(settled) < 6:
        raise ValueError(f"{series.name}: {len(settled)} points are too few for a verdict")
    third = len(settled) // 3
    first = statistics.median(value for _, value in settled[:third])
    last = statistics.median(value for _, value in settled[-third:])
    slope = theil_sen(settled[:: max(1, len(settled) // _MOST_POINTS)])
    growth = slope * (settled[-1][0] - settled[0][0])
    return Finding(
        series.name, series.unit, first, last, growth, max(series.slack, series.share * first)
    )


def theil_sen(points: Sequence[tuple[float, float]]) -> float:
    """The median of the slopes of all pairs, in units a second."""
    slopes = [
        (later - earlier) / (after - before)
        for number, (before, earlier) in enumerate(points)
        for after, later in points[number + 1 :]
        if after > before
    ]
    return statistics.median(slopes) if slopes else 0.0
