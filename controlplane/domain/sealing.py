"""Values that are kept encrypted: what the rooms that pass them on need to know. `controlplane.keyring` does the work."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SealedValue:
    """An encrypted value, and the id of the key that opens it."""

    key_id: str
    box: bytes = field(repr=False)


class CannotOpen(Exception):
    """A value cannot be decrypted; the message says why, and nothing about the value."""


class Cipher(Protocol):
    """Seals and opens values. What a value is bound to (its place and name) must be the same both times, so that nobody who can
    write the database can pass one value off as another."""

    @property
    def primary(self) -> str:
        """The id of the key that values are sealed with now. Raises StorageUnavailable."""
        ...

    def seal(self, plaintext: bytes, *, bound_to: str) -> SealedValue:
        """Encrypt with the primary key. Call it inside the writing transaction that keeps the value: then no key can be retired
        between the two. Raises StorageUnavailable."""
        ...

    def open(self, sealed: SealedValue, *, bound_to: str) -> bytes:
        """Decrypt. Raises CannotOpen."""
        ...
