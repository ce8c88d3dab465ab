"""The agent's end of the gRPC call: channel settings, and the call as a `Transport`.

A channel is made anew for each attempt, so that names are resolved again and gRPC's own backoff never
gets in the way of ours. Used by `dial` and `enrol`.
"""

from __future__ import annotations

import grpc
import grpc.aio
from skerry.agent.v1 import link_pb2
from skerry.wire.errors import TransportError
from skerry.wire.limits import HTTP2_WINDOW, KIB, Limits

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    # A frozen peer still acknowledges TCP: only ping_timeout_ms finds it, keepalive alone does not.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    # gRPC measures the line with two pings of its own for each message of ours, which is most of what an
    # idle link costs. Our credit bounds what is under way; the window only has to be larger than it.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", HTTP2_WINDOW),
    ("grpc.max_receive_message_length", Limits().max_message_bytes + 64 * KIB),
    ("grpc.max_send_message_length", Limits().max_message_bytes + 64 * KIB),
    # One attempt on one channel: the link decides when to try again.
    ("grpc.enable_retries", 0),
)

Call = grpc.aio.StreamStreamCall[link_pb2.ConnectRequest, link_pb2.ConnectResponse]


class CallTransport:
    """A client call as a `skerry.wire.session.Transport`."""

    def __init__(self, call: Call) -> None:
        self._call = call

    async def read(self) -> link_pb2.ConnectResponse | None:
        """The next message, or None when the control plane has ended the call properly."""
        try:
            message = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise transport_error(error) from error
        if isinstance(message, link_pb2.ConnectResponse):
            return message
        await self._raise_for_status()
        return None

    async def write(self, message: link_pb2.ConnectRequest) -> None:
        """Returns when the message is accepted for sending."""
        try:
            await self._call.write(message)
        except grpc.aio.AioRpcError as error:
            raise transport_error(error) from error
        except grpc.aio.UsageError as error:  # the call has ended meanwhile; read() says why
            raise TransportError("CANCELLED", "the call has ended") from error

    async def finish_writing(self) -> bool:
        """Half-close; the control plane answers by ending the call."""
        try:
            await self._call.done_writing()
        except (grpc.aio.AioRpcError, grpc.aio.UsageError):
            return False
        return True

    def cancel(self) -> None:
        """End the call now."""
        self._call.cancel()

    async def _raise_for_status(self) -> None:
        code = await self._call.code()
        if code is not grpc.StatusCode.OK:
            raise TransportError(code.name, await self._call.details() or "")


def transport_error(error: grpc.aio.AioRpcError) -> TransportError:
    """What gRPC said, without gRPC."""
    return TransportError(error.code().name, error.details() or "")
