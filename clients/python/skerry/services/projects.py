"""Projects: `Client.projects`."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from grpc import aio

from skerry import names, paging
from skerry.calls import Calls
from skerry.platform.v1 import project_pb2, project_pb2_grpc


class Projects:
    """What belongs together, whoever runs it wherever. All methods raise SkerryError."""

    def __init__(self, calls: Calls, channel: aio.Channel) -> None:
        self._calls = calls
        self._stub = project_pb2_grpc.ProjectServiceStub(channel)

    def list(
        self, parent: str = names.organization(), *, page_size: int = 0
    ) -> AsyncGenerator[project_pb2.Project, None]:
        """All projects by name."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListProjects,
                project_pb2.ListProjectsRequest(
                    parent=parent, page_size=page_size, page_token=token
                ),
            ),
            lambda page: page.projects,
        )

    async def get(self, name: str) -> project_pb2.Project:
        """One project by its name."""
        request = project_pb2.GetProjectRequest(name=name)
        return (await self._calls.unary(self._stub.GetProject, request)).project

    async def create(
        self,
        project_id: str,
        *,
        parent: str = names.organization(),
        display_name: str = "",
        request_id: str | None = None,
    ) -> project_pb2.Project:
        """Make a project."""
        request = project_pb2.CreateProjectRequest(
            parent=parent,
            project_id=project_id,
            display_name=display_name,
            request_id=request_id or self._calls.request_ids(),
        )
        return (await self._calls.unary(self._stub.CreateProject, request)).project

    async def delete(self, name: str, *, etag: str = "", request_id: str | None = None) -> None:
        """Delete a project that has no environments left."""
        request = project_pb2.DeleteProjectRequest(
            name=name, etag=etag, request_id=request_id or self._calls.request_ids()
        )
        await self._calls.unary(self._stub.DeleteProject, request)
