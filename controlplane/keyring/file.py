"""The keyring's file: JSON with every key, readable by its owner only, replaced whole. Called by `keyring`.

{"version": 1, "primary": "k1f…", "keys": [{"id": "k1f…", "create_time": "…", "key": "base64"}]}
"""

import base64
import binascii
import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from controlplane.keyring.envelope import KEY_BYTES
from controlplane.keyring.errors import KeyringError

_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Key:
    """One key."""

    id: str
    create_time: datetime
    secret: bytes = field(repr=False)

    @classmethod
    def new(cls, now: datetime) -> "Key":
        return cls(f"k{secrets.token_hex(5)}", now, secrets.token_bytes(KEY_BYTES))


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys by id, and which one new values are sealed with."""

    primary: str
    by_id: dict[str, Key]


def read(path: Path) -> Keys:
    """What the file says. Raises KeyringError when it is missing, open to others or malformed."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_BYTES_MAX)
    except OSError as error:
        raise KeyringError(f"the keyring {path} cannot be read: {error.strerror}") from error
    if mode & 0o077:
        raise KeyringError(f"{path} is open to other users: run `chmod 600 {path}`")
    try:
        return _parsed(json.loads(content))
    except (ValueError, KeyError, TypeError, binascii.Error):
        # Not `from`: a parser's error quotes what it read.
        raise KeyringError(
            f"{path} is not a keyring of this version: restore it from a backup"
        ) from None


def write(path: Path, keys: Keys) -> None:
    """Replace the file: a crash leaves the old one or the new one. Raises KeyringError."""
    content = {
        "version": 1,
        "primary": keys.primary,
        "keys": [
            {
                "id": key.id,
                "create_time": key.create_time.isoformat(),
                "key": base64.b64encode(key.secret).decode(),
            }
            for key in keys.by_id.values()
        ],
    }
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(content, indent=2).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise KeyringError(f"the keyring {path} cannot be written: {error.strerror}") from error


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the right to change the file. Raises KeyringError."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_name(f".{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise KeyringError(f"the keyring {path} cannot be changed: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _parsed(content: Any) -> Keys:
    if content["version"] != 1:
        raise ValueError
    found = {}
    for item in content["keys"]:
        secret = base64.b64decode(item["key"], validate=True)
        if len(secret) != KEY_BYTES:
            raise ValueError
        found[str(item["id"])] = Key(
            str(item["id"]), datetime.fromisoformat(item["create_time"]), secret
        )
    if content["primary"] not in found:
        raise ValueError
    return Keys(content["primary"], found)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
