"""The commands this agent has taken on, on disk, so that none is lost and none is forgotten half done.

A command is acknowledged to the control plane only after it is here; its result stays here until the
control plane has it. Commands carry secrets, so they are encrypted here (`journal_key`), and go with their
result. Killing the agent at any point loses nothing that was said to be here: sqlite's
journal rolls a torn write back. Used by `commands`, from worker threads.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog
from skerry.agent.v1 import command_pb2

from agent.link.errors import JournalError
from agent.link.journal_key import JournalKey, SealBroken

log = structlog.get_logger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS commands (
    seq INTEGER PRIMARY KEY, payload BLOB NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, result BLOB
);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A command without a result. `attempts` counts the times that the agent died working on it."""

    command: command_pb2.Command
    attempts: int


class Journal:
    """One file. Thread-safe; every change is on disk when its method returns.

    All methods raise `JournalError` when the disk does not take or give it.
    """

    def __init__(self, path: Path, *, cluster_uid: str) -> None:
        """A journal of another cluster is emptied: its commands are nobody's any more. A damaged one is
        put aside: the control plane sends everything unfinished again."""
        self._path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._key = JournalKey(path.with_name("journal.key"), cluster_uid=cluster_uid)
            try:
                self._database = self._open(cluster_uid)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                log.warning("journal_damaged", moved_to=self._put_aside(), error=str(error))
                self._database = self._open(cluster_uid)
        except (sqlite3.Error, OSError) as error:
            raise self._error(error) from error

    def last_seq(self) -> int:
        """The highest sequence number ever journalled. Commands come in order, so none below it is
        missing."""
        with self._transaction() as database:
            (value,) = database.execute(
                "SELECT value FROM facts WHERE name = 'last_seq'"
            ).fetchone()
            return int(value)

    def append(self, commands: Sequence[command_pb2.Command]) -> list[command_pb2.Command]:
        """Take commands on; returns those that are new."""
        new = []
        with self._transaction() as database:
            (value,) = database.execute(
                "SELECT value FROM facts WHERE name = 'last_seq'"
            ).fetchone()
            last = int(value)
            for command in commands:
                if command.seq > last:
                    database.execute(
                        "INSERT INTO commands (seq, payload) VALUES (?, ?)",
                        (command.seq, self._key.seal(command.seq, command.SerializeToString())),
                    )
                    last = command.seq
                    new.append(command)
            database.execute("UPDATE facts SET value = ? WHERE name = 'last_seq'", (str(last),))
        return new

    def begin(self, seq: int) -> None:
        """Work on the command begins: if the agent dies now, that counts as an attempt."""
        with self._transaction() as database:
            database.execute("UPDATE commands SET attempts = attempts + 1 WHERE seq = ?", (seq,))

    def pause(self, seq: int) -> None:
        """The agent stops in good order while working on the command: not an attempt."""
        with self._transaction() as database:
            database.execute(
                "UPDATE commands SET attempts = max(attempts - 1, 0) WHERE seq = ?", (seq,)
            )

    def finish(self, result: command_pb2.CommandResult) -> None:
        """The command ended."""
        with self._transaction() as database:
            database.execute(
                "UPDATE commands SET result = ?, payload = X'' WHERE seq = ?",
                (result.SerializeToString(), result.seq),
            )

    def forget(self, seq: int) -> None:
        """The control plane has the result."""
        with self._transaction() as database:
            database.execute("DELETE FROM commands WHERE seq = ? AND result IS NOT NULL", (seq,))

    def unfinished(self) -> list[Unfinished]:
        """Commands without a result, in order."""
        with self._transaction() as database:
            rows = database.execute(
                "SELECT seq, payload, attempts FROM commands WHERE result IS NULL ORDER BY seq"
            ).fetchall()
        return [
            Unfinished(command_pb2.Command.FromString(self._key.open(seq, payload)), attempts)
            for seq, payload, attempts in rows
        ]

    def results(self) -> list[command_pb2.CommandResult]:
        """Results that the control plane has not acknowledged, in order."""
        with self._transaction() as database:
            rows = database.execute(
                "SELECT result FROM commands WHERE result IS NOT NULL ORDER BY seq"
            ).fetchall()
        return [command_pb2.CommandResult.FromString(result) for (result,) in rows]

    def close(self) -> None:
        """Nothing follows."""
        with self._lock:
            self._database.close()

    def _open(self, cluster_uid: str) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        try:
            self._path.chmod(0o600)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA secure_delete = ON")
            database.execute("PRAGMA synchronous = FULL")
            if database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("the file does not pass sqlite's check")
            database.executescript(_SCHEMA)
            database.execute("BEGIN IMMEDIATE")
            row = database.execute("SELECT value FROM facts WHERE name = 'cluster_uid'").fetchone()
            if row is None or row[0] != cluster_uid:
                database.execute("DELETE FROM commands")
                database.executemany(
                    "INSERT OR REPLACE INTO facts VALUES (?, ?)",
                    [("cluster_uid", cluster_uid), ("last_seq", "0")],
                )
            sealed = self._seal_all(database)
            database.execute("COMMIT")
            if sealed:  # the log must not go on holding what was in clear
                database.execute("VACUUM")
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except BaseException:
            database.close()
            raise
        return database

    def _seal_all(self, database: sqlite3.Connection) -> bool:
        """Seal what an older version kept in clear, and see that the rest opens; whether anything was in clear.

        Raises sqlite3.DatabaseError when a command does not open: its key is gone, which is a damaged journal.
        """
        in_clear = []
        for seq, payload in database.execute(
            "SELECT seq, payload FROM commands WHERE result IS NULL"
        ):
            if not self._key.is_sealed(payload):
                in_clear.append((self._key.seal(seq, payload), seq))
                continue
            try:
                self._key.open(seq, payload)
            except SealBroken as error:
                raise sqlite3.DatabaseError(str(error)) from error
        database.executemany("UPDATE commands SET payload = ? WHERE seq = ?", in_clear)
        ended = database.execute(
            "UPDATE commands SET payload = X'' WHERE result IS NOT NULL AND payload <> X''"
        )
        return bool(in_clear) or ended.rowcount > 0

    def _put_aside(self) -> str:
        suffix = f".damaged-{time.time_ns()}"
        for part in ("", "-wal", "-shm"):  # a new database must not find the old one's log
            file = self._path.with_name(self._path.name + part)
            if file.exists():
                file.rename(self._path.with_name(self._path.name + suffix + part))
        return self._path.name + suffix

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                self._database.execute("BEGIN IMMEDIATE")
                try:
                    yield self._database
                    self._database.execute("COMMIT")
                except BaseException:
                    if self._database.in_transaction:
                        self._database.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise self._error(error) from error

    def _error(self, error: Exception) -> JournalError:
        return JournalError(
            f"the journal {self._path} cannot be used: {error}; make room on its disk and see that the "
            "agent may write there"
        )
