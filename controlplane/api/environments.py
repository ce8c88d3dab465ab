"""EnvironmentService at the border."""

from skerry.platform.v1 import environment_pb2, environment_pb2_grpc

from controlplane.api import caller
from controlplane.api.convert import common
from controlplane.api.convert import projects as convert
from controlplane.api.convert.operations import operation
from controlplane.api.interceptors.call import Context
from controlplane.domain.names import ClusterName, EnvironmentName, ProjectName
from controlplane.services.environments import EnvironmentService


class EnvironmentServicer(environment_pb2_grpc.EnvironmentServiceServicer):
    """Environments."""

    def __init__(self, environments: EnvironmentService) -> None:
        self._environments = environments

    async def CreateEnvironment(
        self, request: environment_pb2.CreateEnvironmentRequest, _context: Context
    ) -> environment_pb2.CreateEnvironmentResponse:
        created = await self._environments.create_environment(
            ProjectName.parse(request.parent, "parent"),
            request.environment_id,
            cluster=ClusterName.parse(request.cluster, "cluster") if request.cluster else None,
            display_name=request.display_name,
            protected=request.protected,
            visible=caller.principal().grants.visible(),
            key=caller.idempotency_key(request),
        )
        return environment_pb2.CreateEnvironmentResponse(
            environment=convert.environment(created.environment),
            operation=operation(created.operation),
        )

    async def GetEnvironment(
        self, request: environment_pb2.GetEnvironmentRequest, _context: Context
    ) -> environment_pb2.GetEnvironmentResponse:
        environment = await self._environments.get_environment(EnvironmentName.parse(request.name))
        return environment_pb2.GetEnvironmentResponse(environment=convert.environment(environment))

    async def ListEnvironments(
        self, request: environment_pb2.ListEnvironmentsRequest, _context: Context
    ) -> environment_pb2.ListEnvironmentsResponse:
        page = await self._environments.list_environments(
            ProjectName.parse(request.parent, "parent", wildcard=True),
            common.page_request(request),
            visible=caller.visible(),
        )
        return environment_pb2.ListEnvironmentsResponse(
            environments=[convert.environment(item) for item in page.items],
            next_page_token=page.next_token,
        )

    async def UpdateEnvironment(
        self, request: environment_pb2.UpdateEnvironmentRequest, _context: Context
    ) -> environment_pb2.UpdateEnvironmentResponse:
        mask = common.field_mask(request.update_mask, "display_name", "protected")
        wanted = request.environment
        environment = await self._environments.update_environment(
            EnvironmentName.parse(wanted.name, "environment.name"),
            display_name=wanted.display_name if "display_name" in mask else None,
            protected=wanted.protected if "protected" in mask else None,
            etag=wanted.etag,
            key=caller.idempotency_key(request),
        )
        return environment_pb2.UpdateEnvironmentResponse(
            environment=convert.environment(environment)
        )

    async def DeleteEnvironment(
        self, request: environment_pb2.DeleteEnvironmentRequest, _context: Context
    ) -> environment_pb2.DeleteEnvironmentResponse:
        begun = await self._environments.delete_environment(
            EnvironmentName.parse(request.name),
            force=request.force,
            etag=request.etag,
            key=caller.idempotency_key(request),
        )
        return environment_pb2.DeleteEnvironmentResponse(operation=operation(begun))
