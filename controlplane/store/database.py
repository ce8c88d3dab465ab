"""The store: opens the database and hands out transactions. Built by `app.py`, used by services.

SQLite takes one writer at a time. So there is one connection for writing, for which tasks queue here instead of spinning on
SQLITE_BUSY, and it begins with BEGIN IMMEDIATE: a transaction that reads first and writes later would otherwise fail when it
upgrades its lock. A few other connections only read, each seeing one snapshot (WAL).
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from sqlalchemy import Connection as EngineConnection
from sqlalchemy import event, insert, select, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry

from controlplane.domain.audit import OK, AuditAction
from controlplane.domain.clock import Clock
from controlplane.domain.errors import StorageUnavailable
from controlplane.store import tables
from controlplane.store.connection import Connection
from controlplane.store.failures import translated
from controlplane.store.page_tokens import Sealed
from controlplane.store.transaction import Transaction

_log = structlog.get_logger(__name__)

_READERS = 4
_BUSY_TIMEOUT_MS = 5_000
_POOL_TIMEOUT_SECONDS = 30.0
_SEAL_KEY = "seal-key"


class Store:
    """The database of one control plane.

    `on_commit` is told, after each commit, the topics that changed; it must not block. `action` is what the caller of this task
    does, if that is audited: its entry is part of the first transaction that it writes.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        on_commit: Callable[[frozenset[str]], None],
        action: Callable[[], AuditAction | None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._on_commit = on_commit
        self._action = action
        self._writer = _engine(path, size=1, read_only=False)
        self._readers = _engine(path, size=_READERS, read_only=True)
        self._sealed: Sealed | None = None
        self._closed = False

    async def open(self) -> None:
        """Check that the database can be used, and load or make its key for tokens. Migrations must have run.

        Raises StorageUnavailable.
        """
        with translated():
            async with self._writer.begin() as connection:
                query = select(tables.instance.c.value).where(tables.instance.c.key == _SEAL_KEY)
                key = await connection.scalar(query)
                if key is None:
                    key = os.urandom(32)
                    await connection.execute(
                        insert(tables.instance).values(key=_SEAL_KEY, value=key)
                    )
        self._sealed = Sealed(bytes(key))

    async def close(self) -> None:
        """Close all connections. Whoever comes later is refused: an engine that was disposed of would connect again, and
        nobody would close that.
        """
        self._closed = True
        await self._readers.dispose()
        await self._writer.dispose()

    async def check(self) -> None:
        """Whether the database answers and can be written; for readiness. Raises StorageUnavailable."""
        with translated():
            async with self._writer.begin() as connection:
                await connection.execute(text("SELECT 1 FROM instance"))

    @asynccontextmanager
    async def transaction(
        self, *, durable: bool = True, audited: bool = True
    ) -> AsyncIterator[Transaction]:
        """A writing transaction: committed when the block ends, rolled back when it raises.

        With `durable` the commit, and all before it, survives a power cut; without, it survives the process only and costs
        no flush of the disk: for what is said again, or known anew, after a restart. `audited` False is for the log itself.
        Never await anything but the database inside: all other writers wait. Raises StorageUnavailable.
        """
        self._refuse_when_closed()
        action = self._action() if audited else None
        with translated():
            async with self._writer.connect() as raw:
                await raw.execution_options(durable=durable)
                connection = Connection(raw)
                try:
                    await connection.begin()
                    transaction = self._bind(connection, writable=True)
                    yield transaction
                    if action is not None and not action.recorded:
                        await transaction.audit.append(action, OK)
                except BaseException:
                    await _undo(connection)
                    raise
                await self._commit(connection, transaction)
                if action is not None:
                    action.recorded = True

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """A reading transaction: one snapshot, writes fail. Raises StorageUnavailable."""
        self._refuse_when_closed()
        with translated():
            async with self._readers.connect() as raw:
                connection = Connection(raw)
                try:
                    await connection.begin()
                    yield self._bind(connection, writable=False)
                finally:
                    await _undo(connection)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise StorageUnavailable("the server is stopping and has closed its database")

    def _bind(self, connection: Connection, *, writable: bool) -> Transaction:
        if self._sealed is None:
            raise RuntimeError("the store was not opened")
        return Transaction(connection, self._sealed, writable=writable, now=self._clock.now())

    async def _commit(self, connection: Connection, transaction: Transaction) -> None:
        """Commit and tell. A cancelled caller still waits for the answer: otherwise a change could be durable and nobody woken."""
        cancelled: asyncio.CancelledError | None = None
        try:
            await connection.commit()
        except asyncio.CancelledError as error:
            cancelled = error
        except BaseException:
            await _undo(connection)
            raise
        if transaction.changes.topics:
            self._on_commit(frozenset(transaction.changes.topics))
        transaction.committed()
        if cancelled is not None:
            raise cancelled


async def _undo(connection: Connection) -> None:
    """Roll back; a connection that cannot even do that is thrown away, so that the next transaction gets a new one."""
    try:
        await connection.rollback()
    except Exception as error:
        _log.warning("rollback_failed", error=str(error))
        await connection.invalidate()


def _engine(path: Path, *, size: int, read_only: bool) -> AsyncEngine:
    engine = create_async_engine(
        f"sqlite+aiosqlite:///{path}",
        poolclass=AsyncAdaptedQueuePool,
        pool_size=size,
        max_overflow=0,
        pool_timeout=_POOL_TIMEOUT_SECONDS,
        # The driver must not begin transactions by itself: it would begin them deferred.
        connect_args={"isolation_level": None},
    )

    @event.listens_for(engine.sync_engine, "connect")
    def set_pragmas(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "foreign_keys=ON",
            f"busy_timeout={_BUSY_TIMEOUT_MS}",
            f"query_only={'ON' if read_only else 'OFF'}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin_explicitly(connection: EngineConnection) -> None:
        if read_only:
            connection.exec_driver_sql("BEGIN")
            return
        durable = connection.get_execution_options().get("durable", True)
        # Only outside of a transaction can this be changed, and it holds for the connection: set it each time.
        connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
