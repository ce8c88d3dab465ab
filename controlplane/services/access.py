"""API tokens: the first admin token, and whom a token stands for. Called by the auth interceptor and at the first start."""

from datetime import timedelta

from controlplane.auth.secrets import hash_secret, is_secret, new_secret
from controlplane.domain.clock import Clock
from controlplane.domain.errors import CredentialsInvalid, CredentialsMissing, InvalidField
from controlplane.domain.ids import IdSource
from controlplane.domain.tokens import ApiToken, Principal
from controlplane.store.database import Store

ADMIN = "admin"
_NAME_MAX = 100
_INVALID = "the token is not known here, was revoked or has expired: `skerry login` with another"


class AccessService:
    """Makes and checks API tokens. Only hashes are stored."""

    def __init__(self, *, store: Store, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    async def ensure_admin_token(self) -> str | None:
        """On the first start makes the admin token and returns it, the only time; None when one was made before."""
        async with self._store.transaction() as tx:
            if await tx.tokens.count():
                return None
            secret = new_secret()
            await tx.tokens.add(
                ApiToken(self._ids.new(), ADMIN, hash_secret(secret), tx.now, None, None)
            )
        return secret

    async def create_token(self, display_name: str, *, ttl: timedelta | None = None) -> str:
        """Makes a token and returns it, the only time; `ttl` None means for ever. Raises InvalidField."""
        if not display_name.strip() or len(display_name) > _NAME_MAX:
            raise InvalidField.of("name", f"must have 1 to {_NAME_MAX} characters")
        secret = new_secret()
        async with self._store.transaction() as tx:
            expire_time = tx.now + ttl if ttl else None
            await tx.tokens.add(
                ApiToken(
                    self._ids.new(), display_name, hash_secret(secret), tx.now, expire_time, None
                )
            )
        return secret

    async def authenticate(self, token: str) -> Principal:
        """Whom the token stands for. Raises CredentialsMissing when empty, CredentialsInvalid."""
        if not token:
            raise CredentialsMissing("this call needs a token")
        if not is_secret(token):
            raise CredentialsInvalid(_INVALID)
        async with self._store.reading() as tx:
            found = await tx.tokens.get(hash_secret(token))
        now = self._clock.now()
        if (
            found is None
            or found.revoke_time is not None
            or (found.expire_time is not None and found.expire_time <= now)
        ):
            raise CredentialsInvalid(_INVALID)
        return Principal(f"tokens/{found.uid}", found.display_name)
