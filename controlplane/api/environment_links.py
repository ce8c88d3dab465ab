"""EnvironmentLinkService at the border."""

from skerry.platform.v1 import environment_link_pb2, environment_link_pb2_grpc

from controlplane.api import caller
from controlplane.api.convert import common
from controlplane.api.convert.operations import operation
from controlplane.api.convert.projects import environment_link
from controlplane.api.interceptors.call import Context
from controlplane.domain.names import EnvironmentLinkName, EnvironmentName
from controlplane.services.environment_links import EnvironmentLinkService


class EnvironmentLinkServicer(environment_link_pb2_grpc.EnvironmentLinkServiceServicer):
    """Links between environments."""

    def __init__(self, links: EnvironmentLinkService) -> None:
        self._links = links

    async def CreateEnvironmentLink(
        self, request: environment_link_pb2.CreateEnvironmentLinkRequest, _context: Context
    ) -> environment_link_pb2.CreateEnvironmentLinkResponse:
        created = await self._links.create_link(
            EnvironmentName.parse(request.parent, "parent"),
            EnvironmentName.parse(request.peer, "peer"),
            grants=caller.principal().grants,
            key=caller.idempotency_key(request),
        )
        return environment_link_pb2.CreateEnvironmentLinkResponse(
            link=environment_link(created.link),
            operations=[operation(item) for item in created.operations],
        )

    async def ListEnvironmentLinks(
        self, request: environment_link_pb2.ListEnvironmentLinksRequest, _context: Context
    ) -> environment_link_pb2.ListEnvironmentLinksResponse:
        page = await self._links.list_links(
            EnvironmentName.parse(request.parent, "parent"), common.page_request(request)
        )
        return environment_link_pb2.ListEnvironmentLinksResponse(
            links=[environment_link(item) for item in page.items],
            next_page_token=page.next_token,
        )

    async def DeleteEnvironmentLink(
        self, request: environment_link_pb2.DeleteEnvironmentLinkRequest, _context: Context
    ) -> environment_link_pb2.DeleteEnvironmentLinkResponse:
        deleted = await self._links.delete_link(
            EnvironmentLinkName.parse(request.name),
            etag=request.etag,
            key=caller.idempotency_key(request),
        )
        return environment_link_pb2.DeleteEnvironmentLinkResponse(
            operations=[operation(item) for item in deleted.operations]
        )
