"""The in-process bus: wakes watchers after commits.

It carries no data and no queue. A watcher that was busy meanwhile finds its flag set once and reads the store again, so a slow
one costs nothing and misses nothing. Fed by the store (`on_commit`), used by every watch.
"""

import asyncio
from collections import defaultdict
from types import TracebackType
from typing import Self

from controlplane.domain.clock import Clock


class ChangeHub:
    """Topics and who listens to them."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, set[Subscription]] = defaultdict(set)

    def publish(self, topics: frozenset[str]) -> None:
        """Wake everybody who listens to one of the topics."""
        for topic in topics:
            for subscription in self._listeners.get(topic, ()):
                subscription.wake()

    def subscribe(self, *topics: str) -> "Subscription":
        """Listen until the subscription is closed. Subscribe first, read the store then: a change between the two is not missed."""
        subscription = Subscription(self, topics)
        for topic in topics:
            self._listeners[topic].add(subscription)
        return subscription

    def unsubscribe(self, subscription: "Subscription", topics: tuple[str, ...]) -> None:
        """For Subscription only."""
        for topic in topics:
            listeners = self._listeners.get(topic)
            if listeners is not None:
                listeners.discard(subscription)
                if not listeners:
                    del self._listeners[topic]


class Subscription:
    """One listener; a context manager that stops listening."""

    def __init__(self, hub: ChangeHub, topics: tuple[str, ...]) -> None:
        self._hub = hub
        self._topics = topics
        self._flag = asyncio.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hub.unsubscribe(self, self._topics)

    def wake(self) -> None:
        """Set the flag."""
        self._flag.set()

    async def wait(self, clock: Clock, seconds: float) -> bool:
        """True when something changed since the last time, False when nothing did for that long."""
        changed = await flagged(self._flag, clock, seconds)
        self._flag.clear()
        return changed


async def flagged(flag: asyncio.Event, clock: Clock, seconds: float) -> bool:
    """Wait for an event, at most so long by that clock; whether it came."""
    if flag.is_set():
        return True
    waiting = asyncio.create_task(flag.wait(), name="flag")
    sleeping = asyncio.create_task(clock.sleep(seconds), name="flag-timeout")
    try:
        await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        sleeping.cancel()
    # Not whether the flag is set now: somebody else who waited may have cleared it.
    return waiting.done() and not waiting.cancelled()
