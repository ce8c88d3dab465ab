"""What containers print: `Client.logs`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime

from grpc import aio

from skerry import errors, watching
from skerry.calls import HEARTBEAT_LOST, Calls, is_passing
from skerry.log_resume import LogResume
from skerry.platform.v1 import log_pb2, log_pb2_grpc

LogEvent = log_pb2.LogChunk | log_pb2.LogGap | log_pb2.LogSource
"""Lines, lines that are lost, or a container that is read from now on or no longer."""

PATIENCE = 300.0
"""Seconds of failures in a row after which a follow gives up."""
SETTLED = 10.0
"""Seconds after which a stream has surely sent the old lines of every container."""


class Logs:
    """What containers print. All methods raise SkerryError."""

    def __init__(self, calls: Calls, channel: aio.Channel) -> None:
        self._calls = calls
        self._stub = log_pb2_grpc.LogServiceStub(channel)

    async def tail(
        self,
        app: str,
        *,
        services: Sequence[str] = (),
        follow: bool = False,
        since: datetime | None = None,
        tail: int | None = None,
        previous: bool = False,
        on_cut: watching.OnCut = watching.ignore_cut,
    ) -> AsyncGenerator[LogEvent, None]:
        """The log lines of an app's pods, and with `follow` those to come.

        A follow outlives a restart of the control plane and of its agent: it goes on behind the last
        line, and says so where lines were lost. `since` is aware; `tail` counts per container.
        """
        request = log_pb2.TailLogsRequest(
            app=app, services=services, follow=follow, previous=previous
        )
        if since is not None:
            request.since_time.FromDatetime(since)
        if tail is not None:
            request.tail_lines = tail
        if not follow or previous:
            async with aclosing(self._stream(request, silence=None)) as stream:
                async for event in stream:
                    yield event
            return
        async with aclosing(self._follow(request, on_cut)) as following:
            async for event in following:
                yield event

    async def _follow(
        self, request: log_pb2.TailLogsRequest, on_cut: watching.OnCut
    ) -> AsyncGenerator[LogEvent, None]:
        loop = asyncio.get_running_loop()
        resume = LogResume(request)
        begun, failures, answered, settled = False, 0, loop.time(), False
        while True:
            opened = loop.time()
            try:
                async with aclosing(self._stream(request, silence=HEARTBEAT_LOST)) as stream:
                    async for event in stream:
                        begun, failures, answered = True, 0, loop.time()
                        for part in _unseen(resume, event):
                            yield part
                return
            except errors.Unavailable as error:
                heals = is_passing(error) or error.reason is errors.ErrorReason.AGENT_OFFLINE
                if not begun or not heals or loop.time() - answered > PATIENCE:
                    raise
                on_cut(error)
            settled = settled or answered - opened > SETTLED
            request = resume.next_request(settled=settled)
            failures += 1
            await self._calls.sleep(self._calls.backoff.delay(failures))

    async def _stream(
        self, request: log_pb2.TailLogsRequest, *, silence: float | None
    ) -> AsyncGenerator[LogEvent, None]:
        stream = self._calls.stream(self._stub.TailLogs, request, silence=silence)
        async with aclosing(stream) as responses:
            async for response in responses:
                match response.WhichOneof("event"):
                    case "chunk":
                        yield response.chunk
                    case "gap":
                        yield response.gap
                    case "source":
                        yield response.source
                    case _:
                        pass  # A heartbeat.


def _unseen(resume: LogResume, event: LogEvent) -> list[LogEvent]:
    """The event without the lines that were given before a cut."""
    if isinstance(event, log_pb2.LogSource):
        resume.note_source(event)
        return [event]
    if isinstance(event, log_pb2.LogGap):
        return [event]
    lines, gap = resume.take(event)
    parts: list[LogEvent] = [] if gap is None else [gap]
    if len(lines) == len(event.lines):
        parts.append(event)
    elif lines:
        event.lines = lines
        parts.append(event)
    return parts
