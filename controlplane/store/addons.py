"""Add-ons in the database, as agents reported them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, insert, select

from controlplane.domain.addons import AddOn, AddOnState
from controlplane.domain.names import AddOnName
from controlplane.domain.requests import Page, PageRequest
from controlplane.store.changes import ChangeRepository
from controlplane.store.connection import Connection
from controlplane.store.page_tokens import Sealed
from controlplane.store.repository import Repository
from controlplane.store.tables import add_ons


def topic(cluster_uid: str) -> str:
    """What watchers of one cluster's add-ons listen to."""
    return f"addons/{cluster_uid}"


class AddOnRepository(Repository):
    """Reads and writes add-ons."""

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

    async def page(self, cluster_uid: str, request: PageRequest) -> Page[AddOn]:
        return await self._page(
            select(add_ons).where(add_ons.c.cluster_uid == cluster_uid),
            [add_ons.c.add_on],
            request,
            _add_on,
            bound_to=f"addons:{cluster_uid}",
        )

    async def of_cluster(self, cluster_uid: str) -> Sequence[AddOn]:
        """All of them, by name; a handful."""
        rows = await self._rows(
            select(add_ons).where(add_ons.c.cluster_uid == cluster_uid).order_by(add_ons.c.add_on)
        )
        return [_add_on(row) for row in rows]

    async def put(self, add_on: AddOn) -> None:
        await self._delete(add_on.cluster_uid, add_on.name.add_on)
        await self._run(
            insert(add_ons).values(
                cluster_uid=add_on.cluster_uid,
                add_on=add_on.name.add_on,
                cluster=add_on.name.cluster,
                version=add_on.version,
                state=add_on.state.value,
                message=add_on.message,
                log_tail=add_on.log_tail,
                attempts=add_on.attempts,
                retry_time=add_on.retry_time,
                transition_time=add_on.transition_time,
                depends_on=list(add_on.depends_on),
            )
        )
        self._changes.touch(topic(add_on.cluster_uid))

    async def delete(self, cluster_uid: str, name: str) -> None:
        await self._delete(cluster_uid, name)
        self._changes.touch(topic(cluster_uid))

    async def _delete(self, cluster_uid: str, name: str) -> None:
        await self._run(
            delete(add_ons).where(add_ons.c.cluster_uid == cluster_uid, add_ons.c.add_on == name)
        )


def _add_on(row: Row[Any]) -> AddOn:
    return AddOn(
        name=AddOnName(row.cluster, row.add_on),
        cluster_uid=row.cluster_uid,
        version=row.version,
        state=AddOnState(row.state),
        message=row.message,
        log_tail=row.log_tail,
        attempts=row.attempts,
        retry_time=row.retry_time,
        transition_time=row.transition_time,
        depends_on=tuple(row.depends_on),
    )
