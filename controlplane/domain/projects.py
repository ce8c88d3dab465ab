"""Projects and environments."""

from dataclasses import dataclass
from datetime import datetime

from controlplane.domain.names import ClusterName, EnvironmentLinkName, EnvironmentName, ProjectName
from controlplane.domain.workloads import Condition, State


@dataclass(frozen=True, slots=True)
class Project:
    """What belongs together, wherever it runs."""

    uid: str
    name: ProjectName
    display_name: str
    generation: int
    create_time: datetime
    update_time: datetime

    @property
    def etag(self) -> str:
        return f"{self.uid[-8:]}-{self.generation}"


@dataclass(frozen=True, slots=True)
class Environment:
    """One namespace on one cluster."""

    uid: str
    name: EnvironmentName
    display_name: str
    project_uid: str
    cluster_uid: str
    cluster: ClusterName
    namespace: str
    state: State
    conditions: tuple[Condition, ...]
    generation: int
    create_time: datetime
    update_time: datetime
    # Deploys and commands in it need permissions of their own.
    protected: bool = False

    @property
    def etag(self) -> str:
        return f"{self.uid[-8:]}-{self.generation}"


@dataclass(frozen=True, slots=True)
class EnvironmentLink:
    """Lets the pods of two environments reach each other, as seen from one of them: it has a name under both."""

    uid: str
    name: EnvironmentLinkName
    peer: EnvironmentName
    environment_uid: str
    peer_uid: str
    create_time: datetime

    @property
    def etag(self) -> str:
        return f"{self.uid[-8:]}-1"


def namespace_for(name: EnvironmentName, uid: str) -> str:
    """The Kubernetes namespace: `{project}-{environment}-{last 6 of uid}`, at most 63 characters.

    The last characters of the uid and not the first ones: a ULID begins with the time, so that environments made in the same
    hours share their first six.
    """
    return f"{name.project}-{name.environment}-{uid[-6:]}"
