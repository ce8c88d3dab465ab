"""Whom a token stands for and what they may do; the first admin token. Called by the authenticator, for each call."""

from datetime import datetime, timedelta

import structlog

from controlplane.auth.secrets import hash_secret, is_secret
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
from controlplane.services.granting import grants_of
from controlplane.services.token_maker import TokenMaker
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
        self._tokens = TokenMaker(ids)

    async def ensure_admin_token(self) -> str | None:
        """On the first start makes the admin token and returns it, the only time; None when one was made before."""
        async with self._store.transaction() as tx:
            if await tx.tokens.count():
                return None
            issued = await self._tokens.make(tx, ADMIN_USER, TokenKind.PERSONAL, "admin", ttl=None)
        return issued.secret

    async def create_token(self, display_name: str, *, ttl: timedelta | None = None) -> str:
        """Makes a token of the user `admin` and returns it, the only time; `ttl` None means for ever. Raises InvalidField."""
        if not display_name.strip() or len(display_name) > _NAME_MAX:
            raise InvalidField.of("name", f"must have 1 to {_NAME_MAX} characters")
        async with self._store.transaction() as tx:
            issued = await self._tokens.make(
                tx, ADMIN_USER, TokenKind.PERSONAL, display_name, ttl=ttl
            )
        return issued.secret

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
        grants = await grants_of(tx, token.subject)
        return Principal(
            name=token.subject,
            display_name=await self._display_name(tx, token.subject),
            grants=grants.restricted(token.scope, token.permissions),
            credential=token.uid,
            expire_time=token.expire_time,
            restricted=token.is_restricted,
        )

    @staticmethod
    async def _display_name(tx: Transaction, subject: str) -> str:
        """Raises CredentialsInvalid when there is no such user or service account any more, or the user is kept out."""
        if subject.startswith("users/"):
            user = await tx.users.get(subject)
            if user is not None and not user.disabled:
                return user.display_name
        elif (account := await tx.accounts.get(subject)) is not None:
            return account.display_name
        raise CredentialsInvalid(_INVALID)

    async def _used(self, uid: str) -> None:
        try:
            async with self._store.transaction(durable=False) as tx:
                await tx.tokens.used(uid, tx.now)
        except StorageUnavailable as error:
            # A full disk keeps nobody from reading.
            _log.warning("token_use_not_kept", token=uid, error=str(error))

    def _is_stale(self, last_use_time: datetime | None) -> bool:
        return last_use_time is None or self._clock.now() - last_use_time > _USE_PRECISION
