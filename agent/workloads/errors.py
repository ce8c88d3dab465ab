"""Why a use case of this package ends without success. One tree, turned into an `Outcome` at one
place (`outcome_of`), which also knows what an API server's refusal means to the caller."""

from __future__ import annotations

from agent.kube.errors import (
    KubeError,
    PodSecurityError,
    QuotaExceededError,
)
from agent.workloads.model import DeployProgress, Outcome

# Canonical gRPC codes.
ABORTED = 10
FAILED_PRECONDITION = 9
RESOURCE_EXHAUSTED = 8
DEADLINE_EXCEEDED = 4
INVALID_ARGUMENT = 3
UNAVAILABLE = 14


class WorkloadError(Exception):
    """`code` is a canonical gRPC code, `reason` a name that programs switch on."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message


class OwnedElsewhereError(WorkloadError):
    """An object of a wanted name belongs to somebody else."""

    def __init__(self, message: str) -> None:
        super().__init__(FAILED_PRECONDITION, "OBJECT_OWNED_ELSEWHERE", message)


class RefusedError(WorkloadError):
    """The API server would not take an object; found in a dry run, before anything was applied."""


class RolloutFailedError(WorkloadError):
    """Pods of the new revision do not become ready; `reason` is the pod's reason."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(ABORTED, reason, message)


def outcome_of(error: WorkloadError | KubeError, progress: DeployProgress | None = None) -> Outcome:
    """What to tell the control plane."""
    if isinstance(error, WorkloadError):
        return Outcome(error.code, error.reason, error.message, progress)
    if isinstance(error, QuotaExceededError):
        return Outcome(RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", error.message, progress)
    if isinstance(error, PodSecurityError):
        return Outcome(FAILED_PRECONDITION, "PodSecurity", error.message, progress)
    code = UNAVAILABLE if error.retryable else FAILED_PRECONDITION
    return Outcome(code, "CLUSTER_API_ERROR", error.message, progress)
