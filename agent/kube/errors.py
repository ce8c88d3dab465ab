"""Everything that can go wrong when speaking to an API server, as one tree.

The HTTP library's exceptions are translated here once and never leave this package: callers decide
by class, people read the message. Values of Secrets never get into a message.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

_MESSAGE_LIMIT = 4_096
# Server-side apply answers 500 for an object that does not fit its schema.
_SCHEMA_PHRASES = ("failed to create typed patch object", "failed to convert new object")


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing wrong in a rejected object: `field` is a path such as `spec.replicas`."""

    field: str
    message: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FieldConflict:
    """A field that another field manager holds."""

    owner: str
    field: str


class KubeError(Exception):
    """Something went wrong between the agent and the API server."""

    retryable = False
    """Whether the same call may well succeed a little later."""

    def __init__(self, message: str, *, status: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason


class ConfigError(KubeError):
    """No usable kubeconfig and not in a cluster either."""


class UnreachableError(KubeError):
    """No answer: connection refused or cut, name not resolved, TLS refused, or timed out."""

    retryable = True


class ServerError(KubeError):
    """The API server answered 5xx: it is starting, overloaded or broken."""

    retryable = True


class ThrottledError(KubeError):
    """429: too many requests, or an eviction that a disruption budget forbids for now."""

    retryable = True


class ModifiedError(KubeError):
    """409 without field conflicts: somebody else wrote at the same moment."""

    retryable = True


class AlreadyExistsError(KubeError):
    """Create found an object of that name."""


class UnauthorizedError(KubeError):
    """The credentials are not accepted."""


class ForbiddenError(KubeError):
    """RBAC or an admission plugin refuses."""


class QuotaExceededError(ForbiddenError):
    """A ResourceQuota refuses; the message holds requested, used and limited."""


class PodSecurityError(ForbiddenError):
    """The namespace's pod security level refuses."""


class NamespaceTerminatingError(ForbiddenError):
    """Nothing can be made in a namespace that is being deleted."""

    retryable = True


class NotFoundError(KubeError):
    """The object, or the namespace it should be in, is not there."""


class NotServedError(KubeError):
    """The kind is not served: its CRD is missing or not established yet."""

    def __init__(self, api_version: str, kind: str) -> None:
        super().__init__(
            f"the cluster does not serve {kind} ({api_version}); "
            "install what defines it, or wait until it is ready",
            status=404,
            reason="NotServed",
        )
        self.api_version = api_version
        self.kind = kind


class ConflictError(KubeError):
    """Server-side apply found fields that another manager holds."""

    def __init__(self, about: str, conflicts: tuple[FieldConflict, ...]) -> None:
        self.conflicts = conflicts
        fields = "; ".join(f"{c.field} is managed by {c.owner}" for c in conflicts[:10])
        more = f" and {len(conflicts) - 10} more" if len(conflicts) > 10 else ""
        super().__init__(
            f"{about}: {fields}{more}. Stop {self.owner} from managing it, or apply with force",
            status=409,
            reason="Conflict",
        )

    @property
    def owner(self) -> str:
        """The managers that hold the fields, joined by `, `."""
        return ", ".join(dict.fromkeys(c.owner for c in self.conflicts))

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields in conflict."""
        return tuple(c.field for c in self.conflicts)


class InvalidError(KubeError):
    """The object is not acceptable: schema, validation, an immutable field or an unknown one."""

    def __init__(
        self, message: str, causes: tuple[Cause, ...] = (), *, status: int = 422, reason: str = ""
    ) -> None:
        super().__init__(message, status=status, reason=reason or "Invalid")
        self.causes = causes

    @property
    def immutable(self) -> bool:
        """Whether (only) a field that cannot be changed is the reason."""
        texts = [cause.message for cause in self.causes] or [self.message]
        return all("immutable" in text or "may not change once set" in text for text in texts)


class GoneError(KubeError):
    """410: the resource version of a watch is too old; list again."""


class ExecError(KubeError):
    """A command could not be run in a container."""


def from_response(
    status: int, body: bytes | str, about: str, *, hide_values: bool = False
) -> KubeError:
    """The error that an API server's answer means.

    `about` says what was tried, as `apply Deployment web in shop`. With `hide_values` (Secrets)
    values quoted by the server are blanked.
    """
    answer = _status_object(body)
    text = str(answer.get("message") or "") or f"the API server answered {status}"
    if hide_values:
        text = blank_values(text)
    text = text[:_MESSAGE_LIMIT]
    reason = str(answer.get("reason") or "")
    details = answer.get("details") or {}
    causes = tuple(_causes(details, hide_values=hide_values))
    message = f"{about}: {text}"

    if status == 409:
        return _conflict(about, message, reason, causes)
    if status == 403:
        return _forbidden(message, text, reason, causes)
    if status in (400, 415, 422):
        return InvalidError(message, causes, status=status, reason=reason)
    if status == 500 and any(phrase in text for phrase in _SCHEMA_PHRASES):
        return InvalidError(message, causes, status=status, reason="Invalid")
    if status == 401:
        return UnauthorizedError(
            f"{about}: the API server does not accept the agent's credentials",
            status=status,
            reason=reason,
        )
    kinds: dict[int, type[KubeError]] = {
        404: NotFoundError,
        410: GoneError,
        429: ThrottledError,
    }
    kind = kinds.get(status, ServerError if status >= 500 else KubeError)
    return kind(message, status=status, reason=reason)


def blank_values(text: str) -> str:
    """Take out what the API server quotes of an object's values: `Invalid value: "s3cret"`."""
    text = re.sub(
        r'((?:Invalid|Unsupported|Duplicate) value: )("(?:[^"\\]|\\.)*"|\S+)', r"\1<hidden>", text
    )
    return re.sub(r"(, got |cannot (?:restore|unmarshal|convert) ).*", r"\1<hidden>", text)


def _status_object(body: bytes | str) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
        return {"message": text.strip()[:_MESSAGE_LIMIT]}
    return answer if isinstance(answer, dict) else {}


def _causes(details: dict[str, Any], *, hide_values: bool) -> list[Cause]:
    found = []
    for cause in details.get("causes") or ():
        message = str(cause.get("message", ""))
        found.append(
            Cause(
                field=str(cause.get("field", "")),
                message=blank_values(message) if hide_values else message,
                reason=str(cause.get("reason", "")),
            )
        )
    return found


def _conflict(about: str, message: str, reason: str, causes: tuple[Cause, ...]) -> KubeError:
    fields = tuple(
        FieldConflict(owner=_manager(cause.message), field=cause.field)
        for cause in causes
        if cause.reason == "FieldManagerConflict"
    )
    if fields:
        return ConflictError(about, fields)
    if reason == "AlreadyExists":
        return AlreadyExistsError(message, status=409, reason=reason)
    return ModifiedError(message, status=409, reason=reason)


def _manager(message: str) -> str:
    """The manager's name in `conflict with "kubectl-edit" using apps/v1 at 2026-…`."""
    found = re.search(r'conflict with "((?:[^"\\]|\\.)*)"', message)
    return found.group(1) if found else message


def _forbidden(message: str, text: str, reason: str, causes: tuple[Cause, ...]) -> KubeError:
    kind: type[KubeError] = ForbiddenError
    if "exceeded quota" in text or "failed quota" in text:
        kind = QuotaExceededError
    elif "violates PodSecurity" in text:
        kind = PodSecurityError
    elif any(cause.reason == "NamespaceTerminating" for cause in causes):
        kind = NamespaceTerminatingError
    return kind(message, status=403, reason=reason)
