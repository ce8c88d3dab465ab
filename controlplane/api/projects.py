"""ProjectService at the border."""

from skerry.platform.v1 import project_pb2, project_pb2_grpc

from controlplane.api import caller
from controlplane.api.convert import common
from controlplane.api.convert import projects as convert
from controlplane.api.interceptors.call import Context
from controlplane.domain.names import OrganizationName, ProjectName
from controlplane.services.projects import ProjectService


class ProjectServicer(project_pb2_grpc.ProjectServiceServicer):
    """Projects."""

    def __init__(self, projects: ProjectService) -> None:
        self._projects = projects

    async def CreateProject(
        self, request: project_pb2.CreateProjectRequest, _context: Context
    ) -> project_pb2.CreateProjectResponse:
        project = await self._projects.create_project(
            OrganizationName.parse(request.parent, "parent"),
            request.project_id,
            request.display_name,
            key=caller.idempotency_key(request),
        )
        return project_pb2.CreateProjectResponse(project=convert.project(project))

    async def GetProject(
        self, request: project_pb2.GetProjectRequest, _context: Context
    ) -> project_pb2.GetProjectResponse:
        project = await self._projects.get_project(ProjectName.parse(request.name))
        return project_pb2.GetProjectResponse(project=convert.project(project))

    async def ListProjects(
        self, request: project_pb2.ListProjectsRequest, _context: Context
    ) -> project_pb2.ListProjectsResponse:
        page = await self._projects.list_projects(
            OrganizationName.parse(request.parent, "parent"),
            common.page_request(request),
            visible=caller.visible(),
        )
        return project_pb2.ListProjectsResponse(
            projects=[convert.project(item) for item in page.items],
            next_page_token=page.next_token,
        )

    async def DeleteProject(
        self, request: project_pb2.DeleteProjectRequest, _context: Context
    ) -> project_pb2.DeleteProjectResponse:
        await self._projects.delete_project(
            ProjectName.parse(request.name),
            etag=request.etag,
            key=caller.idempotency_key(request),
        )
        return project_pb2.DeleteProjectResponse()
