"""Whether the peer is still there: when to ask it, and when to give it up. Pure; used by `connection`.

Every message is a sign of life, so a busy peer is asked nothing. The control plane asks at each
interval, the agent only when those questions stay away: half the idle traffic. A peer that said nothing
for an interval and the grace behind it is dead; see decision 059 for the numbers.

An end that was stopped itself (a suspended process, a blocked event loop) cannot judge: what the peer
said meanwhile is still unread. So lateness of our own clock never counts against the peer.
"""

from __future__ import annotations

GRACE_SHARE = 0.4
"""Of the interval: how long a peer may be too busy to say anything, whenever that begins."""

MIN_GRACE_SECONDS = 2.0
_ROUND_TRIPS = 2.0  # a line as long as that needs more grace, up to two intervals
_OVERSLEPT_SECONDS = 1.0


class Liveness:
    """Times are seconds of a monotonic clock. `asks` is true on the end that asks at each interval."""

    def __init__(self, *, asks: bool, now: float, interval: float) -> None:
        self.heard = now
        """When the last message arrived."""
        self._asks = asks
        self._interval = interval
        self._round_trip = 0.0
        self._ask_due = now + interval
        self._asked: float | None = None  # the first question since the peer was heard
        self._excused_until = now

    def begin(self, now: float, interval: float) -> None:
        """The handshake is over; the interval is agreed."""
        self._interval = interval
        self._asked = None
        self.note_heard(now)

    def note_heard(self, now: float) -> None:
        """A message arrived."""
        self.heard = now
        self._asked = None

    def note_asked(self, now: float) -> None:
        """A ping was queued."""
        self._ask_due = now + self._interval
        if self._asked is None:
            self._asked = now

    def note_round_trip(self, seconds: float) -> None:
        """The smoothed round trip: over a long line an answer takes longer."""
        self._round_trip = seconds

    def since_asked(self, now: float) -> float:
        """Seconds since the last question of any kind."""
        return now - (self._ask_due - self._interval)

    @property
    def grace(self) -> float:
        """How long a peer may be unable to speak without being given up, in seconds."""
        grace = max(
            self._interval * GRACE_SHARE, MIN_GRACE_SECONDS, self._round_trip * _ROUND_TRIPS
        )
        return min(grace, max(self._interval * 2, MIN_GRACE_SECONDS))

    @property
    def ask_at(self) -> float:
        """When a ping is due."""
        if self._asks:
            return self._ask_due
        if self._asked is not None:
            return self._ask_due  # asked already; again only after another interval
        return self.heard + self._interval + self.grace / 4

    @property
    def silent_at(self) -> float:
        """When the peer is given up. Never before it was asked and had time to answer."""
        asked = self._asked if self._asked is not None else self.ask_at
        return max(
            self.heard + self._interval + self.grace,
            asked + self.grace * 3 / 4,
            self._excused_until,
        )

    def is_silent(self, now: float) -> bool:
        """Whether the peer is to be given up. When we come late ourselves, it gets the time once more."""
        late = now - self.silent_at
        if late > _OVERSLEPT_SECONDS:
            self._excused_until = now + self.grace * 3 / 4
            return False
        return late >= 0
