"""API tokens in the database; only hashes of secrets."""

from sqlalchemy import func, insert, select

from controlplane.domain.tokens import ApiToken
from controlplane.store.repository import Repository
from controlplane.store.tables import api_tokens


class TokenRepository(Repository):
    """Reads and writes API tokens."""

    async def count(self) -> int:
        return int(await self._connection.scalar(select(func.count(api_tokens.c.uid))) or 0)

    async def add(self, token: ApiToken) -> None:
        await self._run(
            insert(api_tokens).values(
                uid=token.uid,
                display_name=token.display_name,
                secret_hash=token.secret_hash,
                create_time=token.create_time,
                expire_time=token.expire_time,
                revoke_time=token.revoke_time,
            )
        )

    async def get(self, secret_hash: bytes) -> ApiToken | None:
        row = await self._row(select(api_tokens).where(api_tokens.c.secret_hash == secret_hash))
        if row is None:
            return None
        return ApiToken(
            uid=row.uid,
            display_name=row.display_name,
            secret_hash=row.secret_hash,
            create_time=row.create_time,
            expire_time=row.expire_time,
            revoke_time=row.revoke_time,
        )
