"""The key that commands are encrypted with in the journal: a file beside it, so that a copied journal alone tells no secret.

Commands carry the variables of apps, and a journal may outlive its agent. Used by `journal`.
"""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

_KEY_BYTES = 32
_NONCE_BYTES = 12
# No serialised command begins so: field numbers start at 1.
_MARK = b"\0"


class SealBroken(Exception):
    """What was sealed does not open: another key, another command, or damage."""


class JournalKey:
    """Seals the commands of one journal."""

    def __init__(self, path: Path, *, cluster_uid: str) -> None:
        """Reads the key, or makes it where there is none that can be used. Raises OSError."""
        self._cipher = ChaCha20Poly1305(_read_or_make(path))
        self._cluster_uid = cluster_uid

    @staticmethod
    def is_sealed(content: bytes) -> bool:
        """Whether this version wrote it; older ones wrote commands as they were."""
        return content.startswith(_MARK)

    def seal(self, seq: int, content: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        return _MARK + nonce + self._cipher.encrypt(nonce, content, self._bound(seq))

    def open(self, seq: int, sealed: bytes) -> bytes:
        """Raises SealBroken."""
        nonce, content = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, content, self._bound(seq))
        except (InvalidTag, ValueError) as error:
            raise SealBroken(f"command {seq} cannot be decrypted") from error

    def _bound(self, seq: int) -> bytes:
        return f"{self._cluster_uid}:{seq}".encode()


def _read_or_make(path: Path) -> bytes:
    if path.exists():
        key = path.read_bytes()
        if len(key) == _KEY_BYTES:
            return key
    key = os.urandom(_KEY_BYTES)
    scratch = path.with_name(f".{path.name}.new")
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    return key
