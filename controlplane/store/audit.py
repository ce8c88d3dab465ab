"""The audit log in the database. Entries are only ever added; each is chained to the one before, and the head is kept beside."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, or_, select, update

from controlplane.domain.access import EVERYTHING, Visible
from controlplane.domain.audit import GENESIS, AuditAction, AuditEntry, AuditFilter
from controlplane.domain.requests import Page, PageRequest
from controlplane.store.changes import ChangeRepository
from controlplane.store.connection import Connection
from controlplane.store.page_tokens import Sealed
from controlplane.store.repository import Repository
from controlplane.store.tables import audit_entries, instance
from controlplane.store.visibility import shown_by_name

TOPIC = "audit"
_HEAD = "audit-head"
_REFUSALS = ("PERMISSION_DENIED", "UNAUTHENTICATED", "NOT_FOUND", "RESOURCE_EXHAUSTED")


class AuditRepository(Repository):
    """Adds and reads entries."""

    def __init__(
        self,
        connection: Connection,
        sealed: Sealed,
        changes: ChangeRepository,
        *,
        writable: bool,
        now: datetime,
    ) -> None:
        super().__init__(connection, sealed, writable=writable)
        self._changes = changes
        self._now = now

    async def append(self, action: AuditAction, result: str, reason: str = "") -> None:
        """Add an entry to the end of the chain."""
        sequence, before = await self.head()
        entry = AuditEntry(
            sequence=sequence + 1,
            create_time=self._now,
            actor=action.actor,
            token=action.token,
            method=action.method,
            resource=action.resource,
            address=action.address,
            call_id=action.call_id,
            result=result,
            reason=reason,
            details=dict(action.details),
        )
        chained = entry.chained(before)
        await self._run(
            insert(audit_entries).values(
                sequence=entry.sequence,
                create_time=entry.create_time,
                actor=entry.actor,
                token=entry.token,
                method=entry.method,
                resource=entry.resource,
                address=entry.address,
                call_id=entry.call_id,
                result=entry.result,
                reason=entry.reason,
                details=entry.details,
                hash=chained,
            )
        )
        value = entry.sequence.to_bytes(8, "big") + chained
        if sequence:
            await self._run(update(instance).where(instance.c.key == _HEAD).values(value=value))
        else:
            await self._run(insert(instance).values(key=_HEAD, value=value))
        self._changes.touch(TOPIC)

    async def head(self) -> tuple[int, bytes]:
        """The newest entry's number and hash, as kept beside the log; locked while another is added."""
        row = await self._row(select(instance).where(instance.c.key == _HEAD))
        if row is None:
            return 0, GENESIS
        value = bytes(row.value)
        return int.from_bytes(value[:8], "big"), value[8:]

    async def page(
        self, wanted: AuditFilter, request: PageRequest, visible: Visible = EVERYTHING
    ) -> Page[tuple[AuditEntry, bytes]]:
        """Entries with their hashes, newest first."""
        return await self._page(
            _matching(wanted, visible),
            [audit_entries.c.sequence],
            request,
            _entry,
            bound_to=f"audit:{wanted}",
            newest_first=True,
        )

    async def after(
        self,
        sequence: int,
        limit: int,
        wanted: AuditFilter | None = None,
        visible: Visible = EVERYTHING,
    ) -> Sequence[tuple[AuditEntry, bytes]]:
        """Entries behind that number with their hashes, oldest first."""
        query = (
            _matching(wanted or AuditFilter(), visible)
            .where(audit_entries.c.sequence > sequence)
            .order_by(audit_entries.c.sequence)
            .limit(limit)
        )
        return [_entry(row) for row in await self._rows(query)]


def _matching(wanted: AuditFilter, visible: Visible) -> Any:
    c = audit_entries.c
    query = select(audit_entries).where(shown_by_name(visible, c.resource))
    if wanted.parent:
        query = query.where(
            or_(
                c.resource == wanted.parent,
                c.resource.startswith(f"{wanted.parent}/", autoescape=True),
            )
        )
    if wanted.actor:
        query = query.where(c.actor == wanted.actor)
    if wanted.method:
        query = query.where(c.method.endswith(f"/{wanted.method}", autoescape=True))
    if wanted.result == "REFUSED":
        query = query.where(c.result.in_(_REFUSALS))
    elif wanted.result:
        query = query.where(c.result == wanted.result)
    if wanted.start_time:
        query = query.where(c.create_time >= wanted.start_time)
    if wanted.end_time:
        query = query.where(c.create_time < wanted.end_time)
    return query


def _entry(row: Row[Any]) -> tuple[AuditEntry, bytes]:
    entry = AuditEntry(
        sequence=row.sequence,
        create_time=row.create_time,
        actor=row.actor,
        token=row.token,
        method=row.method,
        resource=row.resource,
        address=row.address,
        call_id=row.call_id,
        result=row.result,
        reason=row.reason,
        details=row.details,
    )
    return entry, bytes(row.hash)
