"""Whether everything that is encrypted can be opened, looked up without changing anything. Called by `doctor`."""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from controlplane.domain.sealing import CannotOpen, SealedValue
from controlplane.domain.variables import bound_to_revision, variable_bound_to
from controlplane.keyring.keyring import Keyring

_VARIABLES = "SELECT uid, scope, key, secret, key_id, box FROM variables"
_REVISIONS = (
    "SELECT r.app_uid, r.revision, r.variables_key_id, r.variables_box, "
    "'organizations/' || a.organization || '/projects/' || a.project || '/environments/' || a.environment || '/apps/' || a.app "
    "FROM revisions r LEFT JOIN apps a ON a.uid = r.app_uid WHERE r.variables_key_id IS NOT NULL"
)


@dataclass(frozen=True, slots=True)
class Inspection:
    """How many values there are, how many are sealed with another key than the newest, and the names of those that do not open."""

    values: int
    old: int
    broken: tuple[str, ...]


def inspect(path: Path, keyring: Keyring) -> Inspection:
    """Open every value of the database. Raises sqlite3.Error, also for a database of an older version."""
    values = old = 0
    broken = []
    primary = keyring.primary
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.execute("PRAGMA busy_timeout=5000")
        for name, sealed, bound_to in _all(connection):
            values += 1
            old += sealed.key_id != primary
            try:
                keyring.open(sealed, bound_to=bound_to)
            except CannotOpen:
                broken.append(name)
    return Inspection(values, old, tuple(broken))


def _all(connection: sqlite3.Connection) -> Iterator[tuple[str, SealedValue, str]]:
    for uid, scope, key, secret, key_id, box in connection.execute(_VARIABLES):
        bound_to = variable_bound_to(uid, scope, key, secret=bool(secret))
        yield f"{scope}/variables/{key}", SealedValue(key_id, box), bound_to
    for app_uid, number, key_id, box, app in connection.execute(_REVISIONS):
        bound_to = bound_to_revision(app_uid, number)
        yield f"{app or app_uid}/revisions/{number}", SealedValue(key_id, box), bound_to
