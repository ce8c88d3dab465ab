"""How often something may happen: a token bucket. Pure; used by `multiplexer` and by the control plane's admission."""

from __future__ import annotations


class TokenBucket:
    """`per_second` in the long run, `at_once` after a pause. Times are seconds of a monotonic clock."""

    def __init__(self, *, per_second: float, at_once: float) -> None:
        self._per_second = per_second
        self._at_once = at_once
        self._tokens = at_once
        self._filled: float | None = None

    def take(self, now: float) -> bool:
        """Whether it may happen now; then it counts."""
        if self._filled is not None:
            earned = max(0.0, now - self._filled) * self._per_second
            self._tokens = min(self._at_once, self._tokens + earned)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
