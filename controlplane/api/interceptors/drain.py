"""Ends open streams when the server shuts down, with an error that says so. Begun by `app.py`, asked by the pipeline."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from controlplane.domain.errors import Draining

T = TypeVar("T")


class Drain:
    """Knows whether the server is shutting down, and interrupts the streams that wait for their next message then."""

    def __init__(self) -> None:
        self._begun = False
        self._interrupts: set[Callable[[], None]] = set()

    def begin(self) -> None:
        """Refuses new calls from now on and ends the open streams. A second time does nothing."""
        self._begun = True
        for interrupt in tuple(self._interrupts):
            interrupt()

    def check(self) -> None:
        """Raises Draining once the server is shutting down."""
        if self._begun:
            raise Draining("the server is shutting down; call again", retry_after=1.0)

    async def within(self, awaitable: Awaitable[T]) -> T:
        """Awaits, but no longer than until the shutdown begins: then the wait is cancelled and Draining raised."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - gRPC handlers run in tasks
        interrupted = False

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            task.cancel()

        self._interrupts.add(interrupt)
        try:
            return await awaitable
        except asyncio.CancelledError:
            # Somebody else's cancellation wins: uncancel then leaves a count above zero.
            if interrupted and task.uncancel() == 0:
                self.check()
            raise
        finally:
            self._interrupts.discard(interrupt)
