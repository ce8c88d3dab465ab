"""The audit log: `Client.audit`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from datetime import datetime

from grpc import aio

from skerry import paging
from skerry.calls import Calls
from skerry.platform.v1 import audit_pb2, audit_pb2_grpc


class Audit:
    """Who did what, from where, and what came of it. All methods raise SkerryError."""

    def __init__(self, calls: Calls, channel: aio.Channel) -> None:
        self._calls = calls
        self._stub = audit_pb2_grpc.AuditServiceStub(channel)

    def list(
        self,
        parent: str = "",
        *,
        actor: str = "",
        method: str = "",
        result: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        page_size: int = 0,
    ) -> AsyncGenerator[audit_pb2.AuditEntry, None]:
        """Entries, newest first; `result` may be `REFUSED`. `since` is part of the time, `until` is not."""

        def request(token: str) -> audit_pb2.ListAuditEntriesRequest:
            wanted = audit_pb2.ListAuditEntriesRequest(
                parent=parent,
                actor=actor,
                method=method,
                result=result,
                page_size=page_size,
                page_token=token,
            )
            if since is not None:
                wanted.start_time.FromDatetime(since)
            if until is not None:
                wanted.end_time.FromDatetime(until)
            return wanted

        return paging.each(
            lambda token: self._calls.unary(self._stub.ListAuditEntries, request(token)),
            lambda page: page.entries,
        )

    async def watch(
        self, parent: str = "", *, after: int = 0
    ) -> AsyncGenerator[audit_pb2.AuditEntry, None]:
        """Entries as they are written, behind `after` or from now on."""
        request = audit_pb2.WatchAuditEntriesRequest(parent=parent, after_sequence=after)
        stream = self._calls.stream(self._stub.WatchAuditEntries, request)
        async with contextlib.aclosing(stream) as events:
            async for event in events:
                if event.HasField("entry"):
                    yield event.entry

    async def verify(self) -> audit_pb2.VerifyAuditLogResponse:
        """Whether every entry is there, as it was written."""
        request = audit_pb2.VerifyAuditLogRequest()
        return await self._calls.unary(self._stub.VerifyAuditLog, request)
