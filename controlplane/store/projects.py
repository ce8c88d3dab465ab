"""Projects in the database."""

from typing import Any

from sqlalchemy import Row, delete, func, insert, select

from controlplane.domain.access import EVERYTHING, Visible
from controlplane.domain.names import ProjectName
from controlplane.domain.projects import Project
from controlplane.domain.requests import Page, PageRequest
from controlplane.store.repository import Repository
from controlplane.store.tables import projects
from controlplane.store.visibility import shown


class ProjectRepository(Repository):
    """Reads and writes projects."""

    async def get(self, name: ProjectName) -> Project | None:
        row = await self._row(
            select(projects).where(
                projects.c.organization == name.organization, projects.c.project == name.project
            )
        )
        return None if row is None else _project(row)

    async def page(
        self, organization: str, request: PageRequest, visible: Visible = EVERYTHING
    ) -> Page[Project]:
        return await self._page(
            select(projects).where(
                projects.c.organization == organization,
                shown(visible, projects.c.organization, projects.c.project),
            ),
            [projects.c.project],
            request,
            _project,
            bound_to=f"projects:{organization}",
        )

    async def add(self, project: Project) -> None:
        """Raises AlreadyExists."""
        await self._insert(
            insert(projects).values(
                uid=project.uid,
                organization=project.name.organization,
                project=project.name.project,
                display_name=project.display_name,
                generation=project.generation,
                create_time=project.create_time,
                update_time=project.update_time,
            ),
            str(project.name),
        )

    async def count_in_organization(self, organization: str) -> int:
        query = select(func.count()).where(projects.c.organization == organization)
        return int(await self._connection.scalar(query) or 0)

    async def delete(self, uid: str) -> None:
        await self._run(delete(projects).where(projects.c.uid == uid))


def _project(row: Row[Any]) -> Project:
    return Project(
        uid=row.uid,
        name=ProjectName(row.organization, row.project),
        display_name=row.display_name,
        generation=row.generation,
        create_time=row.create_time,
        update_time=row.update_time,
    )
