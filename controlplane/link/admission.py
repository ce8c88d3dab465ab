"""How many agents are let in at a time: a storm of them is spread, before any signature is checked. Used by `session`.

Pure. An agent that comes too early is given a time of its own to come back at, so that the others find room: each refusal books
the next free place. What a refused handshake costs is its TLS, which is over before anything of ours runs.
"""

from __future__ import annotations

from skerry.wire.rate import TokenBucket

_SOONEST = 1.0
_LATEST = 50.0
_SPREAD = 0.2
"""Of the wait: how far two agents with the same place may come apart."""


class HandshakeGate:
    """One for the process. `per_second` and `at_once` bound how often, `under_way` how many are checked together."""

    def __init__(
        self, *, per_second: float = 100.0, at_once: float = 200.0, under_way: int = 64
    ) -> None:
        self._bucket = TokenBucket(per_second=per_second, at_once=at_once)
        self._per_second = per_second
        self._most = under_way
        self._under_way = 0
        self._booked = 0.0

    def enter(self, now: float) -> tuple[str, float, float] | None:
        """None: go on, and `leave` when it is over. Else why not (`BUSY`, `RATE`), and between how many seconds to come back."""
        if self._under_way >= self._most:
            return "BUSY", *self._book(now)
        if not self._bucket.take(now):
            return "RATE", *self._book(now)
        self._under_way += 1
        return None

    def leave(self) -> None:
        """A handshake that entered is over."""
        self._under_way -= 1

    def _book(self, now: float) -> tuple[float, float]:
        self._booked = max(self._booked, now) + 1 / self._per_second
        low = min(max(self._booked - now, _SOONEST), _LATEST)
        return low, low * (1 + _SPREAD)
