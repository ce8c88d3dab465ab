"""Add-ons of a cluster, as its agent reports them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controlplane.domain.names import AddOnName


class AddOnState(StrEnum):
    """Where an installation stands; names of `platform.v1.AddOnState` without the prefix."""

    UNSPECIFIED = "UNSPECIFIED"
    PENDING = "PENDING"
    INSTALLING = "INSTALLING"
    READY = "READY"
    FAILED = "FAILED"
    EXTERNAL = "EXTERNAL"
    DISABLED = "DISABLED"

    @classmethod
    def from_agent(cls, name: str) -> "AddOnState":
        """The state an agent named; UNSPECIFIED for a name this version does not know."""
        try:
            return cls(name)
        except ValueError:
            return cls.UNSPECIFIED


@dataclass(frozen=True, slots=True)
class AddOn:
    """One add-on of one cluster."""

    name: AddOnName
    cluster_uid: str
    version: str
    state: AddOnState
    message: str
    log_tail: str
    attempts: int
    retry_time: datetime | None
    transition_time: datetime | None
    depends_on: tuple[str, ...]
