"""Logins by code: a program waits, and somebody who is logged in approves (RFC 8628)."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

# Letters that are not mistaken for others and make no words (RFC 8628 §6.1); 20⁸ codes.
_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
_LENGTH = 8


class DeviceState(StrEnum):
    """How far it is; `platform.v1.DeviceLoginState` in lower case."""

    PENDING = "pending"
    SLOW_DOWN = "slow_down"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class DeviceLogin:
    """A program that waits, as stored: only the SHA-256 of what it asks with.

    `subject` is who approved; the session ends at `session_end`.
    """

    uid: str
    secret_hash: bytes
    user_code: str
    client: str
    address: str
    interval: timedelta
    state: DeviceState
    create_time: datetime
    expire_time: datetime
    poll_time: datetime | None = None
    subject: str = ""
    session_end: datetime | None = None


def new_user_code() -> str:
    """What a person types: `WDJB-MJHT`."""
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return f"{letters[:4]}-{letters[4:]}"


def typed(text: str) -> str:
    """A code as people type it, in the form that is stored."""
    letters = "".join(character for character in text.upper() if character.isalnum())
    return f"{letters[:4]}-{letters[4:]}"[:20]
