"""Which keys a database's values are encrypted with, looked up without migrating or changing it. Called at start and by `doctor`."""

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path

_QUERIES = (
    "SELECT key_id, COUNT(*) FROM variables GROUP BY key_id",
    "SELECT key_id, COUNT(*) FROM second_factors GROUP BY key_id",
    "SELECT variables_key_id, COUNT(*) FROM revisions WHERE variables_key_id IS NOT NULL GROUP BY 1",
)


def key_usage(path: Path) -> Mapping[str, int]:
    """How many values each key has encrypted; empty when there is no database, none of this version, or one that cannot be read."""
    found: dict[str, int] = {}
    if not path.exists():
        return found
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection,
    ):
        connection.execute("PRAGMA busy_timeout=5000")
        for query in _QUERIES:
            for key_id, count in connection.execute(query):
                found[key_id] = found.get(key_id, 0) + count
    return found
