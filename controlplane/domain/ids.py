"""Ids: the ones people give (checked) and the ones the server makes (ULIDs, lower-cased so that Kubernetes takes them)."""

import os
import re
from collections.abc import Callable
from typing import Protocol

from controlplane.domain.clock import Clock
from controlplane.domain.errors import InvalidField

ORGANIZATION_ID_MAX = 30
PROJECT_ID_MAX = 30
ENVIRONMENT_ID_MAX = 20
APP_ID_MAX = 30
CLUSTER_ID_MAX = 40
USER_ID_MAX = 40

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford base 32, as in the ULID specification
_ULID = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}")
_ID = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")


class IdSource(Protocol):
    """Makes ids that no other id source makes."""

    def new(self) -> str:
        """A ULID, lower-case, 26 characters; one made later sorts behind."""
        ...


class UlidSource:
    """ULIDs that also sort rightly within one millisecond (https://github.com/ulid/spec, monotonicity)."""

    def __init__(self, clock: Clock, random_bytes: Callable[[int], bytes] = os.urandom) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._last_time = 0
        self._last_random = 0

    def new(self) -> str:
        milliseconds = int(self._clock.now().timestamp() * 1000)
        if milliseconds > self._last_time:
            self._last_time = milliseconds
            # The top bit stays clear so that counting up within the millisecond cannot overflow.
            self._last_random = int.from_bytes(self._random_bytes(10), "big") >> 1
        else:
            # Same millisecond, or the wall clock was set back: count on, order matters more than the time.
            self._last_random += 1
        value = (self._last_time << 80) | self._last_random
        return "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))


def is_ulid(text: str) -> bool:
    """Whether this is a lower-case ULID."""
    return _ULID.fullmatch(text) is not None


def check_id(field: str, value: str, maximum: int) -> str:
    """The id given, if it is one: lower-case letters, digits, inner dashes, starting with a letter.

    Raises InvalidField naming `field` and the rule broken.
    """
    if not value:
        raise InvalidField.of(field, "is required")
    if len(value) > maximum:
        raise InvalidField.of(
            field, f"is {len(value)} characters long; at most {maximum} are allowed"
        )
    if _ID.fullmatch(value) is None:
        raise InvalidField.of(
            field,
            f"{value!r} is not an id: use lower-case letters, digits and dashes, "
            "start with a letter and do not end with a dash",
        )
    return value
