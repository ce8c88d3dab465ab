"""The words of this package: what is asked for, how it stands, how it ended.

Plain dataclasses; `agent.handlers` turns them into `agent.v1` messages and back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from agent.compose import BindingFact, Diagnostic, PublicGuess, ServiceFacts, VolumeFacts


@dataclass(frozen=True, slots=True)
class LinkedEnvironment:
    """Another environment of the cluster, whose pods and ours may reach each other."""

    namespace: str
    uid: str


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """An environment: one namespace."""

    namespace: str
    uid: str
    organization: str
    project: str
    environment: str
    links: tuple[LinkedEnvironment, ...] = ()
    generation: int = 0
    """Grows with each change of what is wanted. Commands overtake each other: of two, the links of
    the higher one hold."""


@dataclass(frozen=True, slots=True)
class GuardStatus:
    """Whether what walls an environment off is in place."""

    environment: EnvironmentSpec
    guarded: bool
    reason: str
    """CamelCase, for programs: `Guarded`, `Repaired`, `RepairFailed`, `ForeignPolicies`, `NamespaceGone`."""
    message: str = ""
    repairs: int = 0
    """Since the agent started."""
    repair_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """Everything a deploy or its preview needs."""

    environment: EnvironmentSpec
    app: str
    app_uid: str
    revision: int
    deployment: str
    compose_files: tuple[str, ...]
    files: Mapping[str, bytes]
    variables: Mapping[str, str] = field(default_factory=dict)
    progress_deadline: float = 600.0
    """Seconds without progress after which a rollout is given up."""


@dataclass(frozen=True, slots=True)
class RemoveRequest:
    """Take an app away; its volumes stay unless asked for."""

    environment: EnvironmentSpec
    app: str
    app_uid: str
    delete_volumes: bool = False


class State(StrEnum):
    """As `skerry.platform.v1.State`."""

    PENDING = "PENDING"
    PROGRESSING = "PROGRESSING"
    READY = "READY"
    DEGRADED = "DEGRADED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"
    DELETING = "DELETING"


class Phase(StrEnum):
    """Where a deploy stands."""

    PLANNING = "PLANNING"
    APPLYING = "APPLYING"
    ROLLING_OUT = "ROLLING_OUT"
    PRUNING = "PRUNING"
    READY = "READY"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class PodStatus:
    pod: str
    phase: str
    ready: bool
    restarts: int
    reason: str = ""
    message: str = ""
    node: str = ""
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    """One compose service as it runs."""

    service: str
    kind: str
    """`Deployment`, `Job` or `CronJob`."""
    state: State
    reason: str = ""
    message: str = ""
    desired: int = 0
    ready: int = 0
    pods: tuple[PodStatus, ...] = ()
    image: str = ""


@dataclass(frozen=True, slots=True)
class AppStatus:
    """One app as it runs."""

    namespace: str
    app: str
    app_uid: str
    revision: int
    state: State
    reason: str = ""
    message: str = ""
    services: tuple[ServiceStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class DeployProgress:
    """A deploy at one moment."""

    phase: Phase
    services: tuple[ServiceStatus, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    objects_applied: int = 0
    objects_total: int = 0


Report: TypeAlias = Callable[[str, DeployProgress | None], None]
"""Told how far something is: a sentence, and the deploy's state. Does not wait."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended. `code` is a canonical gRPC code; 0 is success."""

    code: int
    reason: str
    message: str
    progress: DeployProgress | None = None


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"
    DELETE = "delete"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ObjectChange:
    """What a deploy would do to one object."""

    api_version: str
    kind: str
    name: str
    action: Action
    diff: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a deploy would do. The facts are the converter's, also of a rejected project as far as it
    could be read."""

    rejected: bool
    diagnostics: tuple[Diagnostic, ...]
    changes: tuple[ObjectChange, ...] = ()
    manifests: str = ""
    services: tuple[ServiceFacts, ...] = ()
    volumes: tuple[VolumeFacts, ...] = ()
    public: PublicGuess | None = None
    bindings: tuple[BindingFact, ...] = ()
