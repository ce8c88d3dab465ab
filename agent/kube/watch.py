"""Follow objects of a kind: list, then watch from there, for as long as the caller reads.

A watch is cut now and then by design (the server ends it after minutes, proxies drop silent
connections, a resource version becomes too old). All of that is handled here, so that a caller sees
one endless sequence; after a gap objects that vanished meanwhile are reported as deleted.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog

from agent.kube.backoff import Backoff
from agent.kube.connection import Connection
from agent.kube.discovery import Discovery, Resource
from agent.kube.errors import GoneError, KubeError, NotServedError, ServerError, from_response
from agent.kube.manifest import Manifest

log = structlog.get_logger(__name__)

SERVER_TIMEOUT = 240
"""Seconds after which the server is asked to end a watch."""
READ_TIMEOUT = 100.0
"""Seconds of silence after which a watch is begun anew where it was. The server sends a bookmark a
minute for most kinds."""
_PAGE = 500
_MAX_EVENT_BYTES = 16 << 20


class EventType(StrEnum):
    APPLIED = "applied"
    """The object is there, new or changed; also every object of the first list."""
    DELETED = "deleted"
    SYNCED = "synced"
    """Everything that was there has been told; `obj` is empty. Comes again after each relist."""


@dataclass(frozen=True, slots=True)
class WatchEvent:
    type: EventType
    obj: Manifest


class Watcher:
    """Watches over one connection."""

    def __init__(
        self,
        connection: Connection,
        discovery: Discovery,
        *,
        server_timeout: int = SERVER_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
        rng: random.Random | None = None,
    ) -> None:
        self._connection = connection
        self._discovery = discovery
        self._server_timeout = server_timeout
        self._read_timeout = read_timeout
        self._rng = rng

    async def watch(
        self,
        api_version: str,
        kind: str,
        namespace: str | None = None,
        label_selector: str = "",
        field_selector: str = "",
    ) -> AsyncGenerator[WatchEvent, None]:
        """Yields for ever; end it by leaving the loop and closing it, or by cancellation.

        Errors that pass by themselves (API server away, 5xx, 429) are waited out with backoff.
        Raises what does not pass: UnauthorizedError, ForbiddenError, NotServedError, InvalidError.
        """
        selection = _selection(label_selector, field_selector)
        known: dict[str, Manifest] = {}
        backoff = Backoff(first=0.2, longest=15.0, rng=self._rng)
        version = ""
        while True:
            try:
                resource = await self._discovery.find(api_version, kind)
                if not version:
                    version, listed = await self._list(resource, namespace, selection)
                    for event in _relisted(known, listed):
                        yield event
                    yield WatchEvent(EventType.SYNCED, {})
                raws = self._events(resource, namespace, selection, version)
                async with aclosing(raws):
                    async for raw in raws:
                        backoff.reset()
                        version = raw["object"]["metadata"]["resourceVersion"]
                        noted = _noted(known, raw)
                        if noted is not None:
                            yield noted
            except GoneError:
                version = ""
            except NotServedError:
                raise
            except KubeError as error:
                if not error.retryable:
                    raise
                delay = backoff.next()
                log.info("watch_interrupted", kind=kind, error=error.message, retry_in=delay)
                await asyncio.sleep(delay)

    async def _list(
        self, resource: Resource, namespace: str | None, selection: Sequence[tuple[str, str]]
    ) -> tuple[str, list[Manifest]]:
        """The newest resource version and all objects."""
        items, metadata = await list_pages(self._connection, resource, namespace, selection)
        return str(metadata.get("resourceVersion", "")), items

    async def _events(
        self,
        resource: Resource,
        namespace: str | None,
        selection: Sequence[tuple[str, str]],
        version: str,
    ) -> AsyncGenerator[dict[str, Any], None]:
        query = [
            *selection,
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", str(self._server_timeout)),
        ]
        about = f"watch {resource.handle.kind}"
        async with self._connection.stream(
            resource.path(namespace=namespace or ""),
            about=about,
            query=query,
            read_timeout=self._read_timeout,
        ) as content:
            rest = b""
            async for chunk in content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > _MAX_EVENT_BYTES:
                    raise ServerError(f"{about}: an event is larger than {_MAX_EVENT_BYTES} bytes")
                for line in lines:
                    if line:
                        yield _decoded(line, about)


async def list_pages(
    connection: Connection,
    resource: Resource,
    namespace: str | None,
    selection: Sequence[tuple[str, str]],
) -> tuple[list[Manifest], dict[str, Any]]:
    """All objects of a collection, page by page, and the list's metadata.

    The items carry `apiVersion` and `kind`, which the API server leaves out of lists.
    """
    items: list[Manifest] = []
    following = ""
    while True:
        query = [*selection, ("limit", str(_PAGE))]
        if following:
            query.append(("continue", following))
        content = await connection.request(
            "GET",
            resource.path(namespace=namespace or ""),
            about=f"list {resource.handle.kind}",
            query=query,
        )
        page = json.loads(content)
        named = {"apiVersion": resource.handle.group_version, "kind": resource.handle.kind}
        items.extend({**named, **item} for item in page.get("items") or ())
        following = page["metadata"].get("continue", "")
        if not following:
            return items, page["metadata"]


def _selection(label_selector: str, field_selector: str) -> list[tuple[str, str]]:
    pairs = (("labelSelector", label_selector), ("fieldSelector", field_selector))
    return [(key, value) for key, value in pairs if value]


def _decoded(line: bytes, about: str) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads(line)
    if raw["type"] == "ERROR":
        status = raw["object"]
        raise from_response(int(status.get("code", 500)), json.dumps(status), about)
    return raw


def _noted(known: dict[str, Manifest], raw: dict[str, Any]) -> WatchEvent | None:
    """Remember enough of an event's object to tell its deletion later."""
    obj: Manifest = raw["object"]
    if raw["type"] == "BOOKMARK":
        return None
    uid = obj["metadata"]["uid"]
    if raw["type"] == "DELETED":
        known.pop(uid, None)
        return WatchEvent(EventType.DELETED, obj)
    known[uid] = obj
    return WatchEvent(EventType.APPLIED, obj)


def _relisted(known: dict[str, Manifest], listed: list[Manifest]) -> list[WatchEvent]:
    """The events that a fresh list amounts to, deletions first."""
    current = {obj["metadata"]["uid"]: obj for obj in listed}
    gone = [obj for uid, obj in known.items() if uid not in current]
    same = {
        uid
        for uid, obj in current.items()
        if uid in known
        and known[uid]["metadata"].get("resourceVersion") == obj["metadata"]["resourceVersion"]
    }
    known.clear()
    known.update(current)
    return [
        *(WatchEvent(EventType.DELETED, obj) for obj in gone),
        *(WatchEvent(EventType.APPLIED, obj) for uid, obj in current.items() if uid not in same),
    ]
