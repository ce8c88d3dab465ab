"""Time-based one-time passwords (RFC 6238) and recovery codes. Called by `services/second_factors`."""

import base64
import hashlib
import hmac
import secrets
from datetime import datetime

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

STEP_SECONDS = 30
_DIGITS = 6
# A clock may be one step off, and a code may be typed at the end of its step.
_DRIFT = (-1, 0, 1)
_KEY_BYTES = 20
_RECOVERY_CODES = 10
# 80 bits: what a quick hash keeps safe, unlike the six digits.
_RECOVERY_BYTES = 10


def new_key() -> bytes:
    """What the app and the server share (RFC 4226 §4 asks for 160 bits)."""
    return secrets.token_bytes(_KEY_BYTES)


def readable(key: bytes) -> str:
    """As people type it into an app: base 32."""
    return base64.b32encode(key).decode("ascii")


def uri(key: bytes, account: str) -> str:
    """`otpauth://…`, for an app's camera."""
    return _totp(key).get_provisioning_uri(account, "Skerry")


def matching_step(key: bytes, code: str, now: datetime, *, after: int) -> int | None:
    """The step that the code belongs to, if that is about now and behind the last one that was used; a code works once."""
    step = int(now.timestamp()) // STEP_SECONDS
    totp = _totp(key)
    for candidate in (step + drift for drift in _DRIFT):
        right = totp.generate(candidate * STEP_SECONDS)
        if hmac.compare_digest(right, code.encode()) and candidate > after:
            return candidate
    return None


def code_at(key: bytes, now: datetime) -> str:
    """What an app shows now."""
    return _totp(key).generate(int(now.timestamp())).decode("ascii")


def new_recovery_codes() -> list[str]:
    """Ten codes of four times four letters, each good for one login without the app."""
    return [_recovery_code() for _ in range(_RECOVERY_CODES)]


def hash_recovery_code(code: str) -> str:
    """What is stored of one; case and dashes do not matter."""
    plain = "".join(character for character in code.upper() if character.isalnum())
    return hashlib.sha256(plain.encode()).hexdigest()


def _recovery_code() -> str:
    text = base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode("ascii").lower()
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def _totp(key: bytes) -> TOTP:
    # Authenticator apps know SHA-1 only; HMAC is not weakened by its collisions (RFC 6238 §1.2).
    return TOTP(key, _DIGITS, SHA1(), STEP_SECONDS)  # noqa: S303  # nosec B303
