"""Clusters, join tokens and agents' certificates in the database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, insert, select, update

from controlplane.domain.access import EVERYTHING, Visible
from controlplane.domain.agent_identity import AgentRecord, IdentityState, PendingCertificate
from controlplane.domain.clusters import (
    Cluster,
    ClusterFacts,
    ConnectionState,
    IdentityStatus,
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

_clusters = select(
    clusters,
    agent_certificates.c.state.label("identity_state"),
    agent_certificates.c.message.label("identity_message"),
    agent_certificates.c.generation.label("identity_generation"),
    agent_certificates.c.expire_time.label("identity_expire_time"),
    agent_certificates.c.used_generation,
    agent_certificates.c.renew_through,
    agent_certificates.c.used_authority,
).outerjoin(agent_certificates, agent_certificates.c.cluster_uid == clusters.c.uid)


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
        return await self._one(_clusters.where(clusters.c.cluster == name.cluster))

    async def get_by_uid(self, uid: str) -> Cluster | None:
        return await self._one(_clusters.where(clusters.c.uid == uid))

    async def get_many(self, uids: Sequence[str]) -> dict[str, Cluster]:
        rows = await self._rows(_clusters.where(clusters.c.uid.in_(uids)))
        return {row.uid: _cluster(row) for row in rows}

    async def page(self, request: PageRequest, visible: Visible = EVERYTHING) -> Page[Cluster]:
        return await self._page(
            _clusters.where(shown_clusters(visible, clusters.c.cluster)),
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
        if self._writable:  # of the one table: a row that an outer join may lack cannot be locked
            query = query.with_for_update(of=clusters)
        rows = await self._rows(query)
        return _cluster(rows[0]) if rows else None


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
        return None if row is None else _join_token(row)

    async def page_usable(
        self, cluster_uid: str, request: PageRequest, now: datetime
    ) -> Page[JoinToken]:
        """Those of a cluster that an agent can still join with, oldest first."""
        return await self._page(
            select(join_tokens).where(
                join_tokens.c.cluster_uid == cluster_uid,
                join_tokens.c.use_time.is_(None),
                join_tokens.c.expire_time > now,
            ),
            [join_tokens.c.uid],
            request,
            _join_token,
            bound_to=f"joinTokens/{cluster_uid}",
        )

    async def void(self, cluster_uid: str, uid: str | None, now: datetime) -> int:
        """Make one token worthless, or all of a cluster; how many were worth something before."""
        unused = [
            join_tokens.c.cluster_uid == cluster_uid,
            join_tokens.c.use_time.is_(None),
            join_tokens.c.expire_time > now,
        ]
        if uid is not None:
            unused.append(join_tokens.c.uid == uid)
        return await self._run(update(join_tokens).where(*unused).values(expire_time=now))

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


class AgentIdentityRepository(Repository):
    """What the identity of each cluster's agent is worth."""

    async def get(self, cluster_uid: str) -> AgentRecord | None:
        row = await self._row(
            select(agent_certificates).where(agent_certificates.c.cluster_uid == cluster_uid)
        )
        return None if row is None else _record(row)

    async def active(self) -> list[AgentRecord]:
        """Those that may connect."""
        return [
            _record(row)
            for row in await self._rows(
                select(agent_certificates).where(
                    agent_certificates.c.state == IdentityState.ACTIVE.value
                )
            )
        ]

    async def save(self, record: AgentRecord) -> None:
        """Replace what was known before."""
        pending = record.pending
        values = {
            "state": record.state.value,
            "message": record.message,
            "fingerprint": record.joined_fingerprint,
            "first_generation": record.first_generation,
            "used_generation": record.used_generation,
            "generation": record.generation,
            "renew_through": record.renew_through,
            "authority": record.authority,
            "used_authority": record.used_authority,
            "pending_key": pending.public_key_der if pending else None,
            "pending_certificate": pending.certificate_der if pending else None,
            "create_time": record.create_time,
            "expire_time": record.expire_time,
        }
        changed = await self._run(
            update(agent_certificates)
            .where(agent_certificates.c.cluster_uid == record.cluster_uid)
            .values(**values)
        )
        if not changed:
            await self._run(
                insert(agent_certificates).values(cluster_uid=record.cluster_uid, **values)
            )


def _join_token(row: Row[Any]) -> JoinToken:
    return JoinToken(
        uid=row.uid,
        cluster_uid=row.cluster_uid,
        secret_hash=row.secret_hash,
        create_time=row.create_time,
        expire_time=row.expire_time,
        use_time=row.use_time,
    )


def _record(row: Row[Any]) -> AgentRecord:
    pending = None
    if row.pending_certificate is not None:
        pending = PendingCertificate(row.pending_key, row.pending_certificate)
    return AgentRecord(
        cluster_uid=row.cluster_uid,
        state=IdentityState(row.state),
        joined_fingerprint=row.fingerprint,
        first_generation=row.first_generation,
        used_generation=row.used_generation,
        generation=row.generation,
        renew_through=row.renew_through,
        authority=row.authority or b"",
        used_authority=row.used_authority or b"",
        pending=pending,
        message=row.message,
        create_time=row.create_time,
        expire_time=row.expire_time,
    )


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
        identity=_identity(row),
    )


def _identity(row: Row[Any]) -> IdentityStatus | None:
    if row.identity_state is None:
        return None
    return IdentityStatus(
        state=IdentityState(row.identity_state),
        message=row.identity_message,
        generation=row.identity_generation,
        used_generation=row.used_generation,
        expire_time=row.identity_expire_time,
        renewal_pending=row.used_generation <= row.renew_through,
        used_authority=row.used_authority or b"",
    )
