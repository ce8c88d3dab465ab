"""API tokens in the database; their secrets are not."""

from datetime import datetime
from typing import Any

from sqlalchemy import Row, delete, func, insert, select, update

from controlplane.domain.access import Permission
from controlplane.domain.requests import Page, PageRequest
from controlplane.domain.tokens import ApiToken, TokenKind
from controlplane.store.people import AccessRepository
from controlplane.store.tables import api_tokens


class TokenRepository(AccessRepository):
    """Reads and writes tokens."""

    async def count(self) -> int:
        """How many were ever made, revoked ones included."""
        return int(await self._connection.scalar(select(func.count(api_tokens.c.uid))) or 0)

    async def add(self, token: ApiToken) -> None:
        await self._run(
            insert(api_tokens).values(
                uid=token.uid,
                subject=token.subject,
                kind=token.kind.value,
                display_name=token.display_name,
                secret_hash=token.secret_hash,
                create_time=token.create_time,
                expire_time=token.expire_time,
                revoke_time=token.revoke_time,
                scope=token.scope,
                permissions=None if token.permissions is None else sorted(token.permissions),
            )
        )

    async def get(self, secret_hash: bytes) -> ApiToken | None:
        row = await self._row(select(api_tokens).where(api_tokens.c.secret_hash == secret_hash))
        return None if row is None else _token(row)

    async def get_by_uid(self, uid: str) -> ApiToken | None:
        row = await self._row(select(api_tokens).where(api_tokens.c.uid == uid))
        return None if row is None else _token(row)

    async def page(
        self, subject: str, request: PageRequest, *, kinds: frozenset[TokenKind]
    ) -> Page[ApiToken]:
        """The tokens of a subject that were not revoked, newest first."""
        names = sorted(kind.value for kind in kinds)
        return await self._page(
            select(api_tokens).where(
                api_tokens.c.subject == subject,
                api_tokens.c.kind.in_(names),
                api_tokens.c.revoke_time.is_(None),
            ),
            [api_tokens.c.uid],
            request,
            _token,
            bound_to=f"tokens:{subject}:{names}",
            newest_first=True,
        )

    async def used(self, uid: str, now: datetime) -> None:
        """Remember that it was used."""
        await self._run(update(api_tokens).where(api_tokens.c.uid == uid).values(last_use_time=now))

    async def revoke(self, uid: str, now: datetime) -> None:
        """End it for good."""
        await self._run(update(api_tokens).where(api_tokens.c.uid == uid).values(revoke_time=now))
        self._access_changed()

    async def revoke_all(self, subject: str, now: datetime) -> None:
        """End all tokens and sessions of somebody."""
        await self._run(
            update(api_tokens)
            .where(api_tokens.c.subject == subject, api_tokens.c.revoke_time.is_(None))
            .values(revoke_time=now)
        )
        self._access_changed()

    async def end_sessions(self, subject: str, now: datetime, *, but: str = "") -> None:
        """End all sessions of somebody, but one."""
        await self._run(
            update(api_tokens)
            .where(
                api_tokens.c.subject == subject,
                api_tokens.c.kind == TokenKind.SESSION.value,
                api_tokens.c.uid != but,
                api_tokens.c.revoke_time.is_(None),
            )
            .values(revoke_time=now)
        )
        self._access_changed()

    async def prune(self, before: datetime) -> int:
        """Forget sessions that ended before then."""
        return await self._run(
            delete(api_tokens).where(
                api_tokens.c.kind == TokenKind.SESSION.value, api_tokens.c.expire_time < before
            )
        )


def _token(row: Row[Any]) -> ApiToken:
    return ApiToken(
        uid=row.uid,
        subject=row.subject,
        kind=TokenKind(row.kind),
        display_name=row.display_name,
        secret_hash=row.secret_hash,
        create_time=row.create_time,
        expire_time=row.expire_time,
        revoke_time=row.revoke_time,
        scope=row.scope,
        permissions=None if row.permissions is None else Permission.known(row.permissions),
        last_use_time=row.last_use_time,
    )
