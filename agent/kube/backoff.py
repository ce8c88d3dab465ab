"""Waiting between tries: exponential, jittered, bounded. Used wherever this agent asks again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from agent.kube.errors import KubeError

T = TypeVar("T")


class Backoff:
    """Delays in seconds that double up to `longest`, each picked at random in its upper half.

    Jitter keeps a hundred watches from coming back in one moment when an API server restarts.
    """

    def __init__(
        self, first: float = 0.1, longest: float = 5.0, rng: random.Random | None = None
    ) -> None:
        self._first = first
        self._longest = longest
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, keeps no secret
        self._current = first

    def next(self) -> float:
        """The delay to wait before the next try."""
        delay = self._current * self._rng.uniform(0.5, 1.0)
        self._current = min(self._current * 2, self._longest)
        return delay

    def reset(self) -> None:
        """Start small again, after a success."""
        self._current = self._first


async def retry_transient(
    call: Callable[[], Awaitable[T]], *, within: float, backoff: Backoff | None = None
) -> T:
    """Repeat `call` while it fails with a retryable KubeError, for at most `within` seconds.

    Raises the last error. Only for calls that may be repeated (reads, server-side apply, delete).
    """
    delays = backoff or Backoff()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        try:
            return await call()
        except KubeError as error:
            delay = delays.next()
            if not error.retryable or loop.time() + delay > deadline:
                raise
        await asyncio.sleep(delay)
