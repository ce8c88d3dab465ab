"""Codes of setup links in the database; their secrets are not."""

from datetime import datetime

from sqlalchemy import delete, insert, or_, select, update

from controlplane.domain.tokens import SetupCode
from controlplane.store.repository import Repository
from controlplane.store.tables import api_tokens, setup_codes, users


class SetupCodeRepository(Repository):
    """Reads and writes codes of setup links."""

    async def is_set_up(self) -> bool:
        """Whether anybody ever got in: by a token, a setup link or a password. Single sign-on makes nobody an owner by itself."""
        anybody = or_(
            select(api_tokens.c.uid).exists(),
            select(setup_codes.c.uid).where(setup_codes.c.use_time.is_not(None)).exists(),
            select(users.c.uid).where(users.c.password_hash.is_not(None)).exists(),
        )
        return bool(await self._connection.scalar(select(anybody)))

    async def add(self, code: SetupCode) -> None:
        """Add it; those that were not used are worthless from now on."""
        await self._run(delete(setup_codes).where(setup_codes.c.use_time.is_(None)))
        await self._run(
            insert(setup_codes).values(
                uid=code.uid,
                secret_hash=code.secret_hash,
                create_time=code.create_time,
                expire_time=code.expire_time,
                use_time=code.use_time,
            )
        )

    async def get(self, secret_hash: bytes) -> SetupCode | None:
        row = await self._row(select(setup_codes).where(setup_codes.c.secret_hash == secret_hash))
        if row is None:
            return None
        return SetupCode(
            uid=row.uid,
            secret_hash=row.secret_hash,
            create_time=row.create_time,
            expire_time=row.expire_time,
            use_time=row.use_time,
        )

    async def use(self, uid: str, now: datetime) -> bool:
        """Mark it used; False when somebody else was faster."""
        return bool(
            await self._run(
                update(setup_codes)
                .where(setup_codes.c.uid == uid, setup_codes.c.use_time.is_(None))
                .values(use_time=now)
            )
        )

    async def prune(self, before: datetime) -> int:
        """Forget those that ended before then; one that was used stays: it says that the platform was set up."""
        return await self._run(
            delete(setup_codes).where(
                setup_codes.c.use_time.is_(None), setup_codes.c.expire_time < before
            )
        )
