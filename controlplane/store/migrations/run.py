"""Brings a database to this version's tables. Called at start, by `skerry-controlplane migrate` and by tests."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from controlplane.domain.errors import StorageUnavailable
from controlplane.domain.sealing import Cipher
from controlplane.store.failures import translated

_log = structlog.get_logger(__name__)


def migrate(path: Path, cipher: Cipher | None = None) -> None:
    """Make the database if it is not there, and run what migrations it lacks, each in one transaction. Blocking.

    The cipher encrypts what an older version kept in clear; a new database needs none. Two processes that start at once do it one after the other. Raises StorageUnavailable when the database cannot be
    written, is damaged, or was made by a newer version.
    """
    with _locked(path), translated():
        engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
        event.listen(engine, "connect", _set_up)
        try:
            with engine.connect() as connection:
                # SQLite's own BEGIN covers schema changes too; the driver would leave them outside.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                config = configuration()
                config.attributes["connection"] = connection
                config.attributes["cipher"] = cipher
                command.upgrade(config, "head")
                connection.commit()
        except CommandError as error:
            raise StorageUnavailable(
                f"the database was made by a newer version of Skerry: {error}"
            ) from error
        finally:
            engine.dispose()
    _log.info("database_migrated", revision=head())


def configuration() -> Config:
    """Alembic's configuration: where the migrations lie."""
    config = Config()
    here = Path(__file__).parent
    config.set_main_option("script_location", str(here))
    config.set_main_option("version_locations", str(here / "versions" / "y2026"))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str:
    """The revision that this version of the code expects."""
    return ScriptDirectory.from_config(configuration()).get_current_head() or ""


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the migration lock. The database is made readable by its owner only: it holds variables that may be secret."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StorageUnavailable(
            f"the database at {path} cannot be opened: {error.strerror}"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _set_up(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.execute("PRAGMA journal_mode=WAL")
    # What a migration encrypts must not stay behind in free pages.
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.close()
