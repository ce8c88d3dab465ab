"""What calls have in common: pages, idempotency keys, watch events."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from controlplane.domain.errors import InvalidField

T = TypeVar("T")

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 1000
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page: `size` as sent (0 = default, above the most is the most), `token` from the page before."""

    size: int = 0
    token: str = ""

    @property
    def limit(self) -> int:
        """The number of items to read. Raises InvalidField for a negative size."""
        if self.size < 0:
            raise InvalidField.of("page_size", "must not be negative")
        return min(self.size or PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page; `next_token` is empty on the last."""

    items: tuple[T, ...]
    next_token: str


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """What makes a repeat of a call harmless for 24 hours: who called which method with which request_id.

    `request_hash` is a hash of the request without its request_id: the same id with another request is refused.
    """

    principal: str
    method: str
    request_id: str
    request_hash: bytes

    def __post_init__(self) -> None:
        if _UUID.fullmatch(self.request_id) is None:
            raise InvalidField.of("request_id", "must be a UUID")


class EventType(StrEnum):
    """What an event of a watch is; names of `platform.v1.EventType` without the prefix."""

    SNAPSHOT = "SNAPSHOT"
    SYNCED = "SYNCED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"
    HEARTBEAT = "HEARTBEAT"


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[T]):
    """One event. `resource` is set in SNAPSHOT and UPDATED; DELETED has only `name` and `uid`."""

    type: EventType
    resource: T | None = None
    name: str = ""
    uid: str = ""
    resume_token: str = ""
