"""Identities at identity providers in the database: who logs in as whom."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, insert, select, update

from controlplane.domain.people import LinkedIdentity
from controlplane.domain.requests import Page, PageRequest
from controlplane.store.repository import Repository
from controlplane.store.tables import user_identities


class IdentityRepository(Repository):
    """Reads and writes them."""

    async def get(self, issuer: str, subject: str) -> LinkedIdentity | None:
        row = await self._row(
            select(user_identities).where(
                user_identities.c.issuer == issuer, user_identities.c.subject == subject
            )
        )
        return None if row is None else _identity(row)

    async def page(self, user: str, request: PageRequest) -> Page[LinkedIdentity]:
        """Those of a user, by issuer and subject."""
        return await self._page(
            select(user_identities).where(user_identities.c.user_name == user),
            [user_identities.c.issuer, user_identities.c.subject],
            request,
            _identity,
            bound_to=f"identities:{user}",
        )

    async def add(self, identity: LinkedIdentity) -> None:
        """Raises AlreadyExists."""
        await self._insert(
            insert(user_identities).values(
                issuer=identity.issuer,
                subject=identity.subject,
                user_name=identity.user,
                create_time=identity.create_time,
                last_login_time=identity.last_login_time,
            ),
            f"the identity {identity.subject} of {identity.issuer}",
        )

    async def used(self, issuer: str, subject: str, now: datetime) -> None:
        """Remember that somebody logged in with it."""
        await self._run(
            update(user_identities)
            .where(user_identities.c.issuer == issuer, user_identities.c.subject == subject)
            .values(last_login_time=now)
        )

    async def delete(self, issuer: str, subject: str) -> None:
        await self._run(
            delete(user_identities).where(
                user_identities.c.issuer == issuer, user_identities.c.subject == subject
            )
        )


def _identity(row: Row[Any]) -> LinkedIdentity:
    return LinkedIdentity(
        issuer=row.issuer,
        subject=row.subject,
        user=row.user_name,
        create_time=row.create_time,
        last_login_time=row.last_login_time,
    )
