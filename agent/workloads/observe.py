"""What is in the cluster now, kept current by watches: the eyes of rollouts, status and logs.

One `Observation` holds the objects of some kinds and says when something changed. Managed fields
are dropped: they are the larger half of an object, and nobody here reads them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from agent.kube import EventType, KubeClient, Manifest, WatchEvent


@dataclass(frozen=True, slots=True)
class Watched:
    """Objects to keep in sight."""

    api_version: str
    kind: str
    label_selector: str = ""
    field_selector: str = ""


class Observation:
    """A live picture. `changed()` is for one reader; looking at the picture is for anybody."""

    def __init__(self, kinds: Sequence[str]) -> None:
        self._objects: dict[str, dict[str, Manifest]] = {kind: {} for kind in kinds}
        self._unsynced = set(kinds)
        self._touched: dict[str, Manifest] = {}
        self._wake = asyncio.Event()
        self._failure: BaseException | None = None

    def of(self, kind: str) -> list[Manifest]:
        """All objects of a kind."""
        return list(self._objects[kind].values())

    @property
    def synced(self) -> bool:
        """Whether everything that was there at the beginning is in the picture."""
        return not self._unsynced

    async def changed(self, within: float | None = None) -> list[Manifest]:
        """Wait until something changed, for at most `within` seconds; the objects concerned, those
        deleted too. Empty after the time is up and when only the first picture became complete.

        Raises what ended a watch for good (KubeError).
        """
        try:
            async with asyncio.timeout(within):
                await self._wake.wait()
        except TimeoutError:
            return []
        self._wake.clear()
        if self._failure is not None:
            raise self._failure
        touched, self._touched = self._touched, {}
        return list(touched.values())

    def note(self, kind: str, event: WatchEvent) -> None:
        """Take in one event."""
        if event.type is EventType.SYNCED:
            self._unsynced.discard(kind)
        else:
            obj = {**event.obj, "metadata": {**event.obj["metadata"]}}
            obj["metadata"].pop("managedFields", None)
            uid = obj["metadata"]["uid"]
            if event.type is EventType.DELETED:
                self._objects[kind].pop(uid, None)
            else:
                self._objects[kind][uid] = obj
            self._touched[uid] = obj
        self._wake.set()

    def fail(self, error: BaseException) -> None:
        """A watch ended for good; the reader of `changed` hears of it."""
        self._failure = error
        self._wake.set()


@asynccontextmanager
async def observe(
    kube: KubeClient, watched: Sequence[Watched], namespace: str | None = None
) -> AsyncIterator[Observation]:
    """A picture that is kept current inside the block and complete when the block is entered."""
    picture = Observation([one.kind for one in watched])
    tasks = [
        asyncio.create_task(_follow(kube, one, namespace, picture), name=f"observe-{one.kind}")
        for one in watched
    ]
    try:
        while not picture.synced:
            await picture.changed()
        yield picture
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _follow(
    kube: KubeClient, watched: Watched, namespace: str | None, picture: Observation
) -> None:
    events = kube.watch(
        watched.api_version,
        watched.kind,
        namespace,
        label_selector=watched.label_selector,
        field_selector=watched.field_selector,
    )
    try:
        async with aclosing(events):
            async for event in events:
                picture.note(watched.kind, event)
    except Exception as error:
        picture.fail(error)
