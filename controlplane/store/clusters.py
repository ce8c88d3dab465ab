"""Clusters, join tokens and agents' certificates in the database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, insert, select, update

from controlplane.domain.access import EVERYTHING, Visible
from controlplane.domain.clusters import (
    AgentCertificate,
    Cluster,
    ClusterFacts,
    ConnectionState,
    JoinToken,
)
from controlplane.domain.names import ClusterName
from controlplane.domain.requests import Page, PageRequest
from controlplane.store.changes import CLUSTERS, ChangeRepository
from controlplane.store.codec import decode, encode
from controlplane.store.connection import Connection
from controlplane.store.page_tokens import Sealed
from controlplane.store.repository import Repository
from controlplane.store.tables import agent_certificates, clusters, join_tokens, report_versions
from controlplane.store.visibility import shown_clusters


@dataclass(frozen=True, slots=True)
class PresenceRow:
    """A sign of life to be written down."""

    cluster_uid: str
    epoch: int
    last_seen_time: datetime
    round_trip: timedelta | None


class ClusterRepository(Repository):
    """Reads and writes clusters. Their `connection` is not stored: the service derives it."""

    def __init__(
        self,
        connection: Connection,
        sealed: Sealed,
        changes: ChangeRepository,
        *,
        writable: bool,
    ) -> None:
        super().__init__(connection, sealed, writable=writable)
        self._changes = changes

    async def get(self, name: ClusterName) -> Cluster | None:
        return await self._one(select(clusters).where(clusters.c.cluster == name.cluster))

    async def get_by_uid(self, uid: str) -> Cluster | None:
        return await self._one(select(clusters).where(clusters.c.uid == uid))

    async def get_many(self, uids: Sequence[str]) -> dict[str, Cluster]:
        rows = await self._rows(select(clusters).where(clusters.c.uid.in_(uids)))
        return {row.uid: _cluster(row) for row in rows}

    async def page(self, request: PageRequest, visible: Visible = EVERYTHING) -> Page[Cluster]:
        return await self._page(
            select(clusters).where(shown_clusters(visible, clusters.c.cluster)),
            [clusters.c.cluster],
            request,
            _cluster,
            bound_to="clusters",
        )

    async def add(self, cluster: Cluster) -> None:
        """Raises AlreadyExists."""
        await self._insert(
            insert(clusters).values(
                uid=cluster.uid,
                cluster=cluster.name.cluster,
                display_name=cluster.display_name,
                last_seen_time=cluster.last_seen_time,
                round_trip=cluster.round_trip,
                agent_version=cluster.agent_version,
                boot_id=cluster.boot_id,
                epoch=cluster.epoch,
                last_command_seq=0,
                facts=encode(cluster.facts),
                generation=cluster.generation,
                create_time=cluster.create_time,
                update_time=cluster.update_time,
            ),
            str(cluster.name),
        )
        await self._changes.record(CLUSTERS, cluster.uid, str(cluster.name))

    async def delete(self, cluster: Cluster) -> None:
        """Forget it, its tokens, certificates, commands and add-ons."""
        await self._run(delete(clusters).where(clusters.c.uid == cluster.uid))
        await self._changes.record(CLUSTERS, cluster.uid, str(cluster.name))

    async def save_facts(self, cluster: Cluster, facts: ClusterFacts, now: datetime) -> None:
        await self._run(
            update(clusters)
            .where(clusters.c.uid == cluster.uid)
            .values(facts=encode(facts), update_time=now)
        )
        await self._changes.record(CLUSTERS, cluster.uid, str(cluster.name))

    async def begin_connection(
        self, uid: str, *, agent_version: str, boot_id: str, now: datetime
    ) -> int | None:
        """Record a new connection: its epoch, or None when the cluster is gone."""
        epoch = await self._connection.scalar(
            update(clusters)
            .where(clusters.c.uid == uid)
            .values(
                epoch=clusters.c.epoch + 1,
                agent_version=agent_version,
                boot_id=boot_id,
                last_seen_time=now,
                round_trip=None,
            )
            .returning(clusters.c.epoch)
        )
        return None if epoch is None else int(epoch)

    async def save_presence(self, rows: Iterable[PresenceRow]) -> None:
        """Write signs of life, each only if its connection is still the newest."""
        values = [
            {
                "uid_": row.cluster_uid,
                "epoch_": row.epoch,
                "last_seen_time": row.last_seen_time,
                "round_trip": row.round_trip,
            }
            for row in rows
        ]
        if values:
            await self._connection.execute(
                update(clusters)
                .where(clusters.c.uid == bindparam("uid_"), clusters.c.epoch == bindparam("epoch_"))
                .values(
                    last_seen_time=bindparam("last_seen_time"), round_trip=bindparam("round_trip")
                ),
                values,
            )

    async def enrolled(self, uid: str, agent_version: str, now: datetime) -> None:
        """An agent has an identity now: the cluster is no longer one that nobody ever joined."""
        await self._run(
            update(clusters)
            .where(clusters.c.uid == uid)
            .values(last_seen_time=now, agent_version=agent_version, update_time=now)
        )

    async def note_connection_change(self, uid: str) -> None:
        """Tell watchers of the cluster, and of the apps on it, that its connection state is another one."""
        name = await self._connection.scalar(
            select(clusters.c.cluster).where(clusters.c.uid == uid)
        )
        if name is not None:
            await self._changes.record(CLUSTERS, uid, str(ClusterName(name)))
            await self._changes.record_apps_of(uid)

    async def accept_report(self, uid: str, key: str, epoch: int, version: int) -> bool:
        """Whether this report is newer than what was said under the key before; remembers it then."""
        row = await self._row(
            select(report_versions.c.epoch, report_versions.c.version).where(
                report_versions.c.cluster_uid == uid, report_versions.c.key == key
            )
        )
        if row is None:
            await self._run(
                insert(report_versions).values(
                    cluster_uid=uid, key=key, epoch=epoch, version=version
                )
            )
            return True
        if (epoch, version) <= (row.epoch, row.version):
            return False
        await self._run(
            update(report_versions)
            .where(report_versions.c.cluster_uid == uid, report_versions.c.key == key)
            .values(epoch=epoch, version=version)
        )
        return True

    async def _one(self, query: Select[Any]) -> Cluster | None:
        row = await self._row(query)
        return None if row is None else _cluster(row)


class JoinTokenRepository(Repository):
    """Reads and writes join tokens."""

    async def add(self, token: JoinToken) -> None:
        await self._run(
            insert(join_tokens).values(
                uid=token.uid,
                cluster_uid=token.cluster_uid,
                secret_hash=token.secret_hash,
                create_time=token.create_time,
                expire_time=token.expire_time,
                use_time=token.use_time,
            )
        )

    async def get(self, secret_hash: bytes) -> JoinToken | None:
        row = await self._row(select(join_tokens).where(join_tokens.c.secret_hash == secret_hash))
        if row is None:
            return None
        return JoinToken(
            uid=row.uid,
            cluster_uid=row.cluster_uid,
            secret_hash=row.secret_hash,
            create_time=row.create_time,
            expire_time=row.expire_time,
            use_time=row.use_time,
        )

    async def use(self, uid: str, now: datetime) -> bool:
        """Use the token up; False when somebody else did."""
        used = await self._run(
            update(join_tokens)
            .where(join_tokens.c.uid == uid, join_tokens.c.use_time.is_(None))
            .values(use_time=now)
        )
        return used == 1

    async def prune(self, expired_before: datetime) -> int:
        return await self._run(
            delete(join_tokens).where(join_tokens.c.expire_time < expired_before)
        )


class AgentCertificateRepository(Repository):
    """Which certificate of a cluster's agent is the valid one."""

    async def get(self, cluster_uid: str) -> AgentCertificate | None:
        row = await self._row(
            select(agent_certificates).where(agent_certificates.c.cluster_uid == cluster_uid)
        )
        if row is None:
            return None
        return AgentCertificate(
            cluster_uid=row.cluster_uid,
            fingerprint=row.fingerprint,
            generation=row.generation,
            create_time=row.create_time,
            expire_time=row.expire_time,
        )

    async def replace(
        self, cluster_uid: str, *, fingerprint: bytes, now: datetime, expire_time: datetime
    ) -> int:
        """Make this the valid one; returns its generation, from 1."""
        before = await self.get(cluster_uid)
        generation = 1 if before is None else before.generation + 1
        await self._run(
            delete(agent_certificates).where(agent_certificates.c.cluster_uid == cluster_uid)
        )
        await self._run(
            insert(agent_certificates).values(
                cluster_uid=cluster_uid,
                fingerprint=fingerprint,
                generation=generation,
                create_time=now,
                expire_time=expire_time,
            )
        )
        return generation


def _cluster(row: Row[Any]) -> Cluster:
    return Cluster(
        uid=row.uid,
        name=ClusterName(row.cluster),
        display_name=row.display_name,
        connection=ConnectionState.NEVER_JOINED,
        last_seen_time=row.last_seen_time,
        round_trip=row.round_trip,
        agent_version=row.agent_version,
        boot_id=row.boot_id,
        epoch=row.epoch,
        facts=decode(ClusterFacts | None, row.facts),
        generation=row.generation,
        create_time=row.create_time,
        update_time=row.update_time,
    )
