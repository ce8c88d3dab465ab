"""Server streams over a service's async iterator. Called by the servicers that watch or follow."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import TypeVar

T = TypeVar("T")
M = TypeVar("M")


async def converted(items: AsyncIterator[T], convert: Callable[[T], M]) -> AsyncGenerator[M, None]:
    """Each item as a message. Closing this closes `items` at once, so that what they hold is let go when the call ends."""
    try:
        async for item in items:
            yield convert(item)
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()
