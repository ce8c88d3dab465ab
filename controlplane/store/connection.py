"""A database connection whose statements a cancelled caller cannot tear apart. Used by `database`, and by the repositories.

SQLAlchemy throws a connection away when its statement is cancelled, and closes it. But SQLite keeps a closed connection, and
the write lock that its transaction holds, for as long as a cursor on it exists, and the cancelled statement's cursor exists
until the garbage collector finds it. Until then nobody could write. So a cancelled caller waits for its statement, which
takes milliseconds, and then rolls back as for any other exception.
"""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import CursorResult, Executable
from sqlalchemy.ext.asyncio import AsyncConnection

T = TypeVar("T")
Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class Connection:
    """What the store needs of an AsyncConnection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def begin(self) -> None:
        """Begin a transaction; waits for the write lock on a writing connection."""
        await uninterrupted(_begin(self._connection), name="begin")

    async def execute(
        self, statement: Executable, parameters: Parameters | None = None
    ) -> CursorResult[*tuple[Any, ...]]:
        """Run a statement; its rows are in memory when this returns."""
        work = self._connection.execute(statement, parameters)
        return await uninterrupted(work, name="statement")

    async def scalar(self, statement: Executable) -> Any:
        """The first column of the first row."""
        return await uninterrupted(self._connection.scalar(statement), name="statement")

    async def commit(self) -> None:
        """End the transaction."""
        await uninterrupted(self._connection.commit(), name="commit")

    async def rollback(self) -> None:
        """Undo the transaction."""
        await uninterrupted(self._connection.rollback(), name="rollback")

    async def invalidate(self) -> None:
        """Throw the connection away: the next one to ask gets a new one."""
        await uninterrupted(self._connection.invalidate(), name="invalidate")


async def uninterrupted(work: Coroutine[Any, Any, T], *, name: str) -> T:
    """Run `work` to its end even when the caller is cancelled; the cancellation comes out then, after the work's own error."""
    task = asyncio.create_task(work, name=name)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    result = task.result()
    if cancelled is not None:
        raise cancelled
    return result


async def _begin(connection: AsyncConnection) -> None:
    await connection.begin()
