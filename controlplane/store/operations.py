"""Operations in the database."""

from typing import Any

from sqlalchemy import Row, insert, or_, select, update

from controlplane.domain.access import EVERYTHING, Visible
from controlplane.domain.names import ClusterName
from controlplane.domain.operations import Operation, OperationError, OperationKind
from controlplane.domain.requests import Page, PageRequest
from controlplane.store.changes import ChangeRepository
from controlplane.store.codec import decode, encode
from controlplane.store.connection import Connection
from controlplane.store.page_tokens import Sealed
from controlplane.store.repository import Repository
from controlplane.store.tables import operations
from controlplane.store.visibility import shown_by_name


def topic(uid: str) -> str:
    """What watchers of one operation listen to."""
    return f"operations/{uid}"


class OperationRepository(Repository):
    """Reads and writes operations."""

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

    async def get(self, uid: str) -> Operation | None:
        row = await self._row(select(operations).where(operations.c.uid == uid))
        return None if row is None else _operation(row)

    async def page(
        self,
        request: PageRequest,
        *,
        target: str,
        active_only: bool,
        visible: Visible = EVERYTHING,
    ) -> Page[Operation]:
        """Newest first; `target` matches itself and what lies below it."""
        query = select(operations).where(shown_by_name(visible, operations.c.target))
        if target:
            query = query.where(
                or_(
                    operations.c.target == target,
                    operations.c.target.startswith(f"{target}/", autoescape=True),
                )
            )
        if active_only:
            query = query.where(operations.c.done.is_(False))
        return await self._page(
            query,
            [operations.c.uid],
            request,
            _operation,
            bound_to=f"operations:{target}:{active_only}",
            newest_first=True,
        )

    async def add(self, operation: Operation) -> None:
        await self._run(
            insert(operations).values(
                uid=operation.uid,
                target=operation.target,
                kind=operation.kind.value,
                cluster_uid=operation.cluster_uid,
                cluster=operation.cluster.cluster,
                deployment=operation.deployment,
                create_time=operation.create_time,
                **_mutable(operation),
            )
        )

    async def save(self, operation: Operation) -> None:
        """Write what can change."""
        await self._run(
            update(operations)
            .where(operations.c.uid == operation.uid)
            .values(**_mutable(operation))
        )
        self._changes.touch(topic(operation.uid))


def _mutable(operation: Operation) -> dict[str, Any]:
    return {
        "done": operation.done,
        "error": encode(operation.error),
        "message": operation.message,
        "cancel_requested": operation.cancel_requested,
        "update_time": operation.update_time,
        "end_time": operation.end_time,
    }


def _operation(row: Row[Any]) -> Operation:
    return Operation(
        uid=row.uid,
        target=row.target,
        kind=OperationKind(row.kind),
        cluster_uid=row.cluster_uid,
        cluster=ClusterName(row.cluster),
        done=row.done,
        error=decode(OperationError | None, row.error),
        message=row.message,
        cancel_requested=row.cancel_requested,
        deployment=row.deployment,
        create_time=row.create_time,
        update_time=row.update_time,
        end_time=row.end_time,
    )
