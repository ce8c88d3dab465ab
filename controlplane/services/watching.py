"""Watches of lists: snapshot, SYNCED, deltas, heartbeats, resume. Used by apps and clusters.

The change log says what to read again; the bus only says when. A watcher that falls behind reads each resource once, however
often it changed, and holds nothing in memory.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from controlplane.domain.clock import Clock
from controlplane.domain.requests import EventType, Page, PageRequest, WatchEvent
from controlplane.services.changes import ChangeHub, Subscription
from controlplane.store.changes import Change
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction

# The contract promises a heartbeat every 20 seconds at least.
HEARTBEAT_SECONDS = 15.0
_SNAPSHOT_PAGE = 200
_CHANGES_AT_A_TIME = 500


class Resource(Protocol):
    """What can be watched."""

    @property
    def uid(self) -> str: ...
    @property
    def name(self) -> object: ...


T = TypeVar("T", bound=Resource)


@dataclass(frozen=True, slots=True)
class Source(Generic[T]):
    """How to read what is watched. `bound_to` describes the watch with its parameters; resume tokens are bound to it."""

    kind: str
    bound_to: str
    page: Callable[[Transaction, PageRequest], Awaitable[Page[T]]]
    get_many: Callable[[Transaction, Sequence[str]], Awaitable[Mapping[str, T]]]
    in_scope: Callable[[str], bool]
    view: Callable[[T], T]


async def watch(
    source: Source[T], *, store: Store, hub: ChangeHub, clock: Clock, resume_token: str
) -> AsyncIterator[WatchEvent[T]]:
    """Follow a list for ever. Raises ResumeTokenExpired."""
    with hub.subscribe(source.kind) as subscription:
        if resume_token:
            async with store.reading() as tx:
                seq = tx.changes.resume_seq(source.bound_to, resume_token)
                await tx.changes.after(source.kind, seq, 1)  # raises when it is too old
        else:
            async with store.reading() as tx:
                seq = await tx.changes.last_seq()
                page = await source.page(tx, PageRequest(_SNAPSHOT_PAGE))
            while True:
                for item in page.items:
                    yield WatchEvent(
                        EventType.SNAPSHOT, source.view(item), str(item.name), item.uid
                    )
                if not page.next_token:
                    break
                # Not one transaction for all pages: a slow reader would hold it. What changed meanwhile comes as an update.
                async with store.reading() as tx:
                    page = await source.page(tx, PageRequest(_SNAPSHOT_PAGE, page.next_token))
        async with store.reading() as tx:
            token = tx.changes.resume_token(source.bound_to, seq)
        yield WatchEvent(EventType.SYNCED, resume_token=token)
        async for event in _deltas(source, store, subscription, clock, seq):
            yield event


async def _deltas(
    source: Source[T], store: Store, subscription: Subscription, clock: Clock, seq: int
) -> AsyncIterator[WatchEvent[T]]:
    while True:
        async with store.reading() as tx:
            changes = await tx.changes.after(source.kind, seq, _CHANGES_AT_A_TIME)
            latest: dict[str, Change] = {}
            for change in changes:
                if source.in_scope(change.name):
                    # The last change of each, in the order of the last changes: a token then leaves nothing out.
                    latest.pop(change.uid, None)
                    latest[change.uid] = change
            found = await source.get_many(tx, list(latest)) if latest else {}
            if changes:
                seq = changes[-1].seq
            events = [_event(source, tx, change, found) for change in latest.values()]
            token = tx.changes.resume_token(source.bound_to, seq)
        for event in events:
            yield event
        if not changes and not await subscription.wait(clock, HEARTBEAT_SECONDS):
            yield WatchEvent(EventType.HEARTBEAT, resume_token=token)


def _event(
    source: Source[T], tx: Transaction, change: Change, found: Mapping[str, T]
) -> WatchEvent[T]:
    token = tx.changes.resume_token(source.bound_to, change.seq)
    item = found.get(change.uid)
    if item is None:
        return WatchEvent(EventType.DELETED, None, change.name, change.uid, token)
    return WatchEvent(EventType.UPDATED, source.view(item), change.name, change.uid, token)
