"""The keyring of a control plane: seals and opens values, and follows its file while it changes.

The file is looked at before every use, so that a key added by `skerry-controlplane keys rotate` is used at once and without a
restart. Built by `app.py`; services get it as `domain.sealing.Cipher`.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from controlplane.domain.errors import StorageUnavailable
from controlplane.domain.sealing import CannotOpen, SealedValue
from controlplane.keyring import envelope, file
from controlplane.keyring.errors import KeyringError
from controlplane.keyring.file import Key, Keys


class Keyring:
    """The keys in one file."""

    def __init__(self, path: Path) -> None:
        """Raises KeyringError when the file cannot be used; `create` makes one."""
        self._path = path
        self._seen = _mark(path)
        self._keys = file.read(path)
        # A reader may still hold a value that was sealed with a key retired a moment ago.
        self._retired: dict[str, Key] = {}

    @classmethod
    def create(cls, path: Path, now: datetime) -> "Keyring":
        """The keyring at the path; with a first key where there is none. Raises KeyringError."""
        with file.exclusive(path):
            if not path.exists():
                key = Key.new(now)
                file.write(path, Keys(key.id, {key.id: key}))
        return cls(path)

    @property
    def path(self) -> Path:
        return self._path

    @property
    def primary(self) -> str:
        """The id of the key that seals. Raises StorageUnavailable."""
        return self._current().primary

    def all_keys(self) -> Sequence[Key]:
        """All keys, oldest first. Raises StorageUnavailable."""
        return sorted(self._current().by_id.values(), key=lambda key: key.create_time)

    def seal(self, plaintext: bytes, *, bound_to: str) -> SealedValue:
        """See Cipher."""
        keys = self._current()
        key = keys.by_id[keys.primary]
        return SealedValue(key.id, envelope.seal(key.secret, key.id, plaintext, bound_to))

    def open(self, sealed: SealedValue, *, bound_to: str) -> bytes:
        """See Cipher."""
        key = self._find(sealed.key_id)
        if key is None:
            raise CannotOpen(f"its key {sealed.key_id!r} is not in the keyring")
        try:
            return envelope.open_(key.secret, key.id, sealed.box, bound_to)
        except envelope.Tampered as error:
            raise CannotOpen(
                "what the database holds is not what was encrypted: it was damaged or moved"
            ) from error

    def rotate(self, now: datetime) -> Key:
        """Add a key and seal with it from now on. Raises KeyringError."""
        with file.exclusive(self._path):
            keys = file.read(self._path)
            key = Key.new(now)
            file.write(self._path, Keys(key.id, {**keys.by_id, key.id: key}))
        return key

    def retire(self, key_id: str) -> None:
        """Take a key out. Nothing may be sealed with it any more: see `services.reencryption`. Raises KeyringError."""
        with file.exclusive(self._path):
            keys = file.read(self._path)
            if key_id not in keys.by_id:
                raise KeyringError(f"there is no key {key_id}: see `skerry-controlplane keys list`")
            if key_id == keys.primary:
                raise KeyringError(
                    f"{key_id} is the key that values are encrypted with now: "
                    "run `skerry-controlplane keys rotate` first"
                )
            left = {known: key for known, key in keys.by_id.items() if known != key_id}
            file.write(self._path, Keys(keys.primary, left))

    def _find(self, key_id: str) -> Key | None:
        try:
            keys = self._current()
        except StorageUnavailable:
            keys = self._keys  # what is known still opens what it sealed
        return keys.by_id.get(key_id) or self._retired.get(key_id)

    def _current(self) -> Keys:
        """The keys as the file has them now. Raises StorageUnavailable."""
        try:
            mark = _mark(self._path)
            if mark != self._seen:
                keys = file.read(self._path)
                gone = {i: key for i, key in self._keys.by_id.items() if i not in keys.by_id}
                self._retired.update(gone)
                self._keys, self._seen = keys, mark
        except KeyringError as error:
            raise StorageUnavailable(str(error)) from error
        return self._keys


def _mark(path: Path) -> tuple[int, int, int]:
    """Changes whenever the file is replaced or written."""
    try:
        status = path.stat()
    except OSError as error:
        raise KeyringError(f"the keyring {path} cannot be read: {error.strerror}") from error
    return status.st_ino, status.st_mtime_ns, status.st_size
