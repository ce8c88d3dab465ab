"""DeploymentService at the border."""

from collections.abc import AsyncIterator

from skerry.platform.v1 import deployment_pb2, deployment_pb2_grpc

from controlplane.api import streams
from controlplane.api.convert import common
from controlplane.api.convert import deployments as convert
from controlplane.api.interceptors.call import Context
from controlplane.domain.names import AppName, DeploymentName, RevisionName
from controlplane.services.deployments import DeploymentService


class DeploymentServicer(deployment_pb2_grpc.DeploymentServiceServicer):
    """Deployments and revisions."""

    def __init__(self, deployments: DeploymentService) -> None:
        self._deployments = deployments

    async def GetDeployment(
        self, request: deployment_pb2.GetDeploymentRequest, _context: Context
    ) -> deployment_pb2.GetDeploymentResponse:
        deployment = await self._deployments.get_deployment(DeploymentName.parse(request.name))
        return deployment_pb2.GetDeploymentResponse(deployment=convert.deployment(deployment))

    async def ListDeployments(
        self, request: deployment_pb2.ListDeploymentsRequest, _context: Context
    ) -> deployment_pb2.ListDeploymentsResponse:
        page = await self._deployments.list_deployments(
            AppName.parse(request.parent, "parent"), common.page_request(request)
        )
        return deployment_pb2.ListDeploymentsResponse(
            deployments=[convert.deployment(item) for item in page.items],
            next_page_token=page.next_token,
        )

    def WatchDeployment(
        self, request: deployment_pb2.WatchDeploymentRequest, _context: Context
    ) -> AsyncIterator[deployment_pb2.WatchDeploymentResponse]:
        return streams.converted(
            self._deployments.watch_deployment(DeploymentName.parse(request.name)),
            convert.deployment_event,
        )

    async def GetRevision(
        self, request: deployment_pb2.GetRevisionRequest, _context: Context
    ) -> deployment_pb2.GetRevisionResponse:
        revision = await self._deployments.get_revision(RevisionName.parse(request.name))
        return deployment_pb2.GetRevisionResponse(revision=convert.revision(revision))

    async def ListRevisions(
        self, request: deployment_pb2.ListRevisionsRequest, _context: Context
    ) -> deployment_pb2.ListRevisionsResponse:
        page = await self._deployments.list_revisions(
            AppName.parse(request.parent, "parent"), common.page_request(request)
        )
        return deployment_pb2.ListRevisionsResponse(
            revisions=[convert.revision(item) for item in page.items],
            next_page_token=page.next_token,
        )
