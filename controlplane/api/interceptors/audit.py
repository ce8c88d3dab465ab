"""The stage that keeps the audit log: what an audited call does, and every refusal. Wired by `app.py`.

The entry of a change is written by the store in the change's own transaction, from `call.action`. What remains is written here:
calls that failed or were refused, and streams, which get an entry when they begin and one when they end.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from typing import Any

import structlog
from google.protobuf.message import Message

from controlplane.api import errors
from controlplane.api.interceptors import call as calls
from controlplane.api.interceptors.call import Call, Context
from controlplane.auth.rules import Access
from controlplane.domain.audit import OK, STARTED, AuditAction
from controlplane.domain.clock import Clock
from controlplane.domain.errors import SkerryError, StatusCode, StorageUnavailable
from controlplane.services.audit import AuditService

_log = structlog.get_logger(__name__)

# The fields that may stand in the log. A list of what is allowed and not of what is secret: a new field stays out until it is put here.
_DETAILS = frozenset(
    {
        *("app_id", "cluster_id", "environment_id", "group_id", "organization_id", "project_id"),
        *("role_id", "service_account_id", "user_id", "user", "subject", "role", "cluster"),
        *("display_name", "revision", "delete_volumes", "force", "protected", "peer", "scope"),
        *("service", "pod", "name", "issuer"),
    }
)
_VALUE_MAX = 200
_REFUSALS = frozenset(
    {
        StatusCode.PERMISSION_DENIED,
        StatusCode.UNAUTHENTICATED,
        StatusCode.NOT_FOUND,
    }
)
# Refusals of callers who are not known: so many a minute from one address are kept, or anybody could fill the disk.
_STRANGERS_A_MINUTE = 30
_ADDRESSES_MAX = 10_000


class Audit:
    """Keeps the log."""

    def __init__(self, trail: AuditService, clock: Clock) -> None:
        self._trail = trail
        self._clock = clock
        self._strangers: OrderedDict[str, tuple[float, int]] = OrderedDict()

    async def begin(self, call: Call, request: Message) -> None:
        """Once the caller is authorised: what the call will be in the log. A stream gets its first entry, or is not served.

        Raises StorageUnavailable.
        """
        rule = call.rule
        if rule is None or not rule.audited:
            return
        call.action = self._action(call, details_of(request))
        if call.kind != "unary":
            await self._trail.record(call.action, STARTED)

    @contextlib.asynccontextmanager
    async def __call__(self, call: Call, context: Context) -> AsyncIterator[None]:
        call.address = calls.address_of(str(context.peer()))
        try:
            yield
        except asyncio.CancelledError:
            # The client hung up. This task may still wait: it was cancelled once.
            if call.action is not None and not call.action.recorded:
                await self._keep(call.action, "CANCELLED", "")
            raise
        except Exception as error:
            await self._failed(call, errors.from_exception(error))
            raise
        else:
            if call.action is not None and not call.action.recorded:
                await self._keep(call.action, OK, "")

    async def _failed(self, call: Call, error: SkerryError) -> None:
        action = call.action
        if action is None:
            known = call.rule is None or call.rule.access is not Access.PROOF_IN_REQUEST
            if not known or error.code not in _REFUSALS or not self._is_refusal(call, error):
                return
            if call.principal is None and self._is_too_much(call.address):
                return
            action = self._action(call, {})
        await self._keep(action, error.code.name, error.reason)

    @staticmethod
    def _is_refusal(call: Call, error: SkerryError) -> bool:
        # A plain miss by somebody who sees everything is no refusal.
        if error.code is not StatusCode.NOT_FOUND:
            return True
        return call.principal is not None and not call.principal.grants.visible().everything

    async def _keep(self, action: AuditAction, result: str, reason: str) -> None:
        try:
            await self._trail.record(action, result, reason)
        except StorageUnavailable as error:
            # Nothing was changed by this call, or its change has its entry. The server's own log has the call, too.
            _log.error("audit_entry_not_kept", method=action.method, error=error.message)

    def _action(self, call: Call, details: Mapping[str, str]) -> AuditAction:
        principal = call.principal
        return AuditAction(
            method=call.method.strip("/"),
            address=call.address,
            call_id=call.request_id,
            actor=principal.name if principal else "",
            token=f"{principal.name}/tokens/{principal.credential}" if principal else "",
            resource=(call.place or call.resource or "")[:512],
            details=details,
        )

    def _is_too_much(self, address: str) -> bool:
        now = self._clock.monotonic()
        since, count = self._strangers.pop(address, (now, 0))
        if now - since >= 60:
            since, count = now, 0
        self._strangers[address] = (since, count + 1)
        if len(self._strangers) > _ADDRESSES_MAX:
            self._strangers.popitem(last=False)
        return count >= _STRANGERS_A_MINUTE


def details_of(request: Message) -> dict[str, str]:
    """What of a request may stand in the log; one level of nesting deep, of a command only the program, of variables only the names."""
    found: dict[str, str] = {}
    if keys := _keys(request):
        found["keys"] = ", ".join(keys)[:_VALUE_MAX]
    for descriptor, value in request.ListFields():
        if descriptor.message_type is not None and not descriptor.is_repeated:
            found.update({k: v for k, v in _scalars(value).items() if k not in found})
    return {**found, **_scalars(request)}


def _scalars(message: Any) -> dict[str, str]:
    found = {
        descriptor.name: str(value)[:_VALUE_MAX]
        for descriptor, value in message.ListFields()
        if descriptor.name in _DETAILS
        and not descriptor.is_repeated
        and descriptor.message_type is None
    }
    if message.DESCRIPTOR.name == "ExecStart" and message.command:
        found["program"] = message.command[0].rpartition("/")[2][:_VALUE_MAX]
    return found


def _keys(request: Any) -> list[str]:
    """The names of the variables that a request sets or deletes."""
    keys: list[str] = []
    for descriptor, value in request.ListFields():
        if descriptor.is_repeated and descriptor.name == "keys":
            keys += [str(key) for key in value]
        elif (
            descriptor.message_type is not None and descriptor.message_type.name == "VariableValue"
        ):
            keys += [str(item.key) for item in value]
    return keys
