"""The error tree of the control plane.

One class for each `skerry.platform.v1.ErrorReason`. Services and the store raise these; `api` and `link` translate them at
the border, once, into a canonical gRPC code and `google.rpc` details. Messages are for people: what, where, why, way out.
They never carry secrets.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar


class StatusCode(IntEnum):
    """The canonical gRPC codes that errors map to, by number, so that nobody here needs grpc."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class SkerryError(Exception):
    """What a call failed with.

    `code` and `reason` come from the class; `message` is for people; `metadata` goes into `ErrorInfo.metadata`;
    `retry_after` (seconds), when set, goes into `RetryInfo`.
    """

    code: ClassVar[StatusCode] = StatusCode.INTERNAL
    reason: ClassVar[str] = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.metadata: dict[str, str] = dict(metadata or {})
        self.retry_after = retry_after


class CredentialsMissing(SkerryError):
    """No credentials came with the call."""

    code = StatusCode.UNAUTHENTICATED
    reason = "CREDENTIALS_MISSING"


class CredentialsInvalid(SkerryError):
    """The token or certificate is not known, was revoked or has expired."""

    code = StatusCode.UNAUTHENTICATED
    reason = "CREDENTIALS_INVALID"


class AgentRefused(CredentialsInvalid):
    """The agent's identity is not valid and will not become so: it was revoked, locked or replaced. For the link only."""


class PermissionDenied(SkerryError):
    """The caller is known but may not do this."""

    code = StatusCode.PERMISSION_DENIED
    reason = "PERMISSION_DENIED"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field that is wrong: its path in the request (`bundle.files[3].path`) and what is wrong with it."""

    field: str
    description: str


class InvalidField(SkerryError):
    """Fields of the request are missing or malformed; `violations` become BadRequest details."""

    code = StatusCode.INVALID_ARGUMENT
    reason = "INVALID_FIELD"

    def __init__(self, violations: Iterable[FieldViolation]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(f"{v.field}: {v.description}" for v in self.violations))

    @classmethod
    def of(cls, field: str, description: str) -> "InvalidField":
        """An error about a single field."""
        return cls([FieldViolation(field, description)])


class NotFound(SkerryError):
    """The resource does not exist; `resource_name` becomes ResourceInfo."""

    code = StatusCode.NOT_FOUND
    reason = "RESOURCE_NOT_FOUND"

    def __init__(self, resource_name: str, message: str | None = None) -> None:
        self.resource_name = resource_name
        super().__init__(
            message or f"{resource_name} does not exist", metadata={"resource": resource_name}
        )


class AlreadyExists(SkerryError):
    """A resource of that name exists already; `resource_name` becomes ResourceInfo."""

    code = StatusCode.ALREADY_EXISTS
    reason = "RESOURCE_EXISTS"

    def __init__(self, resource_name: str, message: str | None = None) -> None:
        self.resource_name = resource_name
        super().__init__(
            message or f"{resource_name} exists already", metadata={"resource": resource_name}
        )


class EtagMismatch(SkerryError):
    """The resource was changed by somebody else meanwhile."""

    code = StatusCode.ABORTED
    reason = "ETAG_MISMATCH"


class RequestIdReused(SkerryError):
    """The request_id was used before with another request."""

    code = StatusCode.INVALID_ARGUMENT
    reason = "REQUEST_ID_REUSED"


class PageTokenInvalid(SkerryError):
    """The page token is not one that this list gave."""

    code = StatusCode.INVALID_ARGUMENT
    reason = "PAGE_TOKEN_INVALID"


class ResumeTokenExpired(SkerryError):
    """The watch cannot continue from there: start it again without a token."""

    code = StatusCode.OUT_OF_RANGE
    reason = "RESUME_TOKEN_EXPIRED"


class AgentOffline(SkerryError):
    """The cluster's agent is not connected, or its connection was cut during the call."""

    code = StatusCode.UNAVAILABLE
    reason = "AGENT_OFFLINE"


class AgentNeverJoined(SkerryError):
    """No agent ever enrolled for the cluster."""

    code = StatusCode.FAILED_PRECONDITION
    reason = "AGENT_NEVER_JOINED"


class AgentRevoked(SkerryError):
    """The identity of the cluster's agent was revoked."""

    code = StatusCode.FAILED_PRECONDITION
    reason = "AGENT_REVOKED"


class ComposeRejected(SkerryError):
    """The converter refused the compose project."""

    code = StatusCode.FAILED_PRECONDITION
    reason = "COMPOSE_REJECTED"


class DeployInProgress(SkerryError):
    """Another deploy of the same app is under way and cannot be superseded."""

    code = StatusCode.FAILED_PRECONDITION
    reason = "DEPLOY_IN_PROGRESS"


class ResourceInUse(SkerryError):
    """The resource still holds others, or is being deleted."""

    code = StatusCode.FAILED_PRECONDITION
    reason = "RESOURCE_IN_USE"


class JoinTokenInvalid(SkerryError):
    """The join token is unknown."""

    code = StatusCode.UNAUTHENTICATED
    reason = "JOIN_TOKEN_INVALID"


class JoinTokenExpired(SkerryError):
    """The join token has expired."""

    code = StatusCode.UNAUTHENTICATED
    reason = "JOIN_TOKEN_EXPIRED"


class JoinTokenUsed(SkerryError):
    """The join token was used before."""

    code = StatusCode.UNAUTHENTICATED
    reason = "JOIN_TOKEN_USED"


class RequestTooLarge(SkerryError):
    """The request is larger than this server takes."""

    code = StatusCode.RESOURCE_EXHAUSTED
    reason = "REQUEST_TOO_LARGE"


