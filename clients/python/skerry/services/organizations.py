"""Organizations: `Client.organizations`."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from grpc import aio

from skerry import paging
from skerry.calls import Calls
from skerry.platform.v1 import organization_pb2, organization_pb2_grpc


class Organizations:
    """The outermost walls between tenants. All methods raise SkerryError."""

    def __init__(self, calls: Calls, channel: aio.Channel) -> None:
        self._calls = calls
        self._stub = organization_pb2_grpc.OrganizationServiceStub(channel)

    async def create(
        self, organization_id: str, *, display_name: str = ""
    ) -> organization_pb2.Organization:
        """Make an organization; the caller becomes its owner."""
        request = organization_pb2.CreateOrganizationRequest(
            organization_id=organization_id,
            display_name=display_name,
            request_id=self._calls.request_ids(),
        )
        return (await self._calls.unary(self._stub.CreateOrganization, request)).organization

    def list(self) -> AsyncGenerator[organization_pb2.Organization, None]:
        """Those that the caller has anything to do with, by name."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListOrganizations,
                organization_pb2.ListOrganizationsRequest(page_token=token),
            ),
            lambda page: page.organizations,
        )

    async def delete(self, name: str) -> None:
        """Delete an organization that has no projects left."""
        request = organization_pb2.DeleteOrganizationRequest(
            name=name, request_id=self._calls.request_ids()
        )
        await self._calls.unary(self._stub.DeleteOrganization, request)
