"""Whom a token stands for and what they may do; the first admin token. Called by the authenticator, for each call."""

from datetime import datetime, timedelta

import structlog

from controlplane.auth.secrets import hash_secret, is_secret, new_secret
from controlplane.domain.access import BUILT_IN_ROLES, Grant, Grants
from controlplane.domain.clock import Clock
from controlplane.domain.errors import (
    CredentialsInvalid,
    CredentialsMissing,
    InvalidField,
    StorageUnavailable,
)
from controlplane.domain.ids import IdSource
from controlplane.domain.people import ADMIN_USER
from controlplane.domain.tokens import ApiToken, Principal, TokenKind
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction

_log = structlog.get_logger(__name__)

_NAME_MAX = 100
# When a token was last used is kept to that precision: a write for each call would cost more than the call.
_USE_PRECISION = timedelta(minutes=1)
_INVALID = "the token is not known here, was revoked or has expired: `skerry login` with another"


class AccessService:
    """Makes tokens for the administrator, and knows callers by their tokens. Only hashes are stored."""

    def __init__(self, *, store: Store, clock: Clock, ids: IdSource) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids

    async def ensure_admin_token(self) -> str | None:
        """On the first start makes the admin token and returns it, the only time; None when one was made before."""
        async with self._store.transaction() as tx:
            if await tx.tokens.count():
                return None
            token, secret = self._new("admin", tx.now, None)
            await tx.tokens.add(token)
        return secret

    async def create_token(self, display_name: str, *, ttl: timedelta | None = None) -> str:
        """Makes a token of the user `admin` and returns it, the only time; `ttl` None means for ever. Raises InvalidField."""
        if not display_name.strip() or len(display_name) > _NAME_MAX:
            raise InvalidField.of("name", f"must have 1 to {_NAME_MAX} characters")
        async with self._store.transaction() as tx:
            token, secret = self._new(display_name, tx.now, ttl)
            await tx.tokens.add(token)
        return secret

    async def authenticate(self, token: str) -> Principal:
        """Whom the token stands for. Raises CredentialsMissing when empty, CredentialsInvalid."""
        if not token:
            raise CredentialsMissing("this call needs a token")
        if not is_secret(token):
            raise CredentialsInvalid(_INVALID)
        async with self._store.reading() as tx:
            found = await tx.tokens.get(hash_secret(token))
            principal = await self._principal(tx, found)
        if found is not None and self._is_stale(found.last_use_time):
            await self._used(found.uid)
        return principal

    async def again(self, principal: Principal) -> Principal:
        """The same caller as of now, for a stream that is still open. Raises CredentialsInvalid."""
        async with self._store.reading() as tx:
            return await self._principal(tx, await tx.tokens.get_by_uid(principal.credential))

    async def _principal(self, tx: Transaction, token: ApiToken | None) -> Principal:
        if token is None or not token.is_valid(self._clock.now()):
            raise CredentialsInvalid(_INVALID)
        user = await tx.users.get(token.subject)
        if user is None or user.disabled:
            raise CredentialsInvalid(_INVALID)
        grants = [
            Grant(binding.scope, BUILT_IN_ROLES[binding.role])
            for binding in await tx.bindings.of([token.subject])
            if binding.role in BUILT_IN_ROLES
        ]
        return Principal(
            name=token.subject,
            display_name=user.display_name,
            grants=Grants.of(grants).restricted(token.scope, token.permissions),
            credential=token.uid,
            expire_time=token.expire_time,
        )

    async def _used(self, uid: str) -> None:
        try:
            async with self._store.transaction(durable=False) as tx:
                await tx.tokens.used(uid, tx.now)
        except StorageUnavailable as error:
            # A full disk keeps nobody from reading.
            _log.warning("token_use_not_kept", token=uid, error=str(error))

    def _is_stale(self, last_use_time: datetime | None) -> bool:
        return last_use_time is None or self._clock.now() - last_use_time > _USE_PRECISION

    def _new(self, display_name: str, now: datetime, ttl: timedelta | None) -> tuple[ApiToken, str]:
        secret = new_secret()
        token = ApiToken(
            uid=self._ids.new(),
            subject=ADMIN_USER,
            kind=TokenKind.PERSONAL,
            display_name=display_name,
            secret_hash=hash_secret(secret),
            create_time=now,
            expire_time=now + ttl if ttl else None,
            revoke_time=None,
        )
        return token, secret
