"""Second factors in the database: the key encrypted, recovery codes as hashes."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update

from controlplane.domain.people import SecondFactor
from controlplane.domain.sealing import SealedValue
from controlplane.store.repository import Repository
from controlplane.store.tables import second_factors


class SecondFactorRepository(Repository):
    """Reads and writes them."""

    async def get(self, user: str) -> SecondFactor | None:
        row = await self._row(select(second_factors).where(second_factors.c.user_name == user))
        return None if row is None else _factor(row)

    async def put(self, factor: SecondFactor) -> None:
        """Write it in place of the one before."""
        await self.delete(factor.user)
        await self._run(insert(second_factors).values(user_name=factor.user, **_columns(factor)))

    async def save(self, factor: SecondFactor) -> None:
        """Write what changed."""
        await self._run(
            update(second_factors)
            .where(second_factors.c.user_name == factor.user)
            .values(**_columns(factor))
        )

    async def delete(self, user: str) -> None:
        await self._run(delete(second_factors).where(second_factors.c.user_name == user))

    async def key_usage(self) -> Mapping[str, int]:
        """How many are sealed with which key."""
        column = second_factors.c.key_id
        rows = await self._rows(select(column, func.count().label("uses")).group_by(column))
        return {row.key_id: row.uses for row in rows}

    async def sealed_otherwise(self, key_id: str, after: str, limit: int) -> Sequence[SecondFactor]:
        """Those sealed with another key, by user, behind `after`."""
        query = (
            select(second_factors)
            .where(second_factors.c.key_id != key_id, second_factors.c.user_name > after)
            .order_by(second_factors.c.user_name)
            .limit(limit)
        )
        return [_factor(row) for row in await self._rows(query)]


def _columns(factor: SecondFactor) -> dict[str, Any]:
    return {
        "key_id": factor.sealed.key_id,
        "box": factor.sealed.box,
        "confirmed": factor.confirmed,
        "last_step": factor.last_step,
        "recovery_codes": list(factor.recovery_codes),
        "create_time": factor.create_time,
    }


def _factor(row: Row[Any]) -> SecondFactor:
    return SecondFactor(
        user=row.user_name,
        sealed=SealedValue(row.key_id, bytes(row.box)),
        confirmed=row.confirmed,
        last_step=row.last_step,
        recovery_codes=tuple(row.recovery_codes),
        create_time=row.create_time,
    )
