"""How much a peer may send before its consumer takes it: the windows of bulk streams, bounded by a pool.

A window only has to be large enough that the sender need not wait for credit: what is on its way, and the
queue it causes, is the sender's own concern (`congestion`). So windows double while they are what holds the
flow back, and a stream that nobody reads from stays where it is. Used by `multiplexer` and `connection`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from skerry.wire.limits import MAX_STREAM_WINDOW, START_BULK_WINDOW


@dataclass(slots=True)
class RoundTrip:
    """Round-trip times in seconds; 0 before the first sample."""

    latest: float = 0.0
    smoothed: float = 0.0

    def sample(self, seconds: float) -> None:
        """Take in one measured round trip."""
        self.latest = seconds
        self.smoothed = (self.smoothed + seconds) / 2 if self.smoothed else seconds


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
    _adapted: float = 0.0
    _granting: set[int] = field(default_factory=set)
    _active: int = 1

    def window(self, stream_id: int) -> int:
        """The window that a stream which is due for credit should have, in bytes."""
        self._granting.add(stream_id)
        active = max(self._active, len(self._granting))
        return max(self.initial, min(self.total // active, MAX_STREAM_WINDOW))

    def affordable(self, held: int) -> int:
        """The largest window that the pool allows a stream which has reserved `held` of it."""
        return self.initial + max(0, self.pool - self.reserved + held)

    def turned_around(self, seconds: float, round_trip: RoundTrip) -> None:
        """A stream used up half a window in `seconds`: was the window what held it back?

        Half a window in less than two round trips means that the sender waits for credit.
        """
        if seconds < 2 * round_trip.smoothed:
            self._limiting = True

    def adapt(self, round_trip: RoundTrip, now: float) -> None:
        """A round trip was measured: at most once in one, grow what limits."""
        if now - self._adapted < round_trip.smoothed:
            return
        if self._limiting:
            self.total = min(self.total * 2, max(self.pool, self.initial))
        self._adapted = now
        self._limiting = False
        self._active = max(1, len(self._granting))
        self._granting.clear()
