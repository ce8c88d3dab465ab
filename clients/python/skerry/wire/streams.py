"""The state of one stream on one end: what was sent and granted, what arrived and was consumed.

Plain numbers and queues, changed by `connection` and `scheduler` only. Offsets count bytes from the
stream's beginning, one count for each direction, over all channels.
"""

from __future__ import annotations

import sys
from collections import deque

from skerry.agent.v1 import link_pb2
from skerry.wire.data import StreamData
from skerry.wire.errors import StreamReset

NEVER = sys.maxsize


class StreamState:
    """One stream. `local` is true on the end that opened it."""

    __slots__ = (
        "abandoned",
        "answer_by",
        "answered",
        "closed",
        "consumed",
        "deficit",
        "enqueued",
        "error",
        "fin_queued",
        "fin_received",
        "fin_sent",
        "grant_at",
        "granted",
        "granted_time",
        "id",
        "inbound",
        "interactive",
        "local",
        "max_frame",
        "missing_in_sync",
        "opening",
        "outbound",
        "reader_waits",
        "received",
        "reserved",
        "scheduled",
        "send_limit",
        "sender_waits",
        "sent",
        "window",
    )

    def __init__(
        self,
        stream_id: int,
        *,
        interactive: bool,
        local: bool,
        max_frame: int,
        send_limit: int,
        window: int,
        now: float,
    ) -> None:
        self.id = stream_id
        self.interactive = interactive
        self.local = local
        self.max_frame = max_frame
        # towards the peer
        self.outbound: deque[tuple[bytes, link_pb2.Channel.ValueType]] = deque()
        self.opening: link_pb2.Frame | None = None  # an Open too large for the control lane
        self.enqueued = 0  # offset behind the last byte queued
        self.sent = 0  # offset behind the last byte written
        self.send_limit = send_limit  # the peer's credit
        self.fin_queued = False
        self.fin_sent = False
        self.scheduled = False  # in the scheduler's rotation
        self.deficit = 0
        self.sender_waits = False
        # from the peer
        self.inbound: deque[StreamData] = deque()
        self.window = window
        self.granted = window
        self.granted_time = now
        self.grant_at = grant_threshold(window, window, max_frame)
        self.reserved = 0
        self.received = 0
        self.consumed = 0
        self.fin_received = False
        self.reader_waits = False
        self.abandoned = False
        # both
        self.answer_by: float | None = None
        self.answered = False
        self.missing_in_sync = False
        self.closed = False
        self.error: StreamReset | None = None

    @property
    def queued(self) -> int:
        """Bytes that wait to be written."""
        return self.enqueued - self.sent

    @property
    def has_output(self) -> bool:
        """Whether the scheduler has something to write for it."""
        return bool(self.outbound) or (self.fin_queued and not self.fin_sent)


def grant_threshold(granted: int, window: int, max_frame: int) -> int:
    """The consumed offset at which the next credit is due.

    Half a window saves frames; but a sender that needs a whole frame's credit must get it once all it
    sent is consumed, so a small window grants sooner.
    """
    return granted - window + max(1, min(window // 2, window - max_frame))
