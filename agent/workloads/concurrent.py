"""Doing several calls to the API server at once, with the first error as the error."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")

AT_ONCE = 8
"""Calls under way at a time: a wave of objects takes one round trip instead of many, without
flooding a small cluster's API server."""


async def run_all(
    calls: Sequence[Callable[[], Awaitable[T]]], *, at_once: int = AT_ONCE
) -> list[T]:
    """The results in the order of `calls`. The first call to fail cancels the others, and its
    error is raised as it is."""
    gate = asyncio.Semaphore(at_once)

    async def run(call: Callable[[], Awaitable[T]]) -> T:
        async with gate:
            return await call()

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run(call), name="run-all") for call in calls]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    return [task.result() for task in tasks]
