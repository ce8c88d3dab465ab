"""Variables in the database. Their values come and go encrypted; nothing here can open them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, delete, func, insert, or_, select, update

from controlplane.domain.requests import Page, PageRequest
from controlplane.domain.sealing import SealedValue
from controlplane.domain.variables import StoredVariable, Variable
from controlplane.store.repository import Repository
from controlplane.store.tables import variables


class VariableRepository(Repository):
    """Reads and writes variables."""

    async def at(self, scopes: Sequence[str]) -> Sequence[StoredVariable]:
        """All that are set at any of these scopes."""
        rows = await self._rows(select(variables).where(variables.c.scope.in_(scopes)))
        return [_stored(row) for row in rows]

    async def page(self, scope: str, request: PageRequest) -> Page[StoredVariable]:
        """Those set at the scope itself, by key."""
        return await self._page(
            select(variables).where(variables.c.scope == scope),
            [variables.c.key],
            request,
            _stored,
            bound_to=f"variables:{scope}",
        )

    async def add(self, stored: StoredVariable) -> None:
        variable = stored.variable
        await self._insert(
            insert(variables).values(
                uid=variable.uid,
                scope=variable.scope,
                key=variable.key,
                create_time=variable.create_time,
                **_changing(stored),
            ),
            variable.name,
        )

    async def save(self, stored: StoredVariable) -> None:
        await self._run(
            update(variables)
            .where(variables.c.uid == stored.variable.uid)
            .values(**_changing(stored))
        )

    async def delete(self, uid: str) -> None:
        await self._run(delete(variables).where(variables.c.uid == uid))

    async def forget_scope(self, scope: str) -> None:
        """Delete all at a resource that is deleted, and below."""
        below = variables.c.scope.startswith(f"{scope}/", autoescape=True)
        await self._run(delete(variables).where(or_(variables.c.scope == scope, below)))

    async def sealed_otherwise(
        self, key_id: str, after: str, limit: int
    ) -> Sequence[StoredVariable]:
        """Those behind the uid that are sealed with another key than this one."""
        rows = await self._rows(
            select(variables)
            .where(variables.c.key_id != key_id, variables.c.uid > after)
            .order_by(variables.c.uid)
            .limit(limit)
        )
        return [_stored(row) for row in rows]

    async def reseal(self, uid: str, sealed: SealedValue) -> None:
        await self._run(
            update(variables)
            .where(variables.c.uid == uid)
            .values(key_id=sealed.key_id, box=sealed.box)
        )

    async def key_usage(self) -> Mapping[str, int]:
        """How many are sealed with each key."""
        rows = await self._rows(
            select(variables.c.key_id, func.count().label("values_sealed")).group_by(
                variables.c.key_id
            )
        )
        return {row.key_id: row.values_sealed for row in rows}


def _changing(stored: StoredVariable) -> dict[str, Any]:
    variable = stored.variable
    return {
        "secret": variable.secret,
        "version": variable.version,
        "size": variable.size,
        "key_id": stored.sealed.key_id,
        "box": stored.sealed.box,
        "updated_by": variable.updated_by,
        "update_time": variable.update_time,
    }


def _stored(row: Row[Any]) -> StoredVariable:
    return StoredVariable(
        Variable(
            uid=row.uid,
            scope=row.scope,
            key=row.key,
            secret=row.secret,
            version=row.version,
            key_id=row.key_id,
            size=row.size,
            updated_by=row.updated_by,
            create_time=row.create_time,
            update_time=row.update_time,
        ),
        SealedValue(row.key_id, bytes(row.box)),
    )
