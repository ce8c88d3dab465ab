"""One call, as the interceptors see it."""

import contextvars
import dataclasses
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal

import grpc

from controlplane.auth.rules import Rule
from controlplane.domain.access import Permission
from controlplane.domain.audit import AuditAction
from controlplane.domain.tokens import Principal

Context = grpc.aio.ServicerContext[Any, Any]
Kind = Literal["unary", "server_stream", "client_stream", "bidi_stream"]


@dataclasses.dataclass(slots=True)
class Call:
    """What is known about a call; `principal`, `code` and `reason` are filled in on the way.

    `rule` is what its method asks for; `resource` is the resource that the request names, once it is read (empty: the whole
    platform), `field` where it does, and `place` where that lies; `action` is what it will be in the audit log. `code` and `reason` say how the call ended, for the log and the metrics.
    """

    method: str
    kind: Kind
    metadata: Mapping[str, str]
    request_id: str
    rule: Rule | None = None
    principal: Principal | None = None
    resource: str | None = None
    field: str = ""
    place: str = ""
    address: str = ""
    action: AuditAction | None = None
    code: grpc.StatusCode = grpc.StatusCode.OK
    reason: str = ""

    @property
    def service(self) -> str:
        """`skerry.platform.v1.AppService`."""
        return self.method.strip("/").partition("/")[0]

    @property
    def permission(self) -> Permission:
        """What the method's rule asks for; lists without one show what may be read."""
        return (self.rule and self.rule.permission) or Permission.RESOURCES_READ

    @property
    def rpc(self) -> str:
        """`GetApp`."""
        return self.method.strip("/").partition("/")[2]


def address_of(peer: str) -> str:
    """The address of gRPC's `ipv4:192.0.2.7:4711`, without the port."""
    kind, _, rest = peer.partition(":")
    return rest.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else rest


# A stage wraps the rest of the call: it is entered before the servicer and left, with its exception if any, after it.
Stage = Callable[[Call, Context], AbstractAsyncContextManager[None]]

_current: contextvars.ContextVar[Call] = contextvars.ContextVar("skerry_call")


def enter(call: Call) -> None:
    """Makes `call` the current one of this task. grpc.aio runs each call in a task of its own, so nothing is to be undone."""
    _current.set(call)


def action() -> AuditAction | None:
    """What the call that this task serves will be in the audit log; None outside of calls, and for calls that are not audited."""
    call = _current.get(None)
    return None if call is None else call.action


def current() -> Call:
    """The call that this task serves; for servicers, which get no other handle on it."""
    return _current.get()
