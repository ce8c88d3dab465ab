"""Numbers both ends agree on: what one end may do to the other, and how often they speak.

The control plane sends its limits in Welcome and keeps to them itself; the agent adopts them.
"""

from __future__ import annotations

from dataclasses import dataclass

from skerry.agent.v1 import link_pb2

PROTOCOL_MIN = 1
PROTOCOL_MAX = 1

SIGNATURE_CONTEXT = b"skerry-link-v1"
"""What an agent signs is this followed by the nonce, so that the signature proves nothing else."""

KIB = 1024
MIB = 1024 * KIB

HANDSHAKE_SECONDS = 10.0
SYNC_SECONDS = 60.0

BATCH_BYTES = 65 * KIB
"""An envelope is closed at this size, four full frames and their headers: urgent frames never wait
behind more than one."""

INTERACTIVE_CREDIT = 32 * KIB
MIN_STREAM_WINDOW = 24 * KIB
MAX_STREAM_WINDOW = 4 * MIB
START_BULK_WINDOW = 256 * KIB

OPENS_DELAYED_SECONDS = 15
"""Opens of so long may arrive together: a line that stands still for longer is given up."""

HTTP2_WINDOW = 4 * MIB
"""Of the transport below, on both ends: as much as one stream may have on its way."""

SEND_BUFFER = 128 * KIB
"""What a stream queues before its sender waits: one envelope being written and the next. Credit
bounds what the peer holds, this bounds what we hold for a peer that grants much."""

MAX_QUEUED_FRAMES = 65_536
"""Unconsumed frames of a stream: credit counts bytes, and a frame of one byte costs a hundred."""

MAX_CONTROL_FRAMES = 4_096
"""Control frames waiting to be written; a peer that makes us owe more is broken."""


MAX_UNACKNOWLEDGED_COMMANDS = 64
"""Commands on their way to one agent; the others wait in the database."""

MAX_WAITING_FOR_STORE = 16_384
"""Results, progress or reports by key that wait for the database, of one agent."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes. What a connection can make its receiver hold: `memory_bound`."""

    max_streams: int = 256
    max_frame_bytes: int = 16 * KIB
    max_message_bytes: int = 8 * MIB  # one command with a whole compose project, uncut
    initial_stream_credit: int = 64 * KIB
    connection_credit: int = 16 * MIB
    opens_per_second: int = 100

    @classmethod
    def from_proto(cls, limits: link_pb2.Limits) -> Limits:
        """Adopt the peer's limits; what it left out, or what could not work, keeps our default."""
        own = cls()
        frame = limits.max_frame_bytes or own.max_frame_bytes
        return cls(
            max_streams=limits.max_streams or own.max_streams,
            max_frame_bytes=min(frame, own.max_frame_bytes),
            max_message_bytes=limits.max_message_bytes or own.max_message_bytes,
            initial_stream_credit=max(
                limits.initial_stream_credit or own.initial_stream_credit, MIN_STREAM_WINDOW
            ),
            connection_credit=limits.connection_credit or own.connection_credit,
            opens_per_second=limits.opens_per_second or own.opens_per_second,
        )

    def to_proto(self) -> link_pb2.Limits:
        """As Welcome carries them."""
        return link_pb2.Limits(
            max_streams=self.max_streams,
            max_frame_bytes=self.max_frame_bytes,
            max_message_bytes=self.max_message_bytes,
            initial_stream_credit=self.initial_stream_credit,
            connection_credit=self.connection_credit,
            opens_per_second=self.opens_per_second,
        )


def memory_bound(limits: Limits) -> int:
    """The payload in bytes that one connection can make its receiver hold: what streams are granted above
    their initial credit comes from one pool, so no number of stalled streams goes beyond this."""
    return limits.connection_credit + limits.max_streams * limits.initial_stream_credit
