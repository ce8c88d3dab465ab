"""How much a peer may send: round-trip times, and the windows of bulk streams that follow them.

Latency under load is window divided by rate, so the windows of bulk streams are the one knob that
keeps a terminal quick beside them. They grow while they are what holds the flow back, and shrink when
the round trip shows that a queue is building. A long round trip alone does not tell a queue of ours
from a machine that is busy with other things; so a larger window is kept where more came through with
it, and a smaller one is taken back where less did. Used by `connection` alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from skerry.wire.limits import (
    MAX_STREAM_WINDOW,
    MIN_BULK_WINDOW,
    MIN_STREAM_WINDOW,
    START_BULK_WINDOW,
)

_INFLATION_FACTOR = 2.0
_INFLATION_SLACK = (
    0.010  # seconds: below this a queue is nobody's trouble, however low the floor is
)
_BETTER = 1.25
_FLOOR_DRIFT = 0.05 / 60  # per second: a route that became longer is the new floor in a while


@dataclass(slots=True)
class RoundTrip:
    """Round-trip times in seconds; 0 before the first sample."""

    latest: float = 0.0
    smoothed: float = 0.0
    floor: float = 0.0
    _floor_at: float = 0.0

    def sample(self, seconds: float, now: float) -> None:
        """Take in one measured round trip."""
        self.latest = seconds
        if not self.floor:
            self.smoothed = self.floor = seconds
        else:
            self.smoothed = (self.smoothed + seconds) / 2
            drifted = self.floor * (1 + _FLOOR_DRIFT * (now - self._floor_at))
            self.floor = min(seconds, drifted)
        self._floor_at = now

    @property
    def inflated(self) -> bool:
        """A queue is building somewhere between the ends."""
        limit = max(self.floor * _INFLATION_FACTOR, self.floor + _INFLATION_SLACK)
        return self.smoothed > limit


@dataclass(slots=True)
class BulkWindows:
    """Decides the window of each bulk stream of one connection.

    `total` is what all active bulk streams together should have in flight; `reserved` is what streams
    were granted above the initial credit each has a right to, and never exceeds `pool`. So a stream
    that stalls keeps what it was granted, and takes nothing from the initial credit of the others.
    """

    pool: int
    initial: int
    total: int = START_BULK_WINDOW
    reserved: int = 0
    _limiting: bool = False
    _step: int = 0  # what the last `adapt` did: 1 grew, -1 shrank
    _rate: float = 0.0
    _delivered: int = 0
    _adapted: float = 0.0
    _granting: set[int] = field(default_factory=set)
    _active: int = 1

    def window(self, stream_id: int) -> int:
        """The window that a stream which is due for credit should have, in bytes."""
        self._granting.add(stream_id)
        active = max(self._active, len(self._granting))
        return max(MIN_STREAM_WINDOW, min(self.total // active, MAX_STREAM_WINDOW))

    def affordable(self, held: int) -> int:
        """The largest window that the pool allows a stream which has reserved `held` of it."""
        return self.initial + max(0, self.pool - self.reserved + held)

    def turned_around(self, seconds: float, round_trip: RoundTrip) -> None:
        """A stream used up half a window in `seconds`: was the window what held it back?

        Half a window in less than two round trips means that the sender waits for credit.
        """
        if seconds < 2 * round_trip.smoothed:
            self._limiting = True

    def adapt(self, round_trip: RoundTrip, delivered: int, now: float) -> None:
        """Once a round trip: grow what limits, shrink what queues. `delivered` counts bytes for ever."""
        rate = (delivered - self._delivered) / max(now - self._adapted, 1e-6)
        paid = self._step > 0 and rate > self._rate * _BETTER
        hurt = self._step < 0 and rate < self._rate / _BETTER
        if not self._granting:
            self._step = 0
        elif round_trip.inflated and not paid and not hurt:
            self.total = max(self.total // 2, MIN_BULK_WINDOW)
            self._step = -1
        elif self._limiting or hurt:
            self.total = min(self.total * 2, max(self.pool, MIN_BULK_WINDOW))
            self._step = 1
        else:
            self._step = 0
        self._rate, self._delivered, self._adapted = rate, delivered, now
        self._limiting = False
        self._active = max(1, len(self._granting))
        self._granting.clear()
