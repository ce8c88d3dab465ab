"""Follow the logs of an app: every container of every pod, through restarts and replacements.

A live picture of the pods says which containers there are; each has one task that reads its runs in
order. A follow ends for many reasons (the container ended, the file was rotated, the connection was
cut): the task remembers the last line it delivered and goes on behind it. What cannot be read any
more is told as a gap. Everything goes to one `sink`, which makes the readers wait when the far end
does not keep up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeAlias

import structlog

from agent.compose.names import dns_label
from agent.kube import KubeClient, Manifest
from agent.kube.backoff import Backoff
from agent.kube.errors import InvalidError, KubeError, NotFoundError
from agent.workloads.labels import SERVICE, app_selector, label
from agent.workloads.loglines import FRAME_BYTES, Cursor, CursorFilter, CursorTracker, LineFramer
from agent.workloads.observe import Observation, Watched, observe

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RunCursor:
    """Where one container was left: the line, and the run of the container it was in."""

    pod_uid: str
    restarts: int
    line: Cursor


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which lines."""

    namespace: str
    app: str
    services: frozenset[str] = frozenset()
    """All when empty."""
    follow: bool = False
    since: datetime | None = None
    tail_lines: int | None = None
    previous: bool = False
    cursors: Mapping[tuple[str, str], RunCursor] = field(default_factory=dict)
    """By (pod, container); a cursor of a pod of another uid counts for nothing."""


