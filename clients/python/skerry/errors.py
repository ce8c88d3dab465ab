"""The errors of the SDK: one class a canonical gRPC code, one reason for programs to switch on.

Raised by everything in `skerry.client`; made from a failed call in `skerry.status`, once. grpc is
not imported here, so that catching errors costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from skerry.platform.v1 import deployment_pb2


class Code(IntEnum):
    """The canonical gRPC status codes."""

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


class ErrorReason(StrEnum):
    """`skerry.platform.v1.ErrorReason` without its prefix; the contract explains each."""

    UNSPECIFIED = "UNSPECIFIED"
    """The server did not say, or named a reason newer than this client: see `Detail.reason`."""
    CREDENTIALS_MISSING = "CREDENTIALS_MISSING"
    CREDENTIALS_INVALID = "CREDENTIALS_INVALID"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    INVALID_FIELD = "INVALID_FIELD"
    RESOURCE_NOT_FOUND = "RESOURCE_NOT_FOUND"
    RESOURCE_EXISTS = "RESOURCE_EXISTS"
    ETAG_MISMATCH = "ETAG_MISMATCH"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    PAGE_TOKEN_INVALID = "PAGE_TOKEN_INVALID"  # noqa: S105
    RESUME_TOKEN_EXPIRED = "RESUME_TOKEN_EXPIRED"  # noqa: S105
    AGENT_OFFLINE = "AGENT_OFFLINE"
    AGENT_NEVER_JOINED = "AGENT_NEVER_JOINED"
    AGENT_REVOKED = "AGENT_REVOKED"
    COMPOSE_REJECTED = "COMPOSE_REJECTED"
    DEPLOY_IN_PROGRESS = "DEPLOY_IN_PROGRESS"
    RESOURCE_IN_USE = "RESOURCE_IN_USE"
    JOIN_TOKEN_INVALID = "JOIN_TOKEN_INVALID"  # noqa: S105
    JOIN_TOKEN_EXPIRED = "JOIN_TOKEN_EXPIRED"  # noqa: S105
    JOIN_TOKEN_USED = "JOIN_TOKEN_USED"  # noqa: S105
    REQUEST_TOO_LARGE = "REQUEST_TOO_LARGE"
    STORAGE_UNAVAILABLE = "STORAGE_UNAVAILABLE"
    NO_RUNNING_POD = "NO_RUNNING_POD"
    CLUSTER_API_ERROR = "CLUSTER_API_ERROR"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    SLOW_CONSUMER = "SLOW_CONSUMER"
    DRAINING = "DRAINING"
    RATE_LIMITED = "RATE_LIMITED"
    TERMINAL_LIMIT_EXCEEDED = "TERMINAL_LIMIT_EXCEEDED"
    TERMINAL_GONE = "TERMINAL_GONE"
    INTERNAL = "INTERNAL"
    OBJECT_OWNED_ELSEWHERE = "OBJECT_OWNED_ELSEWHERE"
    CANCELLED = "CANCELLED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    ROLLOUT_FAILED = "ROLLOUT_FAILED"
    TOO_MANY_ATTEMPTS = "TOO_MANY_ATTEMPTS"
    LAST_OWNER = "LAST_OWNER"
    SECOND_FACTOR_REQUIRED = "SECOND_FACTOR_REQUIRED"
    SETUP_CODE_INVALID = "SETUP_CODE_INVALID"
    SECRET_UNAVAILABLE = "SECRET_UNAVAILABLE"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Detail:
    """What a failed call carried besides its code and message."""

    reason: str = ""
    """The reason as the server wrote it; empty when there was none."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Named facts about the error, for instance `cluster`."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Request field → what is wrong with it."""
    resource: str = ""
    """The resource concerned."""
    retry_after: float | None = None
    """Seconds after which the server thinks a repeat may succeed."""
    request_id: str = ""
    """Finds the call in the server's log."""


class SkerryError(Exception):
    """A call failed. The message is for people and may change; switch on the class or `reason`."""

    code: ClassVar[Code] = Code.UNKNOWN

    def __init__(self, message: str, detail: Detail | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail or Detail()

    @property
    def reason(self) -> ErrorReason:
        """Why, for programs."""
        try:
            return ErrorReason(self.detail.reason)
        except ValueError:
            return ErrorReason.UNSPECIFIED

    @property
    def metadata(self) -> Mapping[str, str]:
        """Named facts about the error."""
        return self.detail.metadata


class Cancelled(SkerryError):
    """The call or the work was cancelled."""

    code = Code.CANCELLED


class Unknown(SkerryError):
    """The server said nothing that can be understood."""


class InvalidArgument(SkerryError):
    """The request is wrong in itself; `detail.fields` says where."""

    code = Code.INVALID_ARGUMENT


class DeadlineExceeded(SkerryError):
    """No answer in time. The work may have been done all the same."""

    code = Code.DEADLINE_EXCEEDED


class NotFound(SkerryError):
    """The resource does not exist, or the caller may not know that it does."""

    code = Code.NOT_FOUND


class AlreadyExists(SkerryError):
    """A resource of that name exists."""

    code = Code.ALREADY_EXISTS


class PermissionDenied(SkerryError):
    """The caller is known but may not do this."""

    code = Code.PERMISSION_DENIED


class ResourceExhausted(SkerryError):
    """A quota or a size limit is reached."""

    code = Code.RESOURCE_EXHAUSTED


class FailedPrecondition(SkerryError):
    """The resource is not in a state in which this can be done."""

    code = Code.FAILED_PRECONDITION


class Aborted(SkerryError):
    """Somebody else changed the resource, or the work failed half-way."""

    code = Code.ABORTED


class OutOfRange(SkerryError):
    """The position asked for no longer exists."""

    code = Code.OUT_OF_RANGE


class Unimplemented(SkerryError):
    """The server is older than this client, or is no Skerry server."""

    code = Code.UNIMPLEMENTED


class Internal(SkerryError):
    """A bug in the server; `detail.request_id` finds it in the server's log."""

    code = Code.INTERNAL


class Unavailable(SkerryError):
    """The server, or the cluster's agent, cannot be reached now."""

    code = Code.UNAVAILABLE


class DataLoss(SkerryError):
    """Data is gone."""

    code = Code.DATA_LOSS


class Unauthenticated(SkerryError):
    """No token, or one that is not valid."""

    code = Code.UNAUTHENTICATED


class RolloutFailed(Aborted):
    """A deployment ended without becoming READY; the revision before keeps serving."""

    def __init__(self, message: str, deployment: deployment_pb2.Deployment) -> None:
        super().__init__(message, Detail(ErrorReason.ROLLOUT_FAILED))
        self.deployment = deployment


BY_CODE: Mapping[Code, type[SkerryError]] = {
    kind.code: kind
    for kind in (
        Cancelled, Unknown, InvalidArgument, DeadlineExceeded, NotFound, AlreadyExists,
        PermissionDenied, ResourceExhausted, FailedPrecondition, Aborted, OutOfRange, Unimplemented,
        Internal, Unavailable, DataLoss, Unauthenticated,
    )
}  # fmt: skip
