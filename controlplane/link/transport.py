"""The control plane's end of the gRPC call: the settings of the agent port, and a call as a
`Transport`. Used by `servicer`; the settings by `controlplane.app`."""

from __future__ import annotations

import grpc
import grpc.aio
from skerry.agent.v1 import link_pb2
from skerry.wire.errors import TransportError
from skerry.wire.limits import HTTP2_WINDOW, KIB, Limits

SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    # Two servers on one port would share the agents silently.
    ("grpc.so_reuseport", 0),
    # A frozen peer still acknowledges TCP: only ping_timeout_ms finds it, keepalive alone does not.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    # Strictly less than the agents' keepalive time, or they are sent away for pinging too much.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    # What a frozen control plane finds in its buffers when it goes on was sent at its time: no offence.
    ("grpc.http2.max_ping_strikes", 0),
    # gRPC measures the line with two pings of its own for each message of ours, which is most of what an
    # idle link costs. Our credit bounds what is under way; the window only has to be larger than it.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", HTTP2_WINDOW),
    ("grpc.max_receive_message_length", Limits().max_message_bytes + 64 * KIB),
    ("grpc.max_send_message_length", Limits().max_message_bytes + 64 * KIB),
)

Context = grpc.aio.ServicerContext[link_pb2.ConnectRequest, link_pb2.ConnectResponse]


class ContextTransport:
    """A server call as a `skerry.wire.session.Transport`. It ends when the servicer returns."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def read(self) -> link_pb2.ConnectRequest | None:
        """The next message, or None when the agent has half-closed."""
        try:
            message: object = await self._context.read()
        except grpc.aio.BaseError as error:
            raise TransportError("CANCELLED", "the agent's call has ended") from error
        return message if isinstance(message, link_pb2.ConnectRequest) else None

    async def write(self, message: link_pb2.ConnectResponse) -> None:
        """Returns when the message is accepted for sending."""
        try:
            await self._context.write(message)
        except grpc.aio.BaseError as error:
            raise TransportError("CANCELLED", "the agent's call has ended") from error

    async def finish_writing(self) -> bool:
        """Returning from the servicer half-closes; there is nothing to wait for."""
        return False

    def cancel(self) -> None:
        """A server cannot cancel a call; returning from the servicer ends it."""
