"""How long to wait before dialling again: decorrelated jitter, so that agents do not come in step."""

from __future__ import annotations

import random


class Backoff:
    """From `low` to `high` seconds; each wait is drawn between `low` and three times the last one."""

    def __init__(
        self, rng: random.Random, *, low: float = 0.5, high: float = 30.0, healthy: float = 30.0
    ) -> None:
        self._rng = rng
        self._low = low
        self._high = high
        self._healthy = healthy
        self._last = low

    def after(self, connected_seconds: float) -> float:
        """The wait after a connection that held so long (0: it did not come about)."""
        if connected_seconds >= self._healthy:
            self._last = self._low
        self._last = min(self._high, self._rng.uniform(self._low, self._last * 3))
        return self._last

    def between(self, low: float, high: float) -> float:
        """A wait that the control plane asked for, in seconds."""
        return self._rng.uniform(low, max(low, high))

    @property
    def longest(self) -> float:
        """What to wait when coming back soon is of no use, without coming in step."""
        return self._rng.uniform(self._high / 2, self._high)
