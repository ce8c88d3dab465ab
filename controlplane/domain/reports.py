"""Reports of agents (`agent.v1.Report`): what is so now. Under one key only the newest counts."""

from dataclasses import dataclass
from datetime import datetime

from controlplane.domain.addons import AddOnState
from controlplane.domain.clusters import ClusterFacts
from controlplane.domain.workloads import ServiceStatus, State


@dataclass(frozen=True, slots=True)
class AddOnStatus:
    """About an add-on."""

    name: str
    version: str
    state: AddOnState
    message: str
    log_tail: str
    attempts: int
    retry_time: datetime | None
    transition_time: datetime | None
    depends_on: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AppStatus:
    """About an app; `revision` is the one in the cluster."""

    namespace: str
    app: str
    app_uid: str
    revision: int
    state: State
    reason: str
    message: str
    services: tuple[ServiceStatus, ...]
    observe_time: datetime | None


@dataclass(frozen=True, slots=True)
class EnvironmentStatus:
    """Whether what walls an environment off is in place; what was put right, or cannot be."""

    uid: str
    guarded: bool
    reason: str
    message: str


ReportBody = ClusterFacts | AddOnStatus | AppStatus | EnvironmentStatus


@dataclass(frozen=True, slots=True)
class Report:
    """`key` is `facts`, `addons/{name}`, `apps/{uid}` or `environments/{uid}`; `version` grows within a boot of the agent.

    `body` is None when `deleted`, and for a kind that this version does not know.
    """

    key: str
    version: int
    deleted: bool
    body: ReportBody | None
