"""Commands to agents (`agent.v1.Command`) and what agents say about them. `link` converts these to and from frames."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from controlplane.domain.apps import SourceFile
from controlplane.domain.deployments import DeploymentPhase
from controlplane.domain.errors import StatusCode
from controlplane.domain.projects import Environment
from controlplane.domain.variables import SealedVariables
from controlplane.domain.workloads import Diagnostic, ServiceStatus

# `CommandOutcome.reason` of a deploy that the agent stopped because a newer one of the same app arrived.
SUPERSEDED = "SUPERSEDED"


@dataclass(frozen=True, slots=True)
class LinkedEnvironment:
    """The other side of a link."""

    namespace: str
    uid: str


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """What an environment's namespace must be.

    Commands overtake each other on their way: of two, the agent takes the links of the higher `generation`.
    """

    namespace: str
    uid: str
    organization: str
    project: str
    environment: str
    links: tuple[LinkedEnvironment, ...] = ()
    generation: int = 0

    @classmethod
    def of(
        cls, environment: Environment, links: tuple[LinkedEnvironment, ...] = ()
    ) -> "EnvironmentSpec":
        """What the agent must know of an environment."""
        name = environment.name
        return cls(
            environment.namespace,
            environment.uid,
            name.organization,
            name.project,
            name.environment,
            links,
            environment.generation,
        )


@dataclass(frozen=True, slots=True)
class EnsureEnvironment:
    """Make the namespace with quota, limits and policies."""

    kind: ClassVar[str] = "ensure_environment"
    environment: EnvironmentSpec


@dataclass(frozen=True, slots=True)
class DeleteEnvironment:
    """Delete the namespace and all in it."""

    kind: ClassVar[str] = "delete_environment"
    environment: EnvironmentSpec


@dataclass(frozen=True, slots=True)
class DeployApp:
    """Roll out a revision. Also what a plan is asked for, with `deployment` empty.

    As the outbox hands it out, the variables are `sealed`; they are opened when the command is sent, and never kept open.
    """

    kind: ClassVar[str] = "deploy_app"
    environment: EnvironmentSpec
    app: str
    app_uid: str
    revision: int
    deployment: str
    compose_files: tuple[str, ...]
    files: tuple[SourceFile, ...] = field(repr=False)
    variables: Mapping[str, str] = field(repr=False)
    progress_deadline_seconds: int
    secret_variables: tuple[str, ...] = ()
    sealed: SealedVariables | None = None


@dataclass(frozen=True, slots=True)
class DeleteApp:
    """Delete an app's objects, and its volumes if asked."""

    kind: ClassVar[str] = "delete_app"
    environment: EnvironmentSpec
    app: str
    app_uid: str
    delete_volumes: bool


@dataclass(frozen=True, slots=True)
class RetryAddOn:
    """Try a failed add-on again now."""

    kind: ClassVar[str] = "retry_add_on"
    add_on: str


CommandBody = EnsureEnvironment | DeleteEnvironment | DeployApp | DeleteApp | RetryAddOn


class CommandState(StrEnum):
    """Where a command is: in the outbox, handed to the link, journalled by the agent, ended."""

    QUEUED = "QUEUED"
    SENT = "SENT"
    ACKED = "ACKED"
    FINISHED = "FINISHED"


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `seq` counts up from 1 for each cluster with no holes; `command_id` is stable over resends."""

    seq: int
    command_id: str
    cluster_uid: str
    deadline: datetime | None
    body: CommandBody


@dataclass(frozen=True, slots=True)
class CommandRecord:
    """A command's row without its body: where it is and what its end will change.

    `app_uid` and `deployment_uid` are empty where a command concerns none. Progress is ordered by (`progress_epoch`,
    `progress_version`): an agent that was restarted counts versions from 1 again.
    """

    seq: int
    command_id: str
    cluster_uid: str
    kind: str
    state: CommandState
    environment_uid: str
    app_uid: str
    operation_uid: str
    deployment_uid: str
    deadline: datetime | None
    cancel_requested: bool
    progress_epoch: int
    progress_version: int


@dataclass(frozen=True, slots=True)
class DeployProgress:
    """A rollout at one moment; `phase` is None for a phase that this version does not know."""

    phase: DeploymentPhase | None
    services: tuple[ServiceStatus, ...]
    diagnostics: tuple[Diagnostic, ...]
    objects_applied: int
    objects_total: int


@dataclass(frozen=True, slots=True)
class CommandProgress:
    """How far a command is; a higher `version` replaces a lower one."""

    seq: int
    command_id: str
    version: int
    message: str
    deploy: DeployProgress | None


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """How a command ended; `code` OK is success. `deploy` is the last progress of a deploy."""

    seq: int
    command_id: str
    code: StatusCode
    reason: str
    message: str
    deploy: DeployProgress | None
