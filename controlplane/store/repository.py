"""What all repositories share: one connection inside a transaction, keyset pages, inserts that say when a name is taken."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Executable, Insert, Row, Select, tuple_
from sqlalchemy.exc import IntegrityError

from controlplane.domain.errors import AlreadyExists, PageTokenInvalid
from controlplane.domain.requests import Page, PageRequest
from controlplane.store.connection import Connection
from controlplane.store.page_tokens import Sealed

T = TypeVar("T")


class Repository:
    """Base of the repositories; lives as long as its transaction."""

    def __init__(self, connection: Connection, sealed: Sealed, *, writable: bool) -> None:
        self._connection = connection
        self._sealed = sealed
        self._writable = writable

    async def _row(self, query: Select[Any]) -> Row[Any] | None:
        """The one row, or None; inside a writing transaction it is locked where the database can lock rows."""
        if self._writable:
            query = query.with_for_update()
        row: Row[Any] | None = (await self._connection.execute(query)).one_or_none()
        return row

    async def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        rows: Sequence[Row[Any]] = (await self._connection.execute(query)).all()
        return rows

    async def _run(self, statement: Executable) -> int:
        """Execute a statement; the number of rows it touched."""
        result = await self._connection.execute(statement)
        return int(getattr(result, "rowcount", -1))

    async def _insert(self, statement: Insert, resource_name: str) -> None:
        try:
            await self._connection.execute(statement)
        except IntegrityError as error:
            if "unique" in str(error.orig).lower():
                raise AlreadyExists(resource_name) from error
            raise

    async def _page(
        self,
        query: Select[Any],
        keys: Sequence[ColumnElement[Any]],
        request: PageRequest,
        convert: Callable[[Row[Any]], T],
        *,
        bound_to: str,
        newest_first: bool = False,
    ) -> Page[T]:
        """A page in the order of `keys`, which together are unique and are selected under their own names.

        `bound_to` describes the list with all its parameters. Raises PageTokenInvalid.
        """
        limit = request.limit
        if request.token:
            position = self._sealed.open(bound_to, request.token)
            if position is None:
                raise PageTokenInvalid(
                    "page_token is not one that this list gave: "
                    "use next_page_token unchanged and with the same parameters"
                )
            here, there = tuple_(*keys), tuple_(*position)
            query = query.where(here < there if newest_first else here > there)
        query = query.order_by(*(key.desc() if newest_first else key.asc() for key in keys))
        rows = await self._rows(query.limit(limit + 1))
        token = ""
        if len(rows) > limit:
            last = rows[limit - 1]
            token = self._sealed.seal(bound_to, [getattr(last, str(key.key)) for key in keys])
        return Page(tuple(convert(row) for row in rows[:limit]), token)
