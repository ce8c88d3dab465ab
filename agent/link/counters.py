"""What the agent's link counted since the process started, over all connections. Kept by `link`, shown by `agent.health`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from skerry.wire.connection import Connection
from skerry.wire.scheduler import Traffic

LANES = ("control", "interactive", "bulk")


@dataclass(frozen=True, slots=True)
class LinkCounts:
    """`frames` and `payload_bytes` by direction (`in`, `out`) and lane; `resets` by reason; `ends` by reason."""

    streams: int = 0
    frames: Mapping[tuple[str, str], int] = field(default_factory=dict)
    payload_bytes: Mapping[tuple[str, str], int] = field(default_factory=dict)
    resets: Mapping[str, int] = field(default_factory=dict)
    ends: Mapping[str, int] = field(default_factory=dict)


class LinkCounters:
    """Adds up connections that ended, and the one that is up on asking. Asked from another thread: it only reads."""

    def __init__(self) -> None:
        self._ended = LinkCounts()

    def ended(self, connection: Connection | None, reason: str) -> None:
        """A connection is over; None when none came about."""
        total = self._ended if connection is None else _add(self._ended, connection)
        ends = {**total.ends, reason: total.ends.get(reason, 0) + 1}
        self._ended = LinkCounts(0, total.frames, total.payload_bytes, total.resets, ends)

    def now(self, live: Connection | None) -> LinkCounts:
        """Up to now, with the connection that is up."""
        return self._ended if live is None else _add(self._ended, live)


def _add(before: LinkCounts, connection: Connection) -> LinkCounts:
    frames, sizes = dict(before.frames), dict(before.payload_bytes)
    for direction, traffic in (("in", connection.received), ("out", connection.sent)):
        for lane in LANES:
            key = (direction, lane)
            frames[key] = frames.get(key, 0) + _of(traffic, lane, "frames")
            sizes[key] = sizes.get(key, 0) + _of(traffic, lane, "bytes")
    resets = dict(before.resets)
    for reason, count in list(connection.resets.items()):
        resets[reason] = resets.get(reason, 0) + count
    return LinkCounts(len(connection.streams), frames, sizes, resets, before.ends)


def _of(traffic: Traffic, lane: str, what: str) -> int:
    return int(getattr(traffic, f"{lane}_{what}"))
