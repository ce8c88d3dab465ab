"""The audit log: entries that stand alone, lists, watches, verification. Called by the audit stage and by `api/audit`.

What a call changes is not written here: the store adds the entry to the transaction of the change.
"""

from collections.abc import AsyncIterator, Callable

from controlplane.domain.access import EVERYTHING, Visible
from controlplane.domain.audit import (
    GENESIS,
    AuditAction,
    AuditEntry,
    AuditFilter,
    AuditVerdict,
)
from controlplane.domain.clock import Clock
from controlplane.domain.requests import Page, PageRequest
from controlplane.services.changes import ChangeHub
from controlplane.services.watching import HEARTBEAT_SECONDS
from controlplane.store.audit import TOPIC
from controlplane.store.database import Store

_AT_A_TIME = 500
Chained = tuple[AuditEntry, bytes]


class AuditService:
    """Use cases of the log."""

    def __init__(self, *, store: Store, clock: Clock, hub: ChangeHub) -> None:
        self._store = store
        self._clock = clock
        self._hub = hub

    async def record(self, action: AuditAction, result: str, reason: str = "") -> None:
        """An entry of its own: of a refusal, a failure, a stream that begins or ends. Raises StorageUnavailable."""
        async with self._store.transaction(audited=False) as tx:
            await tx.audit.append(action, result, reason)

    async def list_entries(
        self, wanted: AuditFilter, page: PageRequest, *, visible: Visible = EVERYTHING
    ) -> Page[Chained]:
        """Newest first. Raises PageTokenInvalid."""
        async with self._store.reading() as tx:
            return await tx.audit.page(wanted, page, visible)

    async def watch_entries(
        self,
        wanted: AuditFilter,
        after: int = 0,
        *,
        visible: Callable[[], Visible] = lambda: EVERYTHING,
    ) -> AsyncIterator[Chained | None]:
        """Entries as they are written, behind `after` or from now on; None is a heartbeat, at least every 20 s."""
        with self._hub.subscribe(TOPIC) as subscription:
            if not after:
                async with self._store.reading() as tx:
                    after, _hash = await tx.audit.head()
                # Says that the watch stands: what is done from now on comes.
                yield None
            while True:
                async with self._store.reading() as tx:
                    found = await tx.audit.after(after, _AT_A_TIME, wanted, visible())
                for item in found:
                    after = item[0].sequence
                    yield item
                if not found and not await subscription.wait(self._clock, HEARTBEAT_SECONDS):
                    yield None

    async def verify(self) -> AuditVerdict:
        """Reads the whole log and follows the chain."""
        async with self._store.reading() as tx:
            last, head = await tx.audit.head()
            before, count = GENESIS, 0
            while found := await tx.audit.after(count, _AT_A_TIME):
                for entry, chained in found:
                    if entry.sequence != count + 1:
                        return AuditVerdict(count, count + 1, f"entry {count + 1} is missing", head)
                    if entry.chained(before) != chained:
                        message = f"entry {entry.sequence} is not as it was written"
                        return AuditVerdict(count, entry.sequence, message, head)
                    before, count = chained, count + 1
        if count != last or before != head:
            message = f"the log ends at entry {count}, and {last} were written"
            return AuditVerdict(count, min(count, last) + 1, message, head)
        return AuditVerdict(count, 0, "", head)
