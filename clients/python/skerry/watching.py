"""Watches that go on after a cut: snapshot, changes, and again from the resume token.

Called by `skerry.services`. The server's model: every resource (SNAPSHOT), then SYNCED, then each
change, with heartbeats; a token that is too old is refused with RESUME_TOKEN_EXPIRED.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from enum import Enum
from typing import Generic, Protocol, TypeVar

from skerry import errors
from skerry.calls import Calls, is_passing
from skerry.platform.v1 import cluster_pb2


class Change(Enum):
    """What an event of a watch says."""

    RESET = "reset"
    """Forget everything: the watch could not be continued and a new snapshot follows."""
    SNAPSHOT = "snapshot"
    """A resource that existed when the watch began."""
    SYNCED = "synced"
    """Everything that existed has been said."""
    UPDATED = "updated"
    """A resource was created or changed."""
    DELETED = "deleted"
    """A resource is gone."""


Resource = TypeVar("Resource")


@dataclass(frozen=True, slots=True)
class Event(Generic[Resource]):
    """One event. `resource` is None for RESET and SYNCED."""

    change: Change
    resource: Resource | None = None


class WatchResponse(Protocol):
    """What every watch response has."""

    @property
    def type(self) -> cluster_pb2.EventType.ValueType: ...


Response = TypeVar("Response", bound=WatchResponse)
Message = TypeVar("Message")

_CHANGES = {
    cluster_pb2.EVENT_TYPE_SNAPSHOT: Change.SNAPSHOT,
    cluster_pb2.EVENT_TYPE_SYNCED: Change.SYNCED,
    cluster_pb2.EVENT_TYPE_UPDATED: Change.UPDATED,
    cluster_pb2.EVENT_TYPE_DELETED: Change.DELETED,
}


OnCut = Callable[[errors.SkerryError], None]
"""Told of each cut before the watch reconnects."""


def ignore_cut(_: errors.SkerryError) -> None:
    """Reconnect without a word."""


async def watch(
    calls: Calls,
    open_stream: Callable[[str], AsyncGenerator[Response, None]],
    resource: Callable[[Response], Resource],
    resume_token: Callable[[Response], str],
    on_cut: OnCut = ignore_cut,
) -> AsyncGenerator[Event[Resource], None]:
    """Events for ever; ends only by an error that waiting cannot heal, or that comes before the first event.

    `open_stream` gets the resume token, empty to start with a snapshot; a watch without resume tokens
    starts anew after every cut. Before SYNCED there is nothing to resume: half a snapshot is void.
    """
    token, failures, begun = "", 0, False
    while True:
        if begun and not token:
            yield Event(Change.RESET)
        try:
            async with aclosing(open_stream(token)) as stream:
                async for response in stream:
                    failures, begun = 0, True
                    change = _CHANGES.get(response.type)
                    if change is not None:
                        has_resource = change is not Change.SYNCED
                        yield Event(change, resource(response) if has_resource else None)
                    if change is not Change.SNAPSHOT:
                        token = resume_token(response) or token
        except errors.OutOfRange as error:
            if error.reason is not errors.ErrorReason.RESUME_TOKEN_EXPIRED:
                raise
            token = ""
        except errors.SkerryError as error:
            resumable = is_passing(error) or error.reason is errors.ErrorReason.SLOW_CONSUMER
            if not begun or not resumable:
                raise
            on_cut(error)
        failures += 1
        await calls.sleep(calls.backoff.delay(failures))


async def latest(
    calls: Calls,
    open_stream: Callable[[], AsyncGenerator[Message, None]],
    is_last: Callable[[Message], bool],
    on_cut: OnCut = ignore_cut,
) -> AsyncGenerator[Message, None]:
    """One resource now and after each change, until `is_last` holds; repeats are left out.

    For watches that send the whole resource each time, so that a cut needs no token.
    """
    seen: Message | None = None
    failures = 0
    while True:
        try:
            async with aclosing(open_stream()) as stream:
                async for message in stream:
                    failures = 0
                    if message != seen:
                        seen = message
                        yield message
                    if is_last(message):
                        return
        except errors.SkerryError as error:
            if seen is None or not is_passing(error):
                raise
            on_cut(error)
        failures += 1
        await calls.sleep(calls.backoff.delay(failures))