class LogKind(StrEnum):
    LINES = "lines"
    GAP = "gap"
    STARTED = "started"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One thing about one run of one container: whole lines, or why there are none."""

    service: str
    pod: str
    pod_uid: str
    container: str
    restarts: int
    kind: LogKind
    lines: bytes = b""
    message: str = ""


Sink: TypeAlias = Callable[[LogRecord], Awaitable[None]]


class LogFollower:
    """One for one query."""

    def __init__(
        self, kube: KubeClient, query: LogQuery, sink: Sink, *, frame_bytes: int = FRAME_BYTES
    ) -> None:
        self._kube = kube
        self._query = query
        self._sink = sink
        self._frame_bytes = frame_bytes

    async def run(self) -> int:
        """Without `follow`: read what there is and return how many containers were read. With it:
        go on until cancelled. Raises KubeError for what concerns all containers."""
        selector = app_selector(self._query.app)
        async with observe(
            self._kube, [Watched("v1", "Pod", selector)], self._query.namespace
        ) as picture:
            pods = _Pods(picture)
            reading = _Reading(self._kube, self._query, self._sink, self._frame_bytes, pods)
            try:
                async with asyncio.TaskGroup() as group:
                    return await self._read_all(group, reading)
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from errors

    async def _read_all(self, group: asyncio.TaskGroup, reading: _Reading) -> int:
        pods = reading.pods
        services = {dns_label(service) for service in self._query.services}
        begun: set[tuple[str, str]] = set()
        while True:
            for pod in sorted(pods.all(), key=_age):
                if services and service_of(pod) not in services:
                    continue
                for container in containers_of(pod):
                    key = (pod["metadata"]["uid"], container)
                    if key not in begun:
                        begun.add(key)
                        reader = _ContainerReader(reading, pod, container)
                        group.create_task(reader.run(), name=f"log-{key[0]}-{container}")
            if not self._query.follow:
                return len(begun)
            await pods.changed()


class _Pods:
    """The pods of the app, for many readers that wait for news of theirs."""

    def __init__(self, picture: Observation) -> None:
        self._picture = picture
        self._news = asyncio.Event()

    def all(self) -> list[Manifest]:
        return self._picture.of("Pod")

    def get(self, uid: str) -> Manifest | None:
        return next((pod for pod in self.all() if pod["metadata"]["uid"] == uid), None)

    async def changed(self) -> None:
        """For the one task that looks after the picture."""
        await self._picture.changed()
        self._news.set()
        self._news = asyncio.Event()

    async def news(self, within: float | None = None) -> None:
        """Wait until any pod changed, for at most `within` seconds."""
        try:
            async with asyncio.timeout(within):
                await self._news.wait()
        except TimeoutError:
            return


@dataclass(frozen=True, slots=True)
class _Reading:
    """What all readers of one query share."""

    kube: KubeClient
    query: LogQuery
    sink: Sink
    frame_bytes: int
    pods: _Pods


class _ContainerReader:
    """Reads the runs of one container, one after the other."""

    def __init__(self, reading: _Reading, pod: Manifest, container: str) -> None:
        self._kube = reading.kube
        self._query = reading.query
        self._sink = reading.sink
        self._frame_bytes = reading.frame_bytes
        self._pods = reading.pods
        self._container = container
        self._pod: str = pod["metadata"]["name"]
        self._uid: str = pod["metadata"]["uid"]
        self._service = service_of(pod)
        self._restarts = 0

    async def run(self) -> None:
        run = await self._next_run(after=-1)
        if run is None:
            return
        cursor = self._cursor()
        if self._query.previous:
            if run == 0:
                await self._tell(LogKind.ENDED, "the container has not been started again yet")
            else:
                await self._read(run - 1, None, previous=True, first=True)
            return
        if cursor is not None and cursor.restarts > run:
            cursor = None  # the counter began anew; its lines are not of this container
        first = cursor is None
        position = cursor.line if cursor else None
        if cursor is not None and cursor.restarts < run:
            await self._missed(cursor.restarts, run, position)
            position = None
        while run is not None:
            await self._read(run, position, previous=False, first=first)
            if not self._query.follow:
                return
            following = await self._next_run(after=run)
            if following is not None and following > run + 1:
                await self._missed(run + 1, following, None)
            run, position, first = following, None, False

    async def _missed(self, run: int, current: int, position: Cursor | None) -> None:
        """Read what can still be read of the runs before `current`, beginning with `run`."""
        if run < current - 1:
            self._restarts = run
            lost = "1 run" if current - run == 2 else f"{current - 1 - run} runs"
            await self._tell(
                LogKind.GAP, f"the container was started again meanwhile; {lost} cannot be read"
            )
            position = None
        await self._read(current - 1, position, previous=True, first=False)

    async def _read(
        self, run: int, position: Cursor | None, *, previous: bool, first: bool
    ) -> None:
        """One run to its end. `first`: the query's own `since` and `tail_lines` count."""
        self._restarts = run
        tracker = CursorTracker(position)
        await self._tell(LogKind.STARTED)
        follow = self._query.follow and not previous
        backoff = Backoff(first=0.1, longest=2.0)
        since = self._query.since if first else None
        tail = self._query.tail_lines if first else None
        begun = datetime.now(UTC) - timedelta(seconds=1)
        while True:
            before = tracker.cursor
            try:
                await self._copy(tracker, follow, previous, since, tail)
            except NotFoundError:
                await self._tell(LogKind.ENDED, "the pod is gone")
                return
            except InvalidError as error:
                # The kubelet has no such run (any more): nothing left to read.
                if previous and not self._query.previous:
                    await self._tell(LogKind.GAP, f"cannot be read: {_unreadable(error)}")
                    return
                if not follow or self._has_ended(run):
                    await self._tell(LogKind.ENDED, _unreadable(error))
                    return
            except KubeError as error:
                if not error.retryable:
                    raise
                if not follow:
                    await self._tell(LogKind.GAP, f"cannot be read: {error.message}")
                    return
            if not follow or self._has_ended(run):
                await self._tell(LogKind.ENDED, self._why_ended(run))
                return
            if tracker.cursor is not before:
                backoff.reset()
            elif tail is not None:  # none of the last lines came: go on from when they were asked
                since, tail = begun, None
            await self._pods.news(within=backoff.next())

    async def _copy(
        self,
        tracker: CursorTracker,
        follow: bool,
        previous: bool,
        since: datetime | None,
        tail: int | None,
    ) -> None:
        """Read from behind the tracker's cursor to the end of the stream."""
        cursor = tracker.cursor
        if cursor is not None:
            since, tail = _whole_second(cursor.time), None
        elif since is not None:
            cursor = Cursor(since.astimezone(UTC).isoformat().replace("+00:00", "Z").encode(), 0)
        framer, head = LineFramer(self._frame_bytes), CursorFilter(cursor)
        chunks = self._kube.logs(
            *(self._query.namespace, self._pod, self._container),
            follow=follow,
            since_time=since,
            tail_lines=tail,
            previous=previous,
        )
        async with aclosing(chunks):
            async for chunk in chunks:
                for frame in framer.feed(chunk):
                    await self._deliver(frame, head, framer, tracker)
        # A last line without its newline is only complete when nothing more can follow.
        if not follow or self._has_ended(self._restarts):
            for frame in framer.end():
                await self._deliver(frame, head, framer, tracker)

    async def _deliver(
        self, frame: bytes, head: CursorFilter, framer: LineFramer, tracker: CursorTracker
    ) -> None:
        if not frame[:1].isdigit():  # no time: the kubelet says why it has no lines
            await self._tell(LogKind.GAP, frame.decode("utf-8", "replace").strip())
            return
        lines = head.feed(frame)
        if head.lost:
            head.lost = False
            await self._tell(
                LogKind.GAP, "the log was rotated while nobody read; lines before this are lost"
            )
        if framer.cut_lines:
            framer.cut_lines = 0
            await self._tell(
                LogKind.GAP,
                f"a line longer than {self._frame_bytes} bytes is shown as several lines",
            )
        if lines:
            await self._sink(self._record(LogKind.LINES, lines=lines))
            tracker.delivered(lines)

    async def _next_run(self, after: int) -> int | None:
        """The number of the run that follows `after`, once it has begun; None when there will be
        none (the pod is gone or has finished, or nobody follows)."""
        while True:
            pod = self._pods.get(self._uid)
            if pod is None:
                return None
            status = _container_status(pod, self._container)
            run = begun_run(status)
            if run is not None and run > after:
                return run
            if not self._query.follow:
                waiting = ((status or {}).get("state") or {}).get("waiting") or {}
                why = waiting.get("reason") or "waiting for a node"
                await self._tell(LogKind.ENDED, f"the container has not started: {why}")
                return None
            if pod.get("status", {}).get("phase") in ("Succeeded", "Failed") and after >= 0:
                return None
            await self._pods.news()

    def _has_ended(self, run: int) -> bool:
        pod = self._pods.get(self._uid)
        if pod is None:
            return True
        status = _container_status(pod, self._container) or {}
        if int(status.get("restartCount", 0)) > run:
            return True
        return "running" not in (status.get("state") or {})

    def _why_ended(self, run: int) -> str:
        if not self._query.follow:
            return "the end of the log"
        pod = self._pods.get(self._uid)
        if pod is None:
            return "the pod is gone"
        status = _container_status(pod, self._container) or {}
        again = int(status.get("restartCount", 0)) > run
        state = (status.get("lastState") if again else status.get("state")) or {}
        ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
        if "exitCode" not in ended:
            return "the container has ended"
        return f"the container exited with code {ended['exitCode']}"

    def _cursor(self) -> RunCursor | None:
        found = self._query.cursors.get((self._pod, self._container))
        return found if found is not None and found.pod_uid == self._uid else None

    async def _tell(self, kind: LogKind, message: str = "") -> None:
        await self._sink(self._record(kind, message=message))

    def _record(self, kind: LogKind, *, lines: bytes = b"", message: str = "") -> LogRecord:
        return LogRecord(
            service=self._service,
            pod=self._pod,
            pod_uid=self._uid,
            container=self._container,
            restarts=self._restarts,
            kind=kind,
            lines=lines,
            message=message,
        )


