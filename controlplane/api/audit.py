"""AuditService at the border."""

from collections.abc import AsyncIterator

from skerry.platform.v1 import audit_pb2, audit_pb2_grpc

from controlplane.api import caller, streams
from controlplane.api.convert import common
from controlplane.api.interceptors.call import Context
from controlplane.domain.audit import AuditFilter
from controlplane.services.audit import AuditService, Chained


class AuditServicer(audit_pb2_grpc.AuditServiceServicer):
    """The audit log."""

    def __init__(self, audit: AuditService) -> None:
        self._audit = audit

    async def ListAuditEntries(
        self, request: audit_pb2.ListAuditEntriesRequest, _context: Context
    ) -> audit_pb2.ListAuditEntriesResponse:
        page = await self._audit.list_entries(
            AuditFilter(
                parent=request.parent,
                actor=request.actor,
                method=request.method,
                result=request.result,
                start_time=common.moment(request, "start_time"),
                end_time=common.moment(request, "end_time"),
            ),
            common.page_request(request),
            visible=caller.visible(),
        )
        return audit_pb2.ListAuditEntriesResponse(
            entries=[_entry(item) for item in page.items], next_page_token=page.next_token
        )

    def WatchAuditEntries(
        self, request: audit_pb2.WatchAuditEntriesRequest, _context: Context
    ) -> AsyncIterator[audit_pb2.WatchAuditEntriesResponse]:
        return streams.converted(
            self._audit.watch_entries(
                AuditFilter(parent=request.parent),
                max(request.after_sequence, 0),
                visible=caller.visible,
            ),
            lambda item: audit_pb2.WatchAuditEntriesResponse(entry=_entry(item) if item else None),
        )

    async def VerifyAuditLog(
        self, _request: audit_pb2.VerifyAuditLogRequest, _context: Context
    ) -> audit_pb2.VerifyAuditLogResponse:
        verdict = await self._audit.verify()
        return audit_pb2.VerifyAuditLogResponse(
            intact=verdict.intact,
            entries=verdict.entries,
            broken_sequence=verdict.broken_sequence,
            message=verdict.message,
            head=verdict.head.hex(),
        )


def _entry(item: Chained) -> audit_pb2.AuditEntry:
    entry, chained = item
    return audit_pb2.AuditEntry(
        sequence=entry.sequence,
        create_time=common.timestamp(entry.create_time),
        actor=entry.actor,
        token=entry.token,
        method=entry.method,
        resource=entry.resource,
        address=entry.address,
        call_id=entry.call_id,
        result=entry.result,
        reason=entry.reason,
        details=entry.details,
        hash=chained.hex(),
    )
