"""The process's own tasks: each has a name and an owner, and one that dies takes the process down. Used by `app.py`."""

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

import structlog

log = structlog.get_logger(__name__)


class BackgroundTaskDied(Exception):
    """A task that should run as long as the process ended; its error is the cause."""


class Background:
    """Runs tasks beside the body of an `async with`, and cancels them behind it.

    Unlike in `asyncio.TaskGroup`, the body's own exceptions come out as they are, not in a group. A task that dies ends the
    body with BackgroundTaskDied.
    """

    def __init__(self) -> None:
        self._owner: asyncio.Task[Any] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._dead: asyncio.Task[None] | None = None
        self._ending = False

    def start(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Begins a task that is to run until the end."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def ending(self) -> None:
        """From now on tasks may end by themselves."""
        self._ending = True

    async def __aenter__(self) -> Self:
        self._owner = asyncio.current_task()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ending = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        dead, owner = self._dead, self._owner
        if dead is None or owner is None:
            return
        # The cancellation was this class's own way of ending the body, unless somebody else cancelled it, too.
        if owner.uncancel() == 0 and isinstance(error, asyncio.CancelledError):
            cause = None if dead.cancelled() else dead.exception()
            raise BackgroundTaskDied(f"the task {dead.get_name()} ended") from cause

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._ending or self._dead is not None or self._owner is None:
            return
        self._dead = task
        error = None if task.cancelled() else task.exception()
        log.error("background_task_died", task=task.get_name(), exc_info=error)
        self._owner.cancel()
