"""The audit log: what an entry holds, and the chain of hashes that shows when one is missing or was changed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

OK = "OK"
STARTED = "STARTED"
# The hash before the first entry.
GENESIS = bytes(32)


@dataclass(slots=True)
class AuditAction:
    """What a call does, as it will stand in the log; one for each call that is audited.

    `recorded` is set once an entry was committed together with the call's effect.
    """

    method: str
    address: str
    call_id: str
    actor: str = ""
    token: str = ""
    resource: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    recorded: bool = False


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that somebody did or tried; see `platform.v1.AuditEntry`."""

    sequence: int
    create_time: datetime
    actor: str
    token: str
    method: str
    resource: str
    address: str
    call_id: str
    result: str
    reason: str
    details: Mapping[str, str]

    def chained(self, before: bytes) -> bytes:
        """The hash of this entry behind the one whose hash is `before`: SHA-256 over it and the fields as canonical JSON."""
        fields = [
            self.sequence,
            int(self.create_time.timestamp() * 1_000_000),
            self.actor,
            self.token,
            self.method,
            self.resource,
            self.address,
            self.call_id,
            self.result,
            self.reason,
            sorted(self.details.items()),
        ]
        text = json.dumps(fields, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(before + text.encode()).digest()


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries: about `parent` and below, by `actor`, of a method's short name, with a result, between two times."""

    parent: str = ""
    actor: str = ""
    method: str = ""
    result: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditVerdict:
    """Whether the log is whole; `broken_sequence` is where it is not, 0 when it is."""

    entries: int
    broken_sequence: int
    message: str
    head: bytes

    @property
    def intact(self) -> bool:
        return self.broken_sequence == 0
