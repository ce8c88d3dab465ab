"""Operations: long-running work that can be watched and cancelled."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controlplane.domain.errors import StatusCode
from controlplane.domain.names import ClusterName, OperationName


class OperationKind(StrEnum):
    """What is done."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    DELETE_APP = "delete-app"
    ENSURE_ENVIRONMENT = "ensure-environment"
    DELETE_ENVIRONMENT = "delete-environment"
    LINK_ENVIRONMENTS = "link-environments"
    UNLINK_ENVIRONMENTS = "unlink-environments"


@dataclass(frozen=True, slots=True)
class OperationError:
    """Why an operation failed. `reason` is a name of ErrorReason, or a pod's reason."""

    code: StatusCode
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One piece of work. `target` is a resource name; `deployment` the full name of the one it drives, or empty."""

    uid: str
    target: str
    kind: OperationKind
    cluster_uid: str
    cluster: ClusterName
    done: bool
    error: OperationError | None
    message: str
    cancel_requested: bool
    deployment: str
    create_time: datetime
    update_time: datetime
    end_time: datetime | None

    @property
    def name(self) -> OperationName:
        return OperationName(self.uid)
