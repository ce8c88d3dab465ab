"""OrganizationService at the border."""

from skerry.platform.v1 import organization_pb2, organization_pb2_grpc

from controlplane.api import caller
from controlplane.api.convert import common
from controlplane.api.convert import projects as convert
from controlplane.api.interceptors.call import Context
from controlplane.domain.names import OrganizationName
from controlplane.services.organizations import OrganizationService


class OrganizationServicer(organization_pb2_grpc.OrganizationServiceServicer):
    """Organizations."""

    def __init__(self, organizations: OrganizationService) -> None:
        self._organizations = organizations

    async def CreateOrganization(
        self, request: organization_pb2.CreateOrganizationRequest, _context: Context
    ) -> organization_pb2.CreateOrganizationResponse:
        made = await self._organizations.create_organization(
            request.organization_id,
            request.display_name,
            owner=caller.principal().name,
            key=caller.idempotency_key(request),
        )
        return organization_pb2.CreateOrganizationResponse(organization=convert.organization(made))

    async def GetOrganization(
        self, request: organization_pb2.GetOrganizationRequest, _context: Context
    ) -> organization_pb2.GetOrganizationResponse:
        found = await self._organizations.get_organization(OrganizationName.parse(request.name))
        return organization_pb2.GetOrganizationResponse(organization=convert.organization(found))

    async def ListOrganizations(
        self, request: organization_pb2.ListOrganizationsRequest, _context: Context
    ) -> organization_pb2.ListOrganizationsResponse:
        page = await self._organizations.list_organizations(
            common.page_request(request), visible=caller.visible()
        )
        return organization_pb2.ListOrganizationsResponse(
            organizations=[convert.organization(item) for item in page.items],
            next_page_token=page.next_token,
        )

    async def DeleteOrganization(
        self, request: organization_pb2.DeleteOrganizationRequest, _context: Context
    ) -> organization_pb2.DeleteOrganizationResponse:
        await self._organizations.delete_organization(
            OrganizationName.parse(request.name),
            etag=request.etag,
            key=caller.idempotency_key(request),
        )
        return organization_pb2.DeleteOrganizationResponse()
