"""Domain errors as `google.rpc.Status`. Used by the error interceptor only: servicers just raise."""

import asyncio

from google.protobuf import duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from controlplane.domain.errors import (
    AlreadyExists,
    DeadlineExceeded,
    Internal,
    InvalidField,
    NotFound,
    QuotaExceeded,
    SkerryError,
    StatusCode,
)

DOMAIN = "skerry.dev"
# A status travels in HTTP/2 trailers, of which gRPC itself takes 8 KiB in all (grpc.max_metadata_size); the message is in them twice,
# once percent-encoded and once, with the details, in base 64. All in bytes of UTF-8.
MAX_MESSAGE = 900
MAX_VIOLATIONS = 8
MAX_FIELD = 80
MAX_DESCRIPTION = 160
MAX_METADATA = 6
_RETRY_SECONDS = 1.0


def from_exception(error: Exception) -> SkerryError:
    """The domain error to answer with. What nobody foresaw becomes Internal, without a word about what it was."""
    if isinstance(error, SkerryError):
        return error
    if isinstance(error, asyncio.TimeoutError):
        return DeadlineExceeded("the work did not end within its time")
    return Internal("something went wrong inside the server")


def to_status(error: SkerryError, *, request_id: str) -> status_pb2.Status:
    """The canonical code, a message for people, and details for programs: ErrorInfo and RequestInfo always."""
    message = error.message
    if error.reason == Internal.reason:
        message = f"{message}; request id {request_id} finds it in the server's log"
    status = status_pb2.Status(code=int(error.code), message=clip(message, MAX_MESSAGE))
    for detail in _details(error, request_id):
        status.details.add().Pack(detail)
    return status


def clip(text: str, most: int) -> str:
    """The text, cut where it is longer than that many bytes of UTF-8."""
    encoded = text.encode("utf-8", errors="replace")
    if len(encoded) <= most:
        return text
    return encoded[: most - 3].decode("utf-8", errors="ignore") + "…"


def _details(error: SkerryError, request_id: str) -> list[Message]:
    metadata = {
        clip(key, MAX_FIELD): clip(value, MAX_DESCRIPTION)
        for key, value in tuple(error.metadata.items())[:MAX_METADATA]
    }
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata),
        error_details_pb2.RequestInfo(request_id=request_id),
    ]
    if isinstance(error, InvalidField):
        details.append(
            error_details_pb2.BadRequest(
                field_violations=[
                    error_details_pb2.BadRequest.FieldViolation(
                        field=clip(violation.field, MAX_FIELD),
                        description=clip(violation.description, MAX_DESCRIPTION),
                    )
                    for violation in error.violations[:MAX_VIOLATIONS]
                ]
            )
        )
    if isinstance(error, NotFound | AlreadyExists):
        kind, name = resource_of(error.resource_name)
        details.append(error_details_pb2.ResourceInfo(resource_type=kind, resource_name=name))
    if isinstance(error, QuotaExceeded):
        details.append(
            error_details_pb2.QuotaFailure(
                violations=[
                    error_details_pb2.QuotaFailure.Violation(
                        subject=metadata.get("resource", ""),
                        description=clip(error.message, MAX_DESCRIPTION),
                    )
                ]
            )
        )
    if error.retry_after is not None or error.code is StatusCode.UNAVAILABLE:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(int((error.retry_after or _RETRY_SECONDS) * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return details


_TYPES = {
    "organizations": "Organization",
    "projects": "Project",
    "environments": "Environment",
    "apps": "App",
    "revisions": "Revision",
    "deployments": "Deployment",
    "clusters": "Cluster",
    "addOns": "AddOn",
    "operations": "Operation",
    "terminals": "Terminal",
    "users": "User",
    "groups": "Group",
    "roles": "Role",
    "serviceAccounts": "ServiceAccount",
    "tokens": "Token",
}


def resource_of(name: str) -> tuple[str, str]:
    """The type and the name for ResourceInfo: `skerry.dev/App` and `organizations/…/apps/web`."""
    segments = name.split("/")
    collection = segments[-2] if len(segments) > 1 else ""
    return f"{DOMAIN}/{_TYPES.get(collection, 'Resource')}", clip(name, 512)