class StorageUnavailable(SkerryError):
    """The database cannot be read or written: disk full, read-only, locked or damaged."""

    code = StatusCode.UNAVAILABLE
    reason = "STORAGE_UNAVAILABLE"


class NoRunningPod(SkerryError):
    """No pod of that service is running."""

    code = StatusCode.FAILED_PRECONDITION
    reason = "NO_RUNNING_POD"


class ClusterApiError(SkerryError):
    """The cluster's API server refused or could not be reached."""

    code = StatusCode.UNAVAILABLE
    reason = "CLUSTER_API_ERROR"


class QuotaExceeded(SkerryError):
    """A quota would be exceeded."""

    code = StatusCode.RESOURCE_EXHAUSTED
    reason = "QUOTA_EXCEEDED"


class SlowConsumer(SkerryError):
    """The reader did not keep up and was cut off."""

    code = StatusCode.RESOURCE_EXHAUSTED
    reason = "SLOW_CONSUMER"


class RateLimited(SkerryError):
    """The caller, or their address, calls too often."""

    code = StatusCode.RESOURCE_EXHAUSTED
    reason = "RATE_LIMITED"


class Draining(SkerryError):
    """The server is shutting down; call again."""

    code = StatusCode.UNAVAILABLE
    reason = "DRAINING"


class TerminalGone(SkerryError):
    """The terminal session is not known, has ended, or belongs to somebody else."""

    code = StatusCode.NOT_FOUND
    reason = "TERMINAL_GONE"


class TerminalLimitExceeded(SkerryError):
    """As many terminals are open as the caller, or a cluster, may have."""

    code = StatusCode.RESOURCE_EXHAUSTED
    reason = "TERMINAL_LIMIT_EXCEEDED"


class Internal(SkerryError):
    """A defect; the message given to callers holds no details."""

    code = StatusCode.INTERNAL
    reason = "INTERNAL"


class ObjectOwnedElsewhere(SkerryError):
    """The object already belongs to somebody else in the cluster."""

    code = StatusCode.FAILED_PRECONDITION
    reason = "OBJECT_OWNED_ELSEWHERE"


class Cancelled(SkerryError):
    """The work was cancelled by a caller."""

    code = StatusCode.CANCELLED
    reason = "CANCELLED"


class DeadlineExceeded(SkerryError):
    """The work did not end within its time."""

    code = StatusCode.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"


class RolloutFailed(SkerryError):
    """Pods of the new revision did not become ready."""

    code = StatusCode.ABORTED
    reason = "ROLLOUT_FAILED"


class TooManyAttempts(SkerryError):
    """Too many wrong passwords or codes came for an account or from an address."""

    code = StatusCode.RESOURCE_EXHAUSTED
    reason = "TOO_MANY_ATTEMPTS"


class LastOwner(SkerryError):
    """Nobody would be left who owns it."""

    code = StatusCode.FAILED_PRECONDITION
    reason = "LAST_OWNER"


class SetupCodeInvalid(SkerryError):
    """The code of a setup link is unknown, was used or has expired."""

    code = StatusCode.UNAUTHENTICATED
    reason = "SETUP_CODE_INVALID"


class SecretUnavailable(SkerryError):
    """A variable's value cannot be decrypted, so nothing is done with it."""

    code = StatusCode.FAILED_PRECONDITION
    reason = "SECRET_UNAVAILABLE"


class SecondFactorRequired(SkerryError):
    """The password is right, and a code is needed beside it."""

    code = StatusCode.UNAUTHENTICATED
    reason = "SECOND_FACTOR_REQUIRED"


class RemoteError(SkerryError):
    """What the agent ended a stream with, when the reason is none of the above or carries another code.

    `code` and `reason` are per instance here, because they are the agent's words.
    """

    def __init__(self, code: StatusCode, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code  # type: ignore[misc]  # the one class whose instances differ
        self.reason = reason  # type: ignore[misc]


_BY_REASON: dict[str, type[SkerryError]] = {
    error.reason: error
    for error in (
        CredentialsMissing,
        CredentialsInvalid,
        PermissionDenied,
        EtagMismatch,
        RequestIdReused,
        PageTokenInvalid,
        ResumeTokenExpired,
        AgentOffline,
        AgentNeverJoined,
        AgentRevoked,
        ComposeRejected,
        DeployInProgress,
        ResourceInUse,
        JoinTokenInvalid,
        JoinTokenExpired,
        JoinTokenUsed,
        RequestTooLarge,
        StorageUnavailable,
        NoRunningPod,
        ClusterApiError,
        QuotaExceeded,
        SlowConsumer,
        Draining,
        TerminalGone,
        TerminalLimitExceeded,
        Internal,
        ObjectOwnedElsewhere,
        Cancelled,
        DeadlineExceeded,
        RolloutFailed,
        TooManyAttempts,
        RateLimited,
        LastOwner,
        SetupCodeInvalid,
        SecondFactorRequired,
        SecretUnavailable,
    )
}

# Every reason of the contract, so that a border can tell a known one from a pod's reason.
REASONS = frozenset(_BY_REASON) | {NotFound.reason, AlreadyExists.reason, InvalidField.reason}


def error_from_status(code: int, reason: str, message: str) -> SkerryError:
    """The error for a status that came from an agent (`agent.v1.Status`: Reset, CommandResult).

    A reason of the tree gives its class; anything else (a pod's reason, a code that differs from the class's) gives a
    RemoteError that keeps the agent's words.
    """
    try:
        status = StatusCode(code)
    except ValueError:
        status = StatusCode.UNKNOWN
    known = _BY_REASON.get(reason)
    if known is not None and known.code is status:
        return known(message)
    return RemoteError(status, reason, message)
