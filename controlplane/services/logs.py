"""Logs: follow an app's pods over cuts of the link. Called by `api/logs`."""

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from datetime import datetime

import structlog

from controlplane.domain.clock import Clock
from controlplane.domain.errors import AgentOffline, Draining, InvalidField, SkerryError
from controlplane.domain.logs import LogEvent, LogEventKind, LogsRequest, TailRequest
from controlplane.services.log_cursors import LogCursors
from controlplane.services.ports import Agents, LogStream
from controlplane.services.presence import Presence
from controlplane.services.targets import Target, offline, target_of
from controlplane.services.watching import HEARTBEAT_SECONDS
from controlplane.store.database import Store

_log = structlog.get_logger(__name__)

# How long a cut is bridged; the contract says a minute.
BRIDGE_SECONDS = 60.0
# Between tries while the link is up but refuses the stream.
_RETRY_SECONDS = 0.5
_SERVICES_MAX = 100
_TAIL_MAX = 10_000_000


class LogService:
    """Tails logs."""

    def __init__(self, *, store: Store, clock: Clock, presence: Presence, agents: Agents) -> None:
        self._store = store
        self._clock = clock
        self._presence = presence
        self._agents = agents

    async def tail_logs(self, request: TailRequest) -> AsyncIterator[LogEvent | None]:
        """Events in order; None is a heartbeat, at least every 20 s.

        A cut of up to 60 s is bridged with no line lost or doubled; what cannot be had is said in a GAP event.
        Close the iterator (`aclose`) to stop the stream on the agent.
        Raises InvalidField, NotFound, AgentNeverJoined, AgentOffline (away at the start, or for more than 60 s).
        """
        _check(request)
        target = await target_of(request.app, store=self._store, presence=self._presence)
        if not self._agents.is_connected(target.cluster_uid):
            raise offline(target.cluster)
        tail = _Tail(request, target, opened=self._clock.now())
        stream = await self._agents.open_logs(target.cluster_uid, tail.next_request())
        while True:
            cut = None
            try:
                async with aclosing(self._events(stream)) as events:
                    async for event in events:
                        if event is not None:
                            tail.delivered(event)
                        yield event
            except (AgentOffline, Draining) as error:
                cut = error
            finally:
                await _close(stream)
            if cut is None:
                return
            _log.info("log_stream_cut", app=str(request.app), error=cut.message)
            opened = None
            async for opened in self._reopened(target, tail):
                if opened is None:
                    yield None
            if opened is None:
                raise offline(target.cluster) from cut
            stream = opened

    async def _events(self, stream: LogStream) -> AsyncGenerator[LogEvent | None, None]:
        """The stream's events with heartbeats between them."""
        receiving: asyncio.Task[LogEvent | None] | None = None
        beat = asyncio.create_task(self._clock.sleep(HEARTBEAT_SECONDS), name="log-heartbeat")
        try:
            while True:
                if receiving is None:
                    receiving = asyncio.create_task(stream.receive(), name="log-receive")
                await asyncio.wait({receiving, beat}, return_when=asyncio.FIRST_COMPLETED)
                if receiving.done():
                    event = receiving.result()
                    receiving = None
                    if event is None:
                        return
                    yield event
                if beat.done():
                    beat = asyncio.create_task(
                        self._clock.sleep(HEARTBEAT_SECONDS), name="log-heartbeat"
                    )
                    yield None
        finally:
            tasks = [task for task in (receiving, beat) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _reopened(self, target: Target, tail: "_Tail") -> AsyncIterator[LogStream | None]:
        """Heartbeats while the agent is away, then the stream; ends with a heartbeat as its last when it stays away."""
        end = self._clock.monotonic() + BRIDGE_SECONDS
        while (left := end - self._clock.monotonic()) > 0:
            if await self._presence.arrives(target.cluster_uid, min(left, HEARTBEAT_SECONDS)):
                try:
                    yield await self._agents.open_logs(target.cluster_uid, tail.next_request())
                except (AgentOffline, Draining):
                    await self._clock.sleep(_RETRY_SECONDS)
                else:
                    return
            else:
                yield None
        yield None


class _Tail:
    """What was asked for and how far it was delivered."""

    def __init__(self, request: TailRequest, target: Target, opened: datetime) -> None:
        self._first = LogsRequest(
            namespace=target.namespace,
            app=request.app.app,
            services=request.services,
            follow=request.follow,
            since_time=request.since_time,
            tail_lines=request.tail_lines,
            previous=request.previous,
        )
        self._opened = opened
        self._cursors = LogCursors()
        self._anything = False

    def delivered(self, event: LogEvent) -> None:
        """The caller has this."""
        self._anything = True
        if event.kind is LogEventKind.LINES:
            self._cursors.advance(event)

    def next_request(self) -> LogsRequest:
        """What to ask for now.

        Containers of which a line was delivered go on behind it. One that had printed nothing yet has nothing old to leave out
        either, so the whole of its log is new: the number of last lines asked for no longer applies, it would lose some.
        """
        if not self._anything:
            return self._first
        since = self._first.since_time
        if self._first.tail_lines == 0 and since is None:
            since = self._opened
        return dataclasses.replace(
            self._first, since_time=since, tail_lines=None, cursors=self._cursors.all()
        )


def _check(request: TailRequest) -> None:
    if request.tail_lines is not None and not 0 <= request.tail_lines <= _TAIL_MAX:
        raise InvalidField.of("tail_lines", f"must be from 0 to {_TAIL_MAX}")
    if len(request.services) > _SERVICES_MAX:
        raise InvalidField.of("services", f"has more than {_SERVICES_MAX} names")


async def _close(stream: LogStream) -> None:
    # It may have been cut: there is nothing to stop then.
    with suppress(SkerryError):
        await stream.close()
