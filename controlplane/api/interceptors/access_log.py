"""First stage: the request id, and one log line a call. Wired by `app.py`."""

import contextlib
import re
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import grpc
import structlog

from controlplane.api.interceptors.call import Call, Context, Kind
from controlplane.domain.clock import Clock

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_MAX_CLIENT = 64
# Probes come every few seconds and say nothing.
_QUIET = frozenset({"grpc.health.v1.Health"})

log = structlog.get_logger(__name__)


def identify(method: str, kind: Kind, details: Any) -> Call:
    """The call, with the client's `x-request-id` where it sent a fit one, else a new one."""
    metadata = text_metadata(details.invocation_metadata)
    given = metadata.get("x-request-id", "")
    request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
    return Call(method=method, kind=kind, metadata=metadata, request_id=request_id)


def text_metadata(pairs: Any) -> Mapping[str, str]:
    """The metadata without binary values; of a key given twice the last value."""
    return {key: value for key, value in pairs or () if isinstance(value, str)}


class AccessLog:
    """Binds the request id to everything logged meanwhile, returns it to the client, and logs how the call ended."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @contextlib.asynccontextmanager
    async def __call__(self, call: Call, context: Context) -> AsyncIterator[None]:
        started = self._clock.monotonic()
        context.set_trailing_metadata((("x-request-id", call.request_id),))
        with structlog.contextvars.bound_contextvars(request_id=call.request_id):
            try:
                yield
            finally:
                known = {
                    "reason": call.reason,
                    "principal": call.principal.name if call.principal else "",
                    "client": call.metadata.get("x-skerry-client", "")[:_MAX_CLIENT],
                }
                self._level(call)(
                    "rpc",
                    method=call.method,
                    code=call.code.name,
                    **{name: value for name, value in known.items() if value},
                    peer=context.peer(),
                    seconds=round(self._clock.monotonic() - started, 6),
                )

    @staticmethod
    def _level(call: Call) -> Callable[..., Any]:
        if call.code in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN):
            return log.error  # type: ignore[no-any-return]
        quiet = call.service in _QUIET and call.code is grpc.StatusCode.OK
        return log.debug if quiet else log.info  # type: ignore[no-any-return]
