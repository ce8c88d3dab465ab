"""Apps in the database. Every write is recorded in the change log."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, delete, func, insert, select, update

from controlplane.domain.access import EVERYTHING, Visible
from controlplane.domain.apps import App
from controlplane.domain.names import ANY, AppName, ClusterName, EnvironmentName
from controlplane.domain.requests import Page, PageRequest
from controlplane.domain.workloads import Condition, ServiceStatus, State
from controlplane.store.changes import APPS, ChangeRepository
from controlplane.store.codec import decode, encode
from controlplane.store.connection import Connection
from controlplane.store.page_tokens import Sealed
from controlplane.store.repository import Repository
from controlplane.store.tables import apps
from controlplane.store.visibility import shown


class AppRepository(Repository):
    """Reads and writes apps; their `state` here is what was last observed."""

    def __init__(
        self,
        connection: Connection,
        sealed: Sealed,
        changes: ChangeRepository,
        *,
        writable: bool,
    ) -> None:
        super().__init__(connection, sealed, writable=writable)
        self._changes = changes

    async def get(self, name: AppName) -> App | None:
        return await self._one(
            select(apps).where(
                apps.c.organization == name.organization,
                apps.c.project == name.project,
                apps.c.environment == name.environment,
                apps.c.app == name.app,
            )
        )

    async def get_by_uid(self, uid: str) -> App | None:
        return await self._one(select(apps).where(apps.c.uid == uid))

    async def get_many(self, uids: Sequence[str]) -> dict[str, App]:
        rows = await self._rows(select(apps).where(apps.c.uid.in_(uids)))
        return {row.uid: _app(row) for row in rows}

    async def page(
        self, parent: EnvironmentName, request: PageRequest, visible: Visible = EVERYTHING
    ) -> Page[App]:
        """By name; project and environment may be `-`."""
        c = apps.c
        query = select(apps).where(
            c.organization == parent.organization,
            shown(visible, c.organization, c.project, c.environment),
        )
        if parent.project != ANY:
            query = query.where(apps.c.project == parent.project)
        if parent.environment != ANY:
            query = query.where(apps.c.environment == parent.environment)
        return await self._page(
            query,
            [apps.c.project, apps.c.environment, apps.c.app],
            request,
            _app,
            bound_to=f"apps:{parent}",
        )

    async def in_environment(self, environment_uid: str) -> Sequence[App]:
        rows = await self._rows(
            select(apps).where(apps.c.environment_uid == environment_uid).order_by(apps.c.app)
        )
        return [_app(row) for row in rows]

    async def count_in_environment(self, environment_uid: str) -> int:
        query = select(func.count()).where(apps.c.environment_uid == environment_uid)
        return int(await self._connection.scalar(query) or 0)

    async def add(self, app: App) -> None:
        """Raises AlreadyExists."""
        await self._insert(
            insert(apps).values(
                uid=app.uid,
                organization=app.name.organization,
                project=app.name.project,
                environment=app.name.environment,
                app=app.name.app,
                environment_uid=app.environment_uid,
                cluster_uid=app.cluster_uid,
                cluster=app.cluster.cluster,
                create_time=app.create_time,
                **_mutable(app),
            ),
            str(app.name),
        )
        await self._changes.record(APPS, app.uid, str(app.name))

    async def save(self, app: App) -> None:
        """Write what can change."""
        await self._run(update(apps).where(apps.c.uid == app.uid).values(**_mutable(app)))
        await self._changes.record(APPS, app.uid, str(app.name))

    async def delete(self, app: App) -> None:
        """Forget it with its revisions and deployments."""
        await self._run(delete(apps).where(apps.c.uid == app.uid))
        await self._changes.record(APPS, app.uid, str(app.name))

    async def _one(self, query: Select[Any]) -> App | None:
        row = await self._row(query)
        return None if row is None else _app(row)


def _mutable(app: App) -> dict[str, Any]:
    return {
        "state": app.state.value,
        "conditions": encode(app.conditions),
        "wanted_revision": app.wanted_revision,
        "serving_revision": app.serving_revision,
        "services": encode(app.services),
        "observe_time": app.observe_time,
        "generation": app.generation,
        "update_time": app.update_time,
    }


def _app(row: Row[Any]) -> App:
    return App(
        uid=row.uid,
        name=AppName(row.organization, row.project, row.environment, row.app),
        environment_uid=row.environment_uid,
        cluster_uid=row.cluster_uid,
        cluster=ClusterName(row.cluster),
        state=State(row.state),
        conditions=decode(tuple[Condition, ...], row.conditions),
        wanted_revision=row.wanted_revision,
        serving_revision=row.serving_revision,
        services=decode(tuple[ServiceStatus, ...], row.services),
        observe_time=row.observe_time,
        generation=row.generation,
        create_time=row.create_time,
        update_time=row.update_time,
    )
