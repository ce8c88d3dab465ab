"""Passwords: the policy, and their hashes (Argon2id). Called by the services that set and check them.

A hash takes tens of milliseconds of a core on purpose, so it is made in a thread, and only a few at a time.
"""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from controlplane.domain.errors import InvalidField

LENGTH_MIN = 12
LENGTH_MAX = 256
_DISTINCT_MIN = 5
_AT_A_TIME = 2


def check_policy(password: str, user_id: str, field: str = "password") -> None:
    """Length over character classes, as NIST SP 800-63B §5.1.1.2 says. Raises InvalidField."""
    if not LENGTH_MIN <= len(password) <= LENGTH_MAX:
        raise InvalidField.of(field, f"must have {LENGTH_MIN} to {LENGTH_MAX} characters")
    if len(set(password)) < _DISTINCT_MIN:
        raise InvalidField.of(field, f"must have {_DISTINCT_MIN} different characters at least")
    if user_id in password.lower() and len(password) < len(user_id) + LENGTH_MIN:
        raise InvalidField.of(field, "must not be made of the user's id")


class Passwords:
    """Hashes and checks."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = asyncio.Semaphore(_AT_A_TIME)
        self._nobodys: str | None = None

    async def hash(self, password: str) -> str:
        """The Argon2id hash with its parameters, in PHC form."""
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, password: str, known: str | None) -> bool:
        """Whether it is the password behind the hash. Takes as long when there is none (`known` None): time tells nothing."""
        if known is None:
            if self._nobodys is None:
                self._nobodys = await self.hash("nobody has this password")
            await self._verified(password, self._nobodys)
            return False
        return await self._verified(password, known)

    def is_outdated(self, known: str) -> bool:
        """Whether it was made with weaker parameters than today's: hash again at the next login."""
        return self._hasher.check_needs_rehash(known)

    async def _verified(self, password: str, known: str) -> bool:
        if len(password) > LENGTH_MAX:
            return False
        async with self._turns:
            try:
                return await asyncio.to_thread(self._hasher.verify, known, password)
            except (VerifyMismatchError, InvalidHashError):
                return False
