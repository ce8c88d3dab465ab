"""Ends the wait of an open stream from outside, with an error that says why. Held by the pipeline, one for each call."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Interrupt:
    """May be fired once, by the drain or by a revocation; the stream ends at its next wait or message."""

    def __init__(self) -> None:
        self._error: Exception | None = None
        self._waiting: asyncio.Task[object] | None = None

    def fire(self, error: Exception) -> None:
        """The stream is to end with this error; the first one wins."""
        if self._error is None:
            self._error = error
            if self._waiting is not None:
                self._waiting.cancel()

    def check(self) -> None:
        """Raises what was fired."""
        if self._error is not None:
            raise self._error

    async def within(self, awaitable: Awaitable[T]) -> T:
        """Awaits, but no longer than until it is fired: then the wait is cancelled and the error raised."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - gRPC handlers run in tasks
        self._waiting = task
        try:
            return await awaitable
        except asyncio.CancelledError:
            # Somebody else's cancellation wins: uncancel then leaves a count above zero.
            if self._error is not None and task.uncancel() == 0:
                self.check()
            raise
        finally:
            self._waiting = None
