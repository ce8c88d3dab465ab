"""Operations: read, list, watch, cancel. Called by `api/operations`; `new_operation` by services that begin long work."""

import dataclasses
from collections.abc import AsyncIterator
from datetime import datetime

from controlplane.domain.access import EVERYTHING, Visible
from controlplane.domain.clock import Clock
from controlplane.domain.errors import InvalidField, NotFound
from controlplane.domain.ids import IdSource
from controlplane.domain.names import ClusterName, OperationName
from controlplane.domain.operations import Operation, OperationKind
from controlplane.domain.requests import IdempotencyKey, Page, PageRequest
from controlplane.services.changes import ChangeHub
from controlplane.services.idempotency import once
from controlplane.services.outbox import Outbox
from controlplane.services.ports import Agents
from controlplane.services.presence import Presence
from controlplane.services.views import operation_view
from controlplane.services.watching import HEARTBEAT_SECONDS
from controlplane.store.changes import CLUSTERS
from controlplane.store.database import Store
from controlplane.store.operations import topic
from controlplane.store.transaction import Transaction

_TARGET_MAX = 512


class OperationService:
    """Use cases of operations."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        ids: IdSource,
        presence: Presence,
        agents: Agents,
        hub: ChangeHub,
    ) -> None:
        self._store = store
        self._clock = clock
        self._presence = presence
        self._outbox = Outbox(ids=ids, agents=agents)
        self._hub = hub

    async def get_operation(self, name: OperationName) -> Operation:
        """Read one. Raises NotFound."""
        async with self._store.reading() as tx:
            return self._view(await _existing(tx, name))

    async def list_operations(
        self,
        page: PageRequest,
        *,
        target: str = "",
        active_only: bool = False,
        visible: Visible = EVERYTHING,
    ) -> Page[Operation]:
        """Newest first; `target` a resource name, matches it and all below. Raises PageTokenInvalid."""
        if len(target) > _TARGET_MAX:
            raise InvalidField.of("target", "is too long for a resource name")
        async with self._store.reading() as tx:
            found = await tx.operations.page(
                page, target=target, active_only=active_only, visible=visible
            )
        return Page(tuple(self._view(item) for item in found.items), found.next_token)

    async def watch_operation(self, name: OperationName) -> AsyncIterator[Operation | None]:
        """Now and after each change until it is done; None is a heartbeat, at least every 20 s. Raises NotFound."""
        last: Operation | None = None
        # The cluster too: an operation that waits for an absent agent says so.
        with self._hub.subscribe(topic(name.operation), CLUSTERS) as subscription:
            while True:
                operation = await self.get_operation(name)
                if operation != last:
                    last = operation
                    yield operation
                if operation.done:
                    return
                if not await subscription.wait(self._clock, HEARTBEAT_SECONDS):
                    yield None

    async def cancel_operation(
        self, name: OperationName, *, key: IdempotencyKey | None = None
    ) -> Operation:
        """Ask for the work to stop; a finished one stays as it is. Raises NotFound."""

        async def cancel() -> Operation:
            operation = await _existing(tx, name)
            record = await tx.commands.of_operation(operation.uid)
            if operation.done or operation.cancel_requested or record is None:
                return self._view(operation)
            await tx.operations.save(
                dataclasses.replace(
                    operation, cancel_requested=True, message="cancelling", update_time=tx.now
                )
            )
            await self._outbox.ask_to_stop(tx, record)
            return self._view(await _existing(tx, name))

        async with self._store.transaction() as tx:
            return await once(tx, key, Operation, cancel)

    def _view(self, operation: Operation) -> Operation:
        return operation_view(operation, self._presence.connection(operation.cluster_uid))


def new_operation(
    ids: IdSource,
    kind: OperationKind,
    target: str,
    cluster_uid: str,
    cluster: ClusterName,
    now: datetime,
) -> Operation:
    """Work that begins now."""
    return Operation(
        uid=ids.new(),
        target=target,
        kind=kind,
        cluster_uid=cluster_uid,
        cluster=cluster,
        done=False,
        error=None,
        message=f"handed to the agent of {cluster}",
        cancel_requested=False,
        deployment="",
        create_time=now,
        update_time=now,
        end_time=None,
    )


async def _existing(tx: Transaction, name: OperationName) -> Operation:
    operation = await tx.operations.get(name.operation)
    if operation is None:
        raise NotFound(str(name))
    return operation
