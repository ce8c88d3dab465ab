"""API tokens and who they stand for."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: `tokens/{uid}` is the name that owns terminals and request ids."""

    name: str
    display_name: str


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A token as stored: only the SHA-256 of its secret."""

    uid: str
    display_name: str
    secret_hash: bytes
    create_time: datetime
    expire_time: datetime | None
    revoke_time: datetime | None
