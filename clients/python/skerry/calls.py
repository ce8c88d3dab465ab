"""One call to the server: metadata, deadline, repeats, and errors in the SDK's own words.

Everything in `skerry.services` goes through here, so that grpc is met in one place.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar, cast

from grpc import aio

from skerry import errors
from skerry.backoff import Backoff
from skerry.status import REQUEST_ID_KEY, to_error

Request = TypeVar("Request")
Response = TypeVar("Response")

MAX_ATTEMPTS = 6
"""With the backoff about 1.5 seconds on average: longer than a server that restarts is away from its port."""
HEARTBEAT_LOST = 60.0
"""Seconds without any message after which a watched stream counts as dead; heartbeats come every 20."""

# What an UNAVAILABLE may mean for a repeat to make sense: nobody answered, or the server said to try
# again. An agent that is away stays away longer than any repeat, and the caller wants to know now.
_PASSING = frozenset(
    {
        errors.ErrorReason.UNSPECIFIED,
        errors.ErrorReason.DRAINING,
        errors.ErrorReason.STORAGE_UNAVAILABLE,
    }
)


def new_request_id() -> str:
    """A UUID4, as `request_id` fields and the `x-request-id` metadata want it."""
    return str(uuid.uuid4())


async def unknown() -> None:
    """No diagnosis."""


def is_passing(error: errors.SkerryError) -> bool:
    """Whether the same call may well succeed a moment later."""
    return isinstance(error, errors.Unavailable) and error.reason in _PASSING


@dataclass(frozen=True, slots=True)
class Calls:
    """What every call to one server has in common."""

    server: str
    """`host:port`, for messages."""
    token: str | None
    client: str
    """Sent as `x-skerry-client`."""
    timeout: float
    """Seconds for a unary call, repeats included."""
    backoff: Backoff = field(default_factory=Backoff)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    """Waits that many seconds before a repeat."""
    request_ids: Callable[[], str] = new_request_id
    diagnose: Callable[[], Awaitable[str | None]] = unknown
    """Finds out why the server cannot be reached, in words; None when it cannot tell."""

    async def unary(
        self,
        method: aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        *,
        repeatable: bool = True,
        timeout: float | None = None,  # noqa: ASYNC109 -- a gRPC deadline, told to the server
    ) -> Response:
        """Call once, and again while the server is away for a moment.

        `repeatable` means that doing it twice does what doing it once does: reads, and mutations with
        a `request_id`. Raises SkerryError.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self.timeout if timeout is None else timeout)
        failures = 0
        while True:
            request_id = self.request_ids()
            try:
                return await method(
                    request,
                    timeout=max(deadline - loop.time(), 0),
                    metadata=self._metadata(request_id),
                )
            except aio.AioRpcError as failure:
                error = to_error(failure, server=self.server, request_id=request_id)
                failures += 1
                wait = max(self.backoff.delay(failures), error.detail.retry_after or 0)
                final = not repeatable or not is_passing(error) or failures >= MAX_ATTEMPTS
                if final or loop.time() + wait >= deadline:
                    raise await self._explained(error) from failure
            await self.sleep(wait)

    async def stream(
        self,
        method: aio.UnaryStreamMultiCallable[Request, Response],
        request: Request,
        *,
        silence: float | None = HEARTBEAT_LOST,
    ) -> AsyncGenerator[Response, None]:
        """The messages of a server stream. Raises SkerryError, and Unavailable when it falls silent.

        Close it (`contextlib.aclosing`) to end the call on the server, too.
        """
        request_id = self.request_ids()
        call = method(request, metadata=self._metadata(request_id))
        watchdog = Watchdog(call.cancel, silence)
        begun = False
        try:
            while True:
                watchdog.feed()
                message = await call.read()
                if message is aio.EOF:
                    return
                watchdog.pause()
                begun = True
                yield cast("Response", message)
        except aio.AioRpcError as failure:
            error = to_error(failure, server=self.server, request_id=request_id)
            raise (error if begun else await self._explained(error)) from failure
        except asyncio.CancelledError as cancelled:
            if not watchdog.bit:
                raise
            raise errors.Unavailable(
                f"{self.server} has been silent for {silence:.0f} s: the connection is lost"
            ) from cancelled
        finally:
            watchdog.stop()
            call.cancel()

    def bidirectional(
        self, method: aio.StreamStreamMultiCallable[Request, Response]
    ) -> tuple[aio.StreamStreamCall[Request, Response], str]:
        """An open bidirectional call and its request id."""
        request_id = self.request_ids()
        return method(metadata=self._metadata(request_id)), request_id

    async def translate(self, failure: aio.AioRpcError, request_id: str) -> errors.SkerryError:
        """The SDK's error for a failure met outside `unary` and `stream`."""
        return await self._explained(to_error(failure, server=self.server, request_id=request_id))

    async def _explained(self, error: errors.SkerryError) -> errors.SkerryError:
        """The error, with a better message where nobody answered and the reason can be found."""
        if not isinstance(error, errors.Unavailable) or error.detail.reason:
            return error
        message = await self.diagnose()
        return error if message is None else errors.Unavailable(message, error.detail)

    def _metadata(self, request_id: str) -> aio.Metadata:
        metadata = aio.Metadata((REQUEST_ID_KEY, request_id), ("x-skerry-client", self.client))
        if self.token:
            metadata.add("authorization", f"Bearer {self.token}")
        return metadata


class Watchdog:
    """Cancels a call that is silent too long.

    The call, not the pending read: cancelling a read of grpc.aio leaves the call unusable in ways
    that depend on timing (grpc/grpc#43360), while a cancelled call ends its reads in order. One timer
    for the whole stream looks at the clock now and then, so that a message costs an assignment.
    """

    def __init__(self, bite: Callable[[], object], patience: float | None) -> None:
        self.bit = False
        self._bite = bite
        self._patience = patience
        self._loop = asyncio.get_running_loop()
        self._waiting_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        if patience is not None:
            self._timer = self._loop.call_later(patience, self._look)

    def feed(self) -> None:
        """The next message is awaited from now on."""
        self._waiting_since = self._loop.time()

    def pause(self) -> None:
        """A message came: the consumer's own time does not count."""
        self._waiting_since = None

    def stop(self) -> None:
        """The stream has ended."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        patience = self._patience or 0.0
        now = self._loop.time()
        waited = 0.0 if self._waiting_since is None else now - self._waiting_since
        if waited >= patience:
            self.bit = True
            self._bite()
            return
        self._timer = self._loop.call_later(patience - waited, self._look)
