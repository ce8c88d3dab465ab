"""Keeps a copy of one resource of the API server current: list, watch, and list again when told to.

`__main__` runs one `Mirror` per resource. Nothing is polled: a change arrives within
milliseconds of being stored.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import aiohttp

PAUSES = (0.1, 0.3, 1.0, 3.0)
# The API server ends a watch by itself after a while; asking for an end shows up dead connections.
WATCH_SECONDS = 300


class Mirror:
    """A current copy of all objects of one resource, by namespace and name."""

    def __init__(
        self, session: aiohttp.ClientSession, path: str, changed: Callable[[], None]
    ) -> None:
        """`path` is the collection's, e.g. `/api/v1/pods`; `changed` is called after each change."""
        self._session = session
        self._path = path
        self._changed = changed
        self._items: dict[tuple[str, str], dict[str, Any]] = {}
        self.synced = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(list(self._items.values()))

    async def run(self) -> None:
        """Follow the resource until cancelled."""
        failures = 0
        while True:
            try:
                version: str | None = await self._list()
                failures = 0
                while version is not None:
                    version = await self._watch(version)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                print(f"{self._path}: {error!r}; trying again", file=sys.stderr)
                await asyncio.sleep(PAUSES[min(failures, len(PAUSES) - 1)])
                failures += 1

    async def _list(self) -> str:
        async with self._session.get(self._path) as response:
            response.raise_for_status()
            content = await response.json()
        self._items = {_key(item): item for item in content["items"]}
        self.synced = True
        self._changed()
        return str(content["metadata"]["resourceVersion"])

    async def _watch(self, version: str) -> str | None:
        """Apply events from `version` on; the version to go on from, or None when a new list is due."""
        parameters = {
            "watch": "1",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_read=WATCH_SECONDS + 30)
        async with self._session.get(self._path, params=parameters, timeout=timeout) as response:
            if response.status == 410:
                return None
            response.raise_for_status()
            async for line in _lines(response.content):
                event = json.loads(line)
                item = event["object"]
                if event["type"] == "ERROR":
                    return None  # the version is too old: only a new list helps
                version = item["metadata"]["resourceVersion"]
                if event["type"] == "BOOKMARK":
                    continue
                if event["type"] == "DELETED":
                    self._items.pop(_key(item), None)
                else:
                    self._items[_key(item)] = item
                self._changed()
        return version


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    # The reader's own readline has a limit that a large object exceeds.
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line


def _key(item: dict[str, Any]) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]
