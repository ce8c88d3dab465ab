"""Deployments: one rollout of one revision, and the phases it may go through."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controlplane.domain.names import DeploymentName, OperationName
from controlplane.domain.workloads import Diagnostic, ServiceStatus


class DeploymentPhase(StrEnum):
    """How far a rollout is; names of `platform.v1.DeploymentPhase` without the prefix."""

    QUEUED = "QUEUED"
    PLANNING = "PLANNING"
    APPLYING = "APPLYING"
    ROLLING_OUT = "ROLLING_OUT"
    PRUNING = "PRUNING"
    READY = "READY"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    SUPERSEDED = "SUPERSEDED"

    @property
    def ended(self) -> bool:
        return self in ENDED


ENDED = frozenset(
    {
        DeploymentPhase.READY,
        DeploymentPhase.FAILED,
        DeploymentPhase.CANCELLED,
        DeploymentPhase.SUPERSEDED,
    }
)
_RUNNING = frozenset(
    {
        DeploymentPhase.PLANNING,
        DeploymentPhase.APPLYING,
        DeploymentPhase.ROLLING_OUT,
        DeploymentPhase.PRUNING,
    }
)
# Running phases may follow each other in any order: progress is latest-wins, so phases are skipped, and an agent that was
# restarted half-way begins again at PLANNING. Nothing leaves an end, and nothing goes back to QUEUED.
TRANSITIONS: dict[DeploymentPhase, frozenset[DeploymentPhase]] = {
    DeploymentPhase.QUEUED: _RUNNING | ENDED,
    **dict.fromkeys(_RUNNING, _RUNNING | ENDED),
    **dict.fromkeys(ENDED, frozenset[DeploymentPhase]()),
}


class IllegalTransition(ValueError):
    """A deployment was asked to go where TRANSITIONS does not lead: a defect of the caller."""


def check_transition(old: DeploymentPhase, new: DeploymentPhase) -> None:
    """Raise IllegalTransition unless `new` may follow `old`; staying in a phase that has not ended is no transition."""
    if new is old and not old.ended:
        return
    if new not in TRANSITIONS[old]:
        raise IllegalTransition(f"a deployment cannot go from {old} to {new}")


@dataclass(frozen=True, slots=True)
class Deployment:
    """One rollout. `reason` is for programs (a name of ErrorReason or of a pod's reason), `message` for people."""

    uid: str
    name: DeploymentName
    app_uid: str
    revision: int
    phase: DeploymentPhase
    message: str
    reason: str
    services: tuple[ServiceStatus, ...]
    diagnostics: tuple[Diagnostic, ...]
    objects_applied: int
    objects_total: int
    operation: OperationName
    create_time: datetime
    update_time: datetime
    end_time: datetime | None
