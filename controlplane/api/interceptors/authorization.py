"""Once a request is read: whether its caller may do that to the resource it names; and again, while a stream is open.

Of a stream of requests the first one names the resource, and is checked before the servicer sees it. Wired by `app.py`, which
also runs `Authorization.watch`.
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from google.protobuf.message import Message

from controlplane.api.interceptors.call import Call
from controlplane.api.interceptors.interrupts import Interrupt
from controlplane.auth.rules import Access
from controlplane.domain.clock import Clock
from controlplane.domain.errors import CredentialsInvalid, PermissionDenied, SkerryError
from controlplane.domain.tokens import Principal
from controlplane.services.authorization import Authorizer
from controlplane.services.changes import ChangeHub
from controlplane.store.changes import ACCESS

# A revocation is told by the bus at once; the end of a token's life by the clock, this often.
_CHECK_SECONDS = 0.5


class Authorization:
    """Applies the rule of a call to its request, and to its streams for as long as they are open."""

    def __init__(
        self,
        authorizer: Authorizer,
        *,
        again: Callable[[Principal], Awaitable[Principal]],
        hub: ChangeHub,
        clock: Clock,
    ) -> None:
        self._authorizer = authorizer
        self._again = again
        self._hub = hub
        self._clock = clock
        self._open: dict[Interrupt, Call] = {}

    async def check(self, call: Call, request: Message) -> None:
        """Sets `call.resource`. Raises NotFound, PermissionDenied or InvalidField."""
        rule = call.rule
        if rule is None:
            raise PermissionDenied(f"no rule admits anybody to {call.method}")
        if rule.access is Access.PERMISSION:
            call.field, call.resource = _named(request, rule.resource)
            await self._decide(call)

    @contextlib.contextmanager
    def watching(self, call: Call, interrupt: Interrupt) -> Iterator[None]:
        """Fires the interrupt when the caller loses what the call needs inside the block."""
        if call.principal is None:
            yield
            return
        self._open[interrupt] = call
        try:
            yield
        finally:
            del self._open[interrupt]

    async def watch(self) -> None:
        """Checks the open streams whenever somebody's access changed, and for tokens that have expired; runs for ever."""
        with self._hub.subscribe(ACCESS) as subscription:
            while True:
                changed = await subscription.wait(self._clock, _CHECK_SECONDS)
                now = self._clock.now()
                for interrupt, call in list(self._open.items()):
                    end = call.principal.expire_time if call.principal else None
                    if changed or (end is not None and end <= now):
                        await self._recheck(call, interrupt)

    async def _recheck(self, call: Call, interrupt: Interrupt) -> None:
        if call.principal is None:
            return
        try:
            call.principal = await self._again(call.principal)
            if call.resource is not None:
                await self._decide(call)
        except SkerryError as error:
            # A database that cannot be read is no answer, and ends the stream as well: deny unless allowed.
            interrupt.fire(error)

    async def _decide(self, call: Call) -> None:
        rule, principal = call.rule, call.principal
        if rule is None or rule.permission is None or principal is None:
            raise CredentialsInvalid("the caller is not known")
        call.place = await self._authorizer.check(
            principal,
            rule.permission,
            call.resource if rule.resource else None,
            field=call.field,
            protected=rule.protected,
            filtered=rule.filtered,
        )


def _named(request: Message, paths: tuple[str, ...]) -> tuple[str, str]:
    """The first of these fields that is set, and its value; the first path and nothing when none is."""
    for path in paths:
        value: Any = request
        for part in path.split("."):
            value = getattr(value, part)
        if value:
            return path, str(value)
    return (paths[0] if paths else "", "")
