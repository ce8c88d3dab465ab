"""Background tasks live as long as their owner, and an owner does not outlive one that died."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from controlplane.background import Background, BackgroundTaskDied


async def forever() -> None:
    await asyncio.Event().wait()


async def broken() -> None:
    raise ValueError("bad")


async def own(*works: Coroutine[Any, Any, None], then: BaseException | None = None) -> None:
    """An owner of these tasks, whose body raises or waits for ever."""
    async with Background() as background:
        for number, work in enumerate(works):
            background.start(work, name=f"task-{number}")
        if then:
            raise then
        await asyncio.Event().wait()


async def test_tasks_are_cancelled_behind_the_body() -> None:
    async with Background() as background:
        task = background.start(forever(), name="one")
    assert task.cancelled()


async def test_the_body_s_exception_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError):
        await own(forever(), then=KeyError())


async def test_a_task_that_dies_ends_the_body() -> None:
    with pytest.raises(BackgroundTaskDied, match="task-1") as caught:
        await own(forever(), broken())
    assert isinstance(caught.value.__cause__, ValueError)
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def test_a_task_that_returns_early_died_too() -> None:
    with pytest.raises(BackgroundTaskDied):
        await own(asyncio.sleep(0))


async def test_a_task_may_return_once_the_end_has_begun() -> None:
    async with Background() as background:
        task = background.start(asyncio.sleep(0), name="short")
        background.ending()
        await asyncio.wait({task})


async def test_a_cancelled_owner_stays_cancelled() -> None:
    owner = asyncio.create_task(own(forever()))
    await asyncio.sleep(0)
    owner.cancel()
    with pytest.raises(asyncio.CancelledError):
        await owner
