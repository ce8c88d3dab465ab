"""Credentials and whom they stand for."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from controlplane.domain.access import PLATFORM, Grants, Permissions


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: `users/{user}` or `serviceAccounts/{account}` is the name that owns terminals and request ids.

    `credential` is the uid of the token that the call came with, `expire_time` its end.
    """

    name: str
    display_name: str
    grants: Grants = field(default=Grants())
    credential: str = ""
    expire_time: datetime | None = None
    # The token is good for less than its owner: it must not make tokens that are good for more.
    restricted: bool = False


@dataclass(frozen=True, slots=True)
class SetupCode:
    """What a setup link carries, as stored: only the SHA-256 of its secret. It makes an owner of the platform, once."""

    uid: str
    secret_hash: bytes
    create_time: datetime
    expire_time: datetime
    use_time: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        """Whether it was not used and has not expired."""
        return self.use_time is None and self.expire_time > now


class TokenKind(StrEnum):
    """What a token was made for."""

    PERSONAL = "personal"
    SERVICE_ACCOUNT = "service_account"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token as stored: only the SHA-256 of its secret.

    It is good for what its `subject` may do, within `scope` and `permissions` (None: all of them).
    """

    uid: str
    subject: str
    kind: TokenKind
    display_name: str
    secret_hash: bytes
    create_time: datetime
    expire_time: datetime | None
    revoke_time: datetime | None
    scope: str = PLATFORM
    permissions: Permissions | None = None
    last_use_time: datetime | None = None

    @property
    def name(self) -> str:
        """`users/anne/tokens/{uid}`."""
        return f"{self.subject}/tokens/{self.uid}"

    @property
    def is_restricted(self) -> bool:
        """Whether it is good for less than all that its owner may do."""
        return self.scope != PLATFORM or self.permissions is not None

    def is_valid(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoke_time is None and (self.expire_time is None or self.expire_time > now)
