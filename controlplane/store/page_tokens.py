"""Opaque tokens for pages and watches: a position, sealed together with what it is a position in.

The seal (HMAC-SHA256 with a key that lives in the database) makes a token of another list, of another server, or a made-up
one fail instead of giving a wrong page.
"""

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

_SEAL_BYTES = 12


class Sealed:
    """Makes and opens tokens."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, bound_to: str, position: list[Any]) -> str:
        """A token for a position (strings and integers) in the list that `bound_to` describes."""
        payload = json.dumps(position, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(bound_to, payload) + payload).decode().rstrip("=")

    def open(self, bound_to: str, token: str) -> list[Any] | None:
        """The position, or None when the token was not made for this list here."""
        if len(token) > 2048:
            return None
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        seal, payload = raw[:_SEAL_BYTES], raw[_SEAL_BYTES:]
        if not hmac.compare_digest(seal, self._mac(bound_to, payload)):
            return None
        position: list[Any] = json.loads(payload)
        return position

    def _mac(self, bound_to: str, payload: bytes) -> bytes:
        message = len(bound_to).to_bytes(4, "big") + bound_to.encode() + payload
        return hmac.digest(self._key, message, hashlib.sha256)[:_SEAL_BYTES]
