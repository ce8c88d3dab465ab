"""What runs and what is said about it: states, conditions, services, pods, diagnostics, plans, checks."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    """What a workload looks like now; values are the names of `platform.v1.State` without the prefix."""

    PENDING = "PENDING"
    PROGRESSING = "PROGRESSING"
    READY = "READY"
    SLEEPING = "SLEEPING"
    DEGRADED = "DEGRADED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"
    DELETING = "DELETING"
    UNKNOWN = "UNKNOWN"

    @classmethod
    def from_agent(cls, name: str) -> "State":
        """The state an agent named; UNKNOWN for a name this version does not know (agents may be newer)."""
        try:
            return cls(name)
        except ValueError:
            return cls.UNKNOWN


@dataclass(frozen=True, slots=True)
class Condition:
    """One aspect of a resource's state. `status` is None when it is not known."""

    type: str
    status: bool | None
    reason: str
    message: str
    transition_time: datetime


class Severity(StrEnum):
    """How bad a diagnostic is; the values are those of `agent.v1.Diagnostic.severity`."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One remark of the converter about one place (lines and columns from 1, line 0 = the whole file); `via` names the places
    that the value came through."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    severity: Severity
    code: str
    path: str
    message: str
    hint: str
    via: str = ""


@dataclass(frozen=True, slots=True)
class PodStatus:
    """One pod as last observed."""

    pod: str
    phase: str
    ready: bool
    restarts: int
    reason: str
    message: str
    node: str
    create_time: datetime | None


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One compose service as it runs; `kind` is `Deployment` or `Job`."""

    service: str
    state: State
    reason: str
    message: str
    desired: int
    ready: int
    pods: tuple[PodStatus, ...]
    image: str
    kind: str


class ChangeAction(StrEnum):
    """What a deploy would do to an object; the values are those of `agent.v1.ObjectChange.action`."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    DELETE = "delete"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """What would happen to one object."""

    api_version: str
    kind: str
    object_name: str
    action: ChangeAction
    diff: str
    message: str


@dataclass(frozen=True, slots=True)
class FoundPort:
    """A port that a service listens on; `source` says how it was found, in the agent's word."""

    port: int
    protocol: str
    source: str
    published: str
    http: bool


@dataclass(frozen=True, slots=True)
class CheckedService:
    """What becomes of one compose service; `kind` is `Deployment`, `Job` or `CronJob`. It may sleep after `sleep_after_seconds`
    without use: 0 for never, None where the file says nothing."""

    service: str
    host_name: str
    kind: str
    image: str
    replicas: int
    ports: tuple[FoundPort, ...]
    depends_on: tuple[str, ...]
    volumes: tuple[str, ...]
    sleep_after_seconds: int | None


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume claim of a compose project (`size` is a Kubernetes quantity), or an external one that must exist already."""

    claim: str
    volume: str
    size: str
    services: tuple[str, ...]
    external: bool


@dataclass(frozen=True, slots=True)
class Binding:
    """A compose service that a shared one replaces (`wanted`), or could replace where it is `available`.

    `kind` is `postgres` or `s3`, in the agent's word. There is no password: those stay in the cluster.
    """

    service: str
    host_name: str
    kind: str
    wanted: bool
    reason: str
    available: bool
    port: int
    user: str
    database: str


@dataclass(frozen=True, slots=True)
class PlanResult:
    """What a deploy would do; secret values are blanked by the agent. `public_port` 0 for none."""

    rejected: bool
    diagnostics: tuple[Diagnostic, ...]
    changes: tuple[ObjectChange, ...] = ()
    manifests: str = ""
    public_service: str = ""
    public_service_reason: str = ""
    public_port: int = 0
    public_host: str = ""
    services: tuple[CheckedService, ...] = ()
    volumes: tuple[Volume, ...] = ()
    bindings: tuple[Binding, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What there is to say about a compose project, without asking the cluster; `public_port` 0 for none."""

    rejected: bool
    diagnostics: tuple[Diagnostic, ...]
    services: tuple[CheckedService, ...] = ()
    public_service: str = ""
    public_service_reason: str = ""
    public_port: int = 0
    public_host: str = ""
    volumes: tuple[Volume, ...] = ()
    bindings: tuple[Binding, ...] = ()
