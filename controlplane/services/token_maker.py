"""Makes tokens: the one place where a secret is drawn and its hash stored. Used by `sessions`, `service_accounts` and `access`."""

from dataclasses import dataclass, field
from datetime import timedelta

from controlplane.auth.secrets import hash_secret, new_secret
from controlplane.domain.access import PLATFORM, Permissions
from controlplane.domain.errors import AlreadyExists, InvalidField
from controlplane.domain.fields import check_display_name
from controlplane.domain.ids import IdSource
from controlplane.domain.requests import IdempotencyKey
from controlplane.domain.tokens import ApiToken, TokenKind
from controlplane.store.transaction import Transaction

TTL = timedelta(days=90)
TTL_MAX = timedelta(days=366)
_SCOPE_MAX = 512


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token and its secret, which is stored nowhere."""

    token: ApiToken
    secret: str = field(repr=False)


class TokenMaker:
    """Draws secrets."""

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids

    async def make(
        self,
        tx: Transaction,
        subject: str,
        kind: TokenKind,
        display_name: str,
        *,
        ttl: timedelta | None,
        permissions: Permissions | None = None,
        scope: str = PLATFORM,
    ) -> IssuedToken:
        """A new token; `ttl` None means for ever."""
        secret = new_secret()
        token = ApiToken(
            uid=self._ids.new(),
            subject=subject,
            kind=kind,
            display_name=display_name,
            secret_hash=hash_secret(secret),
            create_time=tx.now,
            expire_time=None if ttl is None else tx.now + ttl,
            revoke_time=None,
            scope=scope,
            permissions=permissions,
        )
        await tx.tokens.add(token)
        return IssuedToken(token, secret)

    async def make_once(
        self,
        tx: Transaction,
        subject: str,
        kind: TokenKind,
        display_name: str,
        *,
        permissions: Permissions | None,
        scope: str,
        ttl: timedelta | None,
        key: IdempotencyKey | None,
    ) -> IssuedToken:
        """As a caller asks for it. Raises InvalidField, and AlreadyExists for a repeat: a secret is not shown twice."""
        check_display_name(display_name)
        if not display_name:
            raise InvalidField.of("display_name", "is required: say what the token is for")
        ttl = TTL if ttl is None else ttl
        if not timedelta(0) < ttl <= TTL_MAX:
            raise InvalidField.of(
                "ttl", f"must be more than nothing and at most {TTL_MAX.days} days"
            )
        if scope and (
            len(scope) > _SCOPE_MAX or scope.split("/")[0] not in ("organizations", "clusters")
        ):
            raise InvalidField.of(
                "scope", "is not the name of an organization, what is in it, or a cluster"
            )
        if key is not None and await tx.idempotency.answer(key, str) is not None:
            raise AlreadyExists(
                subject,
                "this request made a token before, and it is not shown twice: "
                "repeat it with a new request_id to get another one",
            )
        issued = await self.make(
            tx, subject, kind, display_name, ttl=ttl, permissions=permissions, scope=scope
        )
        if key is not None:
            await tx.idempotency.remember(key, issued.token.uid, tx.now)
        return issued
