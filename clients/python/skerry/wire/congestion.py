"""How much bulk data may be on the line: enough to fill it, and no queue that a keystroke would wait behind.

Credit bounds what the receiver holds; this bounds what is on its way. A ping goes with the bulk, in order, so
its pong says that everything before it has arrived, whether or not a consumer took it: a stalled consumer
changes nothing here, and any version of the peer answers. The round trip above its floor is the time spent
in queues; once a round trip the limit grows while that is short, and falls in proportion when it is long
(delay-based, as TCP Vegas and LEDBAT, RFC 6817, are). Streams share the limit by the scheduler's turns.

Pure; times are seconds of a monotonic clock, sizes payload bytes. Used by `connection` alone.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from skerry.wire.limits import BATCH_BYTES, KIB, MIB

TARGET_SECONDS = 0.007
"""The queue that bulk data may cause. An event loop or a radio link jitters by about as much."""

START_LIMIT = 64 * KIB
MIN_LIMIT = 32 * KIB
"""Two full frames. Who shares a line with a flow that fills every queue still gets this in a round trip."""
MAX_LIMIT = 16 * MIB
_FRAME = 16 * KIB
_SLICE_SECONDS = 0.004  # what is written or acknowledged at a time, so that it goes evenly
_ROUND_SECONDS = 0.02  # the least: one answer that came late says nothing
_BETTER = 1.2
_FLOOR_SECONDS = 20.0  # how long a floor is believed; then the line is let run empty for a moment
_QUIET_FLOOR_SECONDS = 10.0  # where the line happens to be empty, it is measured again after this


@dataclass(frozen=True, slots=True)
class _Mark:
    id: int
    at: float
    sent: int  # all that was sent before it
    in_flight: int


class BulkBudget:
    """The bulk data of one direction of one connection."""

    def __init__(self) -> None:
        self.limit = START_LIMIT
        """How much may be on its way, in bytes."""
        self._sent = 0
        self._arrived = 0
        self._marked = 0
        self._marks: deque[_Mark] = deque()
        self._last_id = 0
        self._floor = math.inf
        self._floor_at = -math.inf
        self._draining = False
        self._step = START_LIMIT // 2
        self._slice = _FRAME
        self._round_ends = 1
        self._trips: deque[float] = deque(
            maxlen=8
        )  # the newest: earlier ones do not show yet what the limit does
        self._limited = False
        self._round_began = -math.inf
        self._round_arrived = 0
        self._rate = 0.0  # of the last round, in bytes a second
        self._settling = False
        self._change = 0  # of the limit, by the last round
        self._before = START_LIMIT  # the limit before that change
        self._rates: deque[float] = deque(maxlen=8)  # of the last rounds that this limit held back

    @property
    def in_flight(self) -> int:
        """Sent and not yet known to have arrived."""
        return self._sent - self._arrived

    @property
    def allowance(self) -> int:
        """How much the next batch may hold; 0 when it must wait for a pong."""
        room = (MIN_LIMIT if self._draining else self.limit) - self.in_flight
        return 0 if room <= 0 else min(room, self._slice)

    @property
    def wants_mark(self) -> bool:
        """A ping must go now, or nobody says when there is room again."""
        unmarked = self._sent - self._marked
        if not unmarked:
            return False
        return not self._marks or unmarked >= max(_FRAME // 2, min(self._slice, self.limit // 8))

    def held_back(self) -> None:
        """Something waits for this budget."""
        self._limited = not self._draining

    def wrote(self, total: int) -> None:
        """`total` bytes were written since the beginning."""
        self._sent = total

    def mark(self, ping_id: int, now: float) -> None:
        """A ping goes behind all that was written so far. Ids grow."""
        self._marks.append(_Mark(ping_id, now, self._sent, self.in_flight))
        self._marked = self._sent
        self._last_id = ping_id

    def acknowledge(self, ping_id: int, now: float) -> float | None:
        """A pong came: the round trip, or None when it answers no ping that is under way.

        It stands for all earlier ones: a peer answers the newest of several that wait.
        """
        marks = self._marks
        if not marks or not marks[0].id <= ping_id <= self._last_id:
            return None
        mark = marks.popleft()
        while mark.id < ping_id:
            mark = marks.popleft()
        self._arrived = mark.sent
        trip = max(now - mark.at, 1e-6)
        quiet = mark.in_flight <= MIN_LIMIT + _FRAME
        age = now - self._floor_at
        if trip <= self._floor or (quiet and age > _QUIET_FLOOR_SECONDS):
            self._floor, self._floor_at = trip, now
        self._draining = now - self._floor_at > _FLOOR_SECONDS
        self._trips.append(trip)
        if ping_id >= self._round_ends and now - self._round_began >= _ROUND_SECONDS:
            self._end_round(now)
        return trip

    def _end_round(self, now: float) -> None:
        """What was written at the beginning of the round has arrived: was there a queue?

        A busy machine or a radio link is late without any queue of ours. So a larger limit is kept where
        more came through with it, a smaller one is taken back where less did, and the limit does not fall below
        what came through lately.
        """
        floor, trip, rates = self._floor, min(self._trips), self._rates
        queue = (
            trip - floor - trip * _FRAME / self.limit
        )  # a frame's own time on the line is no queue
        rate = (self._arrived - self._round_arrived) / max(now - self._round_began, 1e-6)
        known = (
            sorted(rates)[-2] if len(rates) > 1 else 0.0
        )  # the highest may be pongs that came in a burst
        if self._limited or rate > known:
            rates.append(rate)
        before = self.limit
        settling, self._settling = self._settling, False
        paid = self._limited and self._change > 0 and rate > self._rate * _BETTER
        hurt = self._limited and self._change < 0 and rate < self._rate / _BETTER
        if settling:  # what came through was still sent under the limit before
            pass
        elif hurt or (queue > TARGET_SECONDS and before == MIN_LIMIT and self._limited):
            self.limit = max(self._before, MIN_LIMIT * 3 // 2)
            self._step = self.limit // 2
        elif queue > TARGET_SECONDS and not paid:
            fitting = max(known, before / trip) * (floor + TARGET_SECONDS / 2)
            self.limit = max(MIN_LIMIT, before // 2, min(before, int(fitting)))
            self._step = self._small_step
        elif queue > TARGET_SECONDS * 3 / 4 and not paid:
            self._step = self._small_step
        elif self._limited:
            self.limit = min(before + self._step, MAX_LIMIT)
            faster = 2 if queue < TARGET_SECONDS / 8 or paid else 1
            self._step = min(self._step * faster, self.limit // 2)
        if not settling:
            self._change, self._before, self._rate = self.limit - before, before, rate
            self._settling = queue > TARGET_SECONDS
        pace = self.limit / trip * _SLICE_SECONDS
        self._slice = int(max(_FRAME, min(BATCH_BYTES * 8, pace)))
        self._round_ends = self._last_id + 1
        self._round_began, self._round_arrived = now, self._arrived
        self._limited = False

    @property
    def _small_step(self) -> int:
        """A quarter of the queue that is aimed for."""
        share = TARGET_SECONDS / 4 / (self._floor + TARGET_SECONDS)
        return max(4 * KIB, int(self.limit * share))
