"""Answers given to requests with a request_id, kept in the transaction of the request's effect (AIP-155)."""

import json
from datetime import datetime
from typing import Any, cast

from sqlalchemy import delete, insert, select

from controlplane.domain.errors import RequestIdReused
from controlplane.domain.requests import IdempotencyKey
from controlplane.store.codec import decode, encode
from controlplane.store.repository import Repository, T
from controlplane.store.tables import idempotency


class IdempotencyRepository(Repository):
    """Reads and writes answers."""

    async def answer(self, key: IdempotencyKey, wanted: type[T]) -> T | None:
        """The answer given before, or None when this is the first time.

        Raises RequestIdReused when the id came with another request before.
        """
        row = await self._row(
            select(idempotency).where(
                idempotency.c.principal == key.principal,
                idempotency.c.method == key.method,
                idempotency.c.request_id == key.request_id.lower(),
            )
        )
        if row is None:
            return None
        if row.request_hash != key.request_hash:
            raise RequestIdReused(
                f"request_id {key.request_id} was used with another request: make a new one"
            )
        value: Any = json.loads(row.response)
        return cast("T", decode(wanted, value))

    async def remember(self, key: IdempotencyKey, answer: object, now: datetime) -> None:
        """Keep the answer, a domain object."""
        await self._run(
            insert(idempotency).values(
                principal=key.principal,
                method=key.method,
                request_id=key.request_id.lower(),
                request_hash=key.request_hash,
                response=json.dumps(encode(answer), separators=(",", ":")).encode(),
                create_time=now,
            )
        )

    async def prune(self, before: datetime) -> int:
        return await self._run(delete(idempotency).where(idempotency.c.create_time < before))
