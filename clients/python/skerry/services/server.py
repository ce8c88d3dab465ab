"""The control plane itself: `Client.server`."""

from __future__ import annotations

from grpc import aio

from skerry.calls import Calls
from skerry.platform.v1 import server_pb2, server_pb2_grpc


class Server:
    """Who is asking, and what the server can do."""

    def __init__(self, calls: Calls, channel: aio.Channel) -> None:
        self._calls = calls
        self._stub = server_pb2_grpc.ServerServiceStub(channel)

    async def info(self) -> server_pb2.GetServerInfoResponse:
        """The server's version, clock and abilities, and the caller. Raises SkerryError."""
        return await self._calls.unary(self._stub.GetServerInfo, server_pb2.GetServerInfoRequest())
