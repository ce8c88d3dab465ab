"""Deployments in the database."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, insert, select, update

from controlplane.domain.apps import App
from controlplane.domain.deployments import ENDED, Deployment, DeploymentPhase
from controlplane.domain.names import AppName, DeploymentName, OperationName
from controlplane.domain.requests import Page, PageRequest
from controlplane.domain.workloads import Diagnostic, ServiceStatus
from controlplane.store.changes import ChangeRepository
from controlplane.store.codec import decode, encode
from controlplane.store.connection import Connection
from controlplane.store.page_tokens import Sealed
from controlplane.store.repository import Repository
from controlplane.store.tables import deployments


def topic(uid: str) -> str:
    """What watchers of one deployment listen to."""
    return f"deployments/{uid}"


class DeploymentRepository(Repository):
    """Reads and writes deployments."""

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

    async def get(self, uid: str) -> Deployment | None:
        row = await self._row(select(deployments).where(deployments.c.uid == uid))
        return None if row is None else _deployment(row)

    async def page(self, app: App, request: PageRequest) -> Page[Deployment]:
        """Newest first."""
        return await self._page(
            select(deployments).where(deployments.c.app_uid == app.uid),
            [deployments.c.uid],
            request,
            _deployment,
            bound_to=f"deployments:{app.uid}",
            newest_first=True,
        )

    async def under_way(self, app_uid: str) -> Sequence[Deployment]:
        """Those of an app that have not ended, oldest first."""
        rows = await self._rows(
            select(deployments)
            .where(
                deployments.c.app_uid == app_uid,
                deployments.c.phase.not_in([phase.value for phase in ENDED]),
            )
            .order_by(deployments.c.uid)
        )
        return [_deployment(row) for row in rows]

    async def add(self, deployment: Deployment) -> None:
        await self._run(
            insert(deployments).values(
                uid=deployment.uid,
                app_uid=deployment.app_uid,
                app_name=str(deployment.name.parent),
                revision=deployment.revision,
                operation_uid=deployment.operation.operation,
                create_time=deployment.create_time,
                **_mutable(deployment),
            )
        )

    async def save(self, deployment: Deployment) -> None:
        """Write what can change."""
        await self._run(
            update(deployments)
            .where(deployments.c.uid == deployment.uid)
            .values(**_mutable(deployment))
        )
        self._changes.touch(topic(deployment.uid))


def _mutable(deployment: Deployment) -> dict[str, Any]:
    return {
        "phase": deployment.phase.value,
        "message": deployment.message,
        "reason": deployment.reason,
        "services": encode(deployment.services),
        "diagnostics": encode(deployment.diagnostics),
        "objects_applied": deployment.objects_applied,
        "objects_total": deployment.objects_total,
        "update_time": deployment.update_time,
        "end_time": deployment.end_time,
    }


def _deployment(row: Row[Any]) -> Deployment:
    return Deployment(
        uid=row.uid,
        name=DeploymentName(AppName.parse(row.app_name), row.uid),
        app_uid=row.app_uid,
        revision=row.revision,
        phase=DeploymentPhase(row.phase),
        message=row.message,
        reason=row.reason,
        services=decode(tuple[ServiceStatus, ...], row.services),
        diagnostics=decode(tuple[Diagnostic, ...], row.diagnostics),
        objects_applied=row.objects_applied,
        objects_total=row.objects_total,
        operation=OperationName(row.operation_uid),
        create_time=row.create_time,
        update_time=row.update_time,
        end_time=row.end_time,
    )
