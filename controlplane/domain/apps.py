"""Apps and their revisions: compose projects, as wanted and as observed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from controlplane.domain.names import AppName, ClusterName, DeploymentName, RevisionName
from controlplane.domain.operations import Operation
from controlplane.domain.variables import VariableSource
from controlplane.domain.workloads import Condition, ServiceStatus, State


@dataclass(frozen=True, slots=True)
class App:
    """One compose project in one environment.

    `state` as the store has it is what was last observed; services hand out the view, in which an app of an absent agent
    reads UNKNOWN. `serving_revision` is 0 before the first rollout became READY. `etag` changes when what is wanted changes,
    not with each observation (docs/decisions/033).
    """

    uid: str
    name: AppName
    environment_uid: str
    cluster_uid: str
    cluster: ClusterName
    state: State
    conditions: tuple[Condition, ...]
    wanted_revision: int
    serving_revision: int
    services: tuple[ServiceStatus, ...]
    observe_time: datetime | None
    generation: int
    create_time: datetime
    update_time: datetime

    @property
    def etag(self) -> str:
        return f"{self.uid[-8:]}-{self.generation}"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a compose project: path relative to the project's folder, content as written."""

    path: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """A compose project as sent. Values of variables may be secret, so they stay out of the repr.

    Of a name in several: `variables` wins over what is set on the server, and that over `default_variables`.
    """

    compose_files: tuple[str, ...]
    files: tuple[SourceFile, ...] = field(repr=False)
    variables: Mapping[str, str] = field(repr=False)
    default_variables: Mapping[str, str] = field(repr=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class Revision:
    """A bundle at one moment; never changes but for `was_ready`. `files` is empty in lists."""

    name: RevisionName
    app_uid: str
    compose_files: tuple[str, ...]
    files: tuple[SourceFile, ...] = field(repr=False)
    variables: tuple[VariableSource, ...]
    was_ready: bool
    create_time: datetime


@dataclass(frozen=True, slots=True)
class DeployStarted:
    """The answer to a deploy or rollback: the work begun."""

    operation: Operation
    deployment: DeploymentName
    revision: int
