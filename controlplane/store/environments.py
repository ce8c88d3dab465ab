"""Environments in the database."""

from typing import Any

from sqlalchemy import Row, Select, delete, func, insert, select, update

from controlplane.domain.access import EVERYTHING, Visible
from controlplane.domain.names import ANY, ClusterName, EnvironmentName, ProjectName
from controlplane.domain.projects import Environment
from controlplane.domain.requests import Page, PageRequest
from controlplane.domain.workloads import Condition, State
from controlplane.store.codec import decode, encode
from controlplane.store.repository import Repository
from controlplane.store.tables import environments
from controlplane.store.visibility import shown


class EnvironmentRepository(Repository):
    """Reads and writes environments."""

    async def get(self, name: EnvironmentName) -> Environment | None:
        return await self._one(
            select(environments).where(
                environments.c.organization == name.organization,
                environments.c.project == name.project,
                environments.c.environment == name.environment,
            )
        )

    async def get_by_uid(self, uid: str) -> Environment | None:
        return await self._one(select(environments).where(environments.c.uid == uid))

    async def page(
        self, parent: ProjectName, request: PageRequest, visible: Visible = EVERYTHING
    ) -> Page[Environment]:
        """By name; the project may be `-`."""
        c = environments.c
        query = select(environments).where(
            c.organization == parent.organization,
            shown(visible, c.organization, c.project, c.environment),
        )
        if parent.project != ANY:
            query = query.where(environments.c.project == parent.project)
        return await self._page(
            query,
            [environments.c.project, environments.c.environment],
            request,
            _environment,
            bound_to=f"environments:{parent}",
        )

    async def count_in_project(self, project_uid: str) -> int:
        query = select(func.count()).where(environments.c.project_uid == project_uid)
        return int(await self._connection.scalar(query) or 0)

    async def count_on_cluster(self, cluster_uid: str) -> int:
        query = select(func.count()).where(environments.c.cluster_uid == cluster_uid)
        return int(await self._connection.scalar(query) or 0)

    async def add(self, environment: Environment) -> None:
        """Raises AlreadyExists."""
        name = environment.name
        await self._insert(
            insert(environments).values(
                uid=environment.uid,
                organization=name.organization,
                project=name.project,
                environment=name.environment,
                project_uid=environment.project_uid,
                cluster_uid=environment.cluster_uid,
                cluster=environment.cluster.cluster,
                namespace=environment.namespace,
                create_time=environment.create_time,
                **_mutable(environment),
            ),
            str(name),
        )

    async def save(self, environment: Environment) -> None:
        """Write what can change."""
        await self._run(
            update(environments)
            .where(environments.c.uid == environment.uid)
            .values(**_mutable(environment))
        )

    async def delete(self, uid: str) -> None:
        await self._run(delete(environments).where(environments.c.uid == uid))

    async def _one(self, query: Select[Any]) -> Environment | None:
        row = await self._row(query)
        return None if row is None else _environment(row)


def _mutable(environment: Environment) -> dict[str, Any]:
    return {
        "display_name": environment.display_name,
        "state": environment.state.value,
        "conditions": encode(environment.conditions),
        "protected": environment.protected,
        "generation": environment.generation,
        "update_time": environment.update_time,
    }


def _environment(row: Row[Any]) -> Environment:
    return Environment(
        uid=row.uid,
        name=EnvironmentName(row.organization, row.project, row.environment),
        display_name=row.display_name,
        project_uid=row.project_uid,
        cluster_uid=row.cluster_uid,
        cluster=ClusterName(row.cluster),
        namespace=row.namespace,
        state=State(row.state),
        conditions=decode(tuple[Condition, ...], row.conditions),
        protected=row.protected,
        generation=row.generation,
        create_time=row.create_time,
        update_time=row.update_time,
    )
