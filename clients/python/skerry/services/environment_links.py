"""Links between environments: `Client.environment_links`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from grpc import aio

from skerry import paging
from skerry.calls import Calls
from skerry.platform.v1 import (
    environment_link_pb2,
    environment_link_pb2_grpc,
    operation_pb2,
)


class EnvironmentLinks:
    """What opens environments of one cluster to each other. All methods raise SkerryError."""

    def __init__(self, calls: Calls, channel: aio.Channel) -> None:
        self._calls = calls
        self._stub = environment_link_pb2_grpc.EnvironmentLinkServiceStub(channel)

    def list(
        self, parent: str, *, page_size: int = 0
    ) -> AsyncGenerator[environment_link_pb2.EnvironmentLink, None]:
        """An environment's links, oldest first, whichever side made them."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListEnvironmentLinks,
                environment_link_pb2.ListEnvironmentLinksRequest(
                    parent=parent, page_size=page_size, page_token=token
                ),
            ),
            lambda page: page.links,
        )

    async def create(
        self, parent: str, peer: str, *, request_id: str | None = None
    ) -> environment_link_pb2.CreateEnvironmentLinkResponse:
        """Link two environments; each of the operations in the reply opens one side."""
        request = environment_link_pb2.CreateEnvironmentLinkRequest(
            parent=parent, peer=peer, request_id=request_id or self._calls.request_ids()
        )
        return await self._calls.unary(self._stub.CreateEnvironmentLink, request)

    async def delete(
        self, name: str, *, etag: str = "", request_id: str | None = None
    ) -> Sequence[operation_pb2.Operation]:
        """End a link; each of the operations closes one side."""
        request = environment_link_pb2.DeleteEnvironmentLinkRequest(
            name=name, etag=etag, request_id=request_id or self._calls.request_ids()
        )
        response = await self._calls.unary(self._stub.DeleteEnvironmentLink, request)
        return list(response.operations)
