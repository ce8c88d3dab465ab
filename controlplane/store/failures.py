"""Database errors become domain errors, once, at the edge of a transaction."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from sqlalchemy.exc import DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from controlplane.domain.errors import StorageUnavailable

_log = structlog.get_logger(__name__)

RETRY_AFTER = 5.0
# What SQLite says (sqlite3.c, sqlite3ErrStr), what it means and what to do; matched within the lower-cased message.
_EXPLANATIONS = (
    ("disk is full", "the database's disk is full: free some space, nothing was changed"),
    ("readonly", "the database cannot be written: check the owner and mode of the data directory"),
    ("locked", "the database is locked by another process: stop the one that should not run"),
    ("malformed", "the database file is damaged: restore it from a backup"),
    ("not a database", "the database file is not a database: check the data directory"),
    ("disk i/o error", "the database's disk fails or is full: look at the system's log"),
    ("unable to open", "the database cannot be opened: check the data directory's path and mode"),
)


@contextmanager
def translated() -> Iterator[None]:
    """Raise StorageUnavailable for what is wrong with the database itself; defects in a statement pass unchanged."""
    try:
        yield
    except PoolTimeout as error:
        raise StorageUnavailable(
            "the database is busy: too many calls wait for it", retry_after=RETRY_AFTER
        ) from error
    except (IntegrityError, ProgrammingError):
        raise
    except DBAPIError as error:
        said = str(error.orig).lower()
        for word, explanation in _EXPLANATIONS:
            if word in said:
                _log.error("storage_unavailable", database_error=str(error.orig))
                raise StorageUnavailable(explanation, retry_after=RETRY_AFTER) from error
        raise
