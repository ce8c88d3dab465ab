"""Logins by code in the database; what the programs ask with is not."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, func, insert, select, update

from controlplane.domain.devices import DeviceLogin, DeviceState
from controlplane.store.repository import Repository
from controlplane.store.tables import device_logins


class DeviceLoginRepository(Repository):
    """Reads and writes them."""

    async def add(self, login: DeviceLogin) -> None:
        """Raises AlreadyExists when the code is in use."""
        await self._insert(
            insert(device_logins).values(
                uid=login.uid,
                secret_hash=login.secret_hash,
                user_code=login.user_code,
                client=login.client,
                address=login.address,
                create_time=login.create_time,
                expire_time=login.expire_time,
                **_mutable(login),
            ),
            "the code",
        )

    async def by_secret(self, secret_hash: bytes) -> DeviceLogin | None:
        return await self._one(device_logins.c.secret_hash == secret_hash)

    async def by_code(self, user_code: str) -> DeviceLogin | None:
        return await self._one(device_logins.c.user_code == user_code)

    async def save(self, login: DeviceLogin) -> None:
        """Write what can change."""
        await self._run(
            update(device_logins).where(device_logins.c.uid == login.uid).values(**_mutable(login))
        )

    async def delete(self, uid: str) -> None:
        await self._run(delete(device_logins).where(device_logins.c.uid == uid))

    async def forget_subject(self, subject: str) -> None:
        """Whoever approved them is deleted: another of the same name must not stand for it."""
        await self._run(delete(device_logins).where(device_logins.c.subject == subject))

    async def count(self, address: str = "") -> int:
        """How many there are, in all or from an address."""
        query = select(func.count(device_logins.c.uid))
        if address:
            query = query.where(device_logins.c.address == address)
        return int(await self._connection.scalar(query) or 0)

    async def prune(self, before: datetime) -> int:
        """Forget those that ended before then."""
        return await self._run(delete(device_logins).where(device_logins.c.expire_time < before))

    async def _one(self, condition: ColumnElement[bool]) -> DeviceLogin | None:
        row = await self._row(select(device_logins).where(condition))
        return None if row is None else _login(row)


def _mutable(login: DeviceLogin) -> dict[str, Any]:
    return {
        "interval": int(login.interval.total_seconds()),
        "state": login.state.value,
        "poll_time": login.poll_time,
        "subject": login.subject,
        "session_end": login.session_end,
    }


def _login(row: Row[Any]) -> DeviceLogin:
    return DeviceLogin(
        uid=row.uid,
        secret_hash=row.secret_hash,
        user_code=row.user_code,
        client=row.client,
        address=row.address,
        interval=timedelta(seconds=row.interval),
        state=DeviceState(row.state),
        create_time=row.create_time,
        expire_time=row.expire_time,
        poll_time=row.poll_time,
        subject=row.subject,
        session_end=row.session_end,
    )
