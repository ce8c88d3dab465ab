"""Projects: create, read, list, delete. Called by `api/projects`."""

from controlplane.domain.access import EVERYTHING, Visible
from controlplane.domain.clock import Clock
from controlplane.domain.errors import NotFound, ResourceInUse
from controlplane.domain.fields import check_display_name
from controlplane.domain.ids import PROJECT_ID_MAX, IdSource, check_id
from controlplane.domain.names import OrganizationName, ProjectName
from controlplane.domain.projects import Project
from controlplane.domain.requests import IdempotencyKey, Page, PageRequest
from controlplane.services.etags import check_etag
from controlplane.services.idempotency import once
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction


class ProjectService:
    """Use cases of projects."""

    def __init__(self, *, store: Store, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    async def create_project(
        self,
        parent: OrganizationName,
        project_id: str,
        display_name: str = "",
        *,
        key: IdempotencyKey | None = None,
    ) -> Project:
        """Make a project. Raises InvalidField, AlreadyExists, NotFound (organization)."""
        check_id("project_id", project_id, PROJECT_ID_MAX)
        check_display_name(display_name)
        name = ProjectName(parent.organization, project_id)

        async def create() -> Project:
            if await tx.organizations.get(parent) is None:
                raise NotFound(str(parent))
            project = Project(self._ids.new(), name, display_name or project_id, 1, tx.now, tx.now)
            await tx.projects.add(project)
            return project

        async with self._store.transaction() as tx:
            return await once(tx, key, Project, create)

    async def get_project(self, name: ProjectName) -> Project:
        """Read one. Raises NotFound."""
        async with self._store.reading() as tx:
            return await existing_project(tx, name)

    async def list_projects(
        self, parent: OrganizationName, page: PageRequest, *, visible: Visible = EVERYTHING
    ) -> Page[Project]:
        """By name. Raises PageTokenInvalid."""
        async with self._store.reading() as tx:
            return await tx.projects.page(parent.organization, page, visible)

    async def delete_project(
        self, name: ProjectName, *, etag: str = "", key: IdempotencyKey | None = None
    ) -> None:
        """Delete an empty project. Raises NotFound, EtagMismatch, ResourceInUse."""

        async def delete() -> bool:
            project = await existing_project(tx, name)
            check_etag(etag, project.etag, str(name))
            if count := await tx.environments.count_in_project(project.uid):
                raise ResourceInUse(f"{name} still has {count} environments: delete those first")
            await tx.projects.delete(project.uid)
            await tx.bindings.forget_scope(str(name))
            await tx.variables.forget_scope(str(name))
            return True

        async with self._store.transaction() as tx:
            await once(tx, key, bool, delete)


async def existing_project(tx: Transaction, name: ProjectName) -> Project:
    """The project, or NotFound."""
    project = await tx.projects.get(name)
    if project is None:
        raise NotFound(str(name))
    return project