def containers_of(pod: Manifest) -> Sequence[str]:
    """The containers that are the app's own: those that wait and prepare are left out."""
    return [str(one["name"]) for one in pod.get("spec", {}).get("containers") or ()]


def begun_run(status: Manifest | None) -> int | None:
    """The newest run of a container that has written or may write; None before the first.

    A container that waits to be started again is still in the run that ended.
    """
    if status is None:
        return None
    state, last = status.get("state") or {}, status.get("lastState") or {}
    if "running" in state or "terminated" in state or "terminated" in last:
        return int(status.get("restartCount", 0))
    return None


def _container_status(pod: Manifest, container: str) -> Manifest | None:
    for status in pod.get("status", {}).get("containerStatuses") or ():
        if status.get("name") == container:
            found: Manifest = status
            return found
    return None


def service_of(pod: Manifest) -> str:
    return label(pod, SERVICE)


def _age(pod: Manifest) -> tuple[str, str]:
    return pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"]


def _whole_second(time: bytes) -> datetime | None:
    """When to begin reading so that the cursor's line is among what comes."""
    text = time.decode("ascii", "replace")
    try:
        found = datetime.fromisoformat(f"{text[:19]}{_offset(text)}")
    except ValueError:
        return None
    return found


def _offset(text: str) -> str:
    rest = text[19:].lstrip(".0123456789")
    return "+00:00" if rest in ("", "Z", "z") else rest


def _unreadable(error: InvalidError) -> str:
    return error.message.partition(": ")[2] or error.message
