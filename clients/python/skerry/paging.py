"""Lists page by page, as one async iterator. Called by `skerry.services`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import Protocol, TypeVar


class Page(Protocol):
    """What every list response has."""

    @property
    def next_page_token(self) -> str: ...


PageT = TypeVar("PageT", bound=Page)
Item = TypeVar("Item")


async def each(
    fetch: Callable[[str], Awaitable[PageT]], items: Callable[[PageT], Iterable[Item]]
) -> AsyncGenerator[Item, None]:
    """Every item of every page; a page is fetched when the one before is used up.

    `fetch` gets a page token, empty for the first page.
    """
    token = ""
    while True:
        page = await fetch(token)
        for item in items(page):
            yield item
        token = page.next_page_token
        if not token:
            return
