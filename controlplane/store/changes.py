"""The change log: what was changed, in the order of commits, so that watchers know what to read again.

A watcher keeps the last sequence number that it has seen. The bus in `services/changes.py` only wakes it up; what it missed
while it slept or was away is here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, insert, literal, select

from controlplane.domain.errors import ResumeTokenExpired
from controlplane.store import tables
from controlplane.store.connection import Connection
from controlplane.store.page_tokens import Sealed
from controlplane.store.repository import Repository

APPS = "apps"
CLUSTERS = "clusters"
# No log behind it: whoever listens reads everything again.
ACCESS = "access"


@dataclass(frozen=True, slots=True)
class Change:
    """Resource `uid` of this kind was created, changed or deleted."""

    seq: int
    uid: str
    name: str


class ChangeRepository(Repository):
    """Records changes and collects the topics that the bus is told after the commit."""

    def __init__(
        self, connection: Connection, sealed: Sealed, *, writable: bool, now: datetime
    ) -> None:
        super().__init__(connection, sealed, writable=writable)
        self._now = now
        self.topics: set[str] = set()

    def touch(self, topic: str) -> None:
        """Wake the watchers of a topic after the commit; for those who re-read one thing and need no log."""
        self.topics.add(topic)

    async def record(self, kind: str, uid: str, name: str) -> None:
        """Log a change and wake the watchers of its kind."""
        self.touch(kind)
        await self._run(
            insert(tables.changes).values(kind=kind, uid=uid, name=name, create_time=self._now)
        )

    async def record_apps_of(self, cluster_uid: str) -> None:
        """Log a change of every app of a cluster: its connection is part of what they show."""
        self.touch(APPS)
        apps = tables.apps
        name = (
            "organizations/"
            + apps.c.organization
            + "/projects/"
            + apps.c.project
            + "/environments/"
            + apps.c.environment
            + "/apps/"
            + apps.c.app
        )
        rows = select(
            literal(APPS), apps.c.uid, name, literal(self._now, tables.changes.c.create_time.type)
        ).where(apps.c.cluster_uid == cluster_uid)
        await self._run(
            insert(tables.changes).from_select(["kind", "uid", "name", "create_time"], rows)
        )

    async def last_seq(self) -> int:
        """The newest sequence number; 0 when nothing ever changed."""
        found = await self._connection.scalar(select(func.max(tables.changes.c.seq)))
        return int(found or 0)

    async def after(self, kind: str, seq: int, limit: int) -> Sequence[Change]:
        """Changes of a kind behind `seq`, oldest first. Raises ResumeTokenExpired when some of them may be pruned."""
        await self._check(seq)
        query = (
            select(tables.changes)
            .where(tables.changes.c.kind == kind, tables.changes.c.seq > seq)
            .order_by(tables.changes.c.seq)
            .limit(limit)
        )
        return [Change(row.seq, row.uid, row.name) for row in await self._rows(query)]

    async def prune(self, before: datetime) -> int:
        """Forget older changes; the newest one stays, so that the log never looks as if nothing had happened."""
        newest = select(func.max(tables.changes.c.seq)).scalar_subquery()
        return await self._run(
            delete(tables.changes).where(
                tables.changes.c.create_time < before, tables.changes.c.seq < newest
            )
        )

    def resume_token(self, bound_to: str, seq: int) -> str:
        """A token to continue behind `seq`, bound to the watch's parameters."""
        return self._sealed.seal(f"watch:{bound_to}", [seq])

    def resume_seq(self, bound_to: str, token: str) -> int:
        """Where a token continues. Raises ResumeTokenExpired for one that this watch did not give."""
        position: list[Any] | None = self._sealed.open(f"watch:{bound_to}", token)
        if position is None:
            raise _expired()
        return int(position[0])

    async def _check(self, seq: int) -> None:
        bounds = await self._row_of_bounds()
        oldest, newest = bounds
        # Behind the newest: the database is older than the token (restored from a backup).
        if seq > newest or seq < oldest - 1:
            raise _expired()

    async def _row_of_bounds(self) -> tuple[int, int]:
        query = select(func.min(tables.changes.c.seq), func.max(tables.changes.c.seq))
        oldest, newest = (await self._connection.execute(query)).one()
        return int(oldest or 1), int(newest or 0)


def _expired() -> ResumeTokenExpired:
    return ResumeTokenExpired(
        "the watch cannot continue from that resume_token: start it again without one"
    )
