"""Clusters and join tokens: create, read, list, delete, watch. Called by `api/clusters`."""

import dataclasses
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

from controlplane.domain.access import EVERYTHING, Visible
from controlplane.domain.clock import Clock
from controlplane.domain.clusters import Cluster, ConnectionState, IssuedJoinToken, JoinToken
from controlplane.domain.errors import AlreadyExists, InvalidField, NotFound, ResourceInUse
from controlplane.domain.fields import check_display_name
from controlplane.domain.ids import CLUSTER_ID_MAX, IdSource, check_id
from controlplane.domain.names import ClusterName, JoinTokenName
from controlplane.domain.requests import IdempotencyKey, Page, PageRequest, WatchEvent
from controlplane.services.changes import ChangeHub
from controlplane.services.etags import check_etag
from controlplane.services.idempotency import once
from controlplane.services.ports import Agents
from controlplane.services.presence import Presence
from controlplane.services.watching import Source, watch
from controlplane.store.changes import CLUSTERS
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction

JOIN_TOKEN_TTL = timedelta(hours=1)
JOIN_TOKEN_TTL_MAX = timedelta(days=1)
SECRET_BYTES = 32


class ClusterService:
    """Use cases of clusters."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        ids: IdSource,
        presence: Presence,
        agents: Agents,
        hub: ChangeHub,
        random_bytes: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._presence = presence
        self._agents = agents
        self._hub = hub
        self._random_bytes = random_bytes

    async def create_cluster(
        self, cluster_id: str, display_name: str = "", *, key: IdempotencyKey | None = None
    ) -> Cluster:
        """Make a cluster that an agent can join. Raises InvalidField, AlreadyExists."""
        check_id("cluster_id", cluster_id, CLUSTER_ID_MAX)
        check_display_name(display_name)

        async def create() -> Cluster:
            cluster = Cluster(
                uid=self._ids.new(),
                name=ClusterName(cluster_id),
                display_name=display_name or cluster_id,
                connection=ConnectionState.NEVER_JOINED,
                last_seen_time=None,
                round_trip=None,
                agent_version="",
                boot_id="",
                epoch=0,
                facts=None,
                generation=1,
                create_time=tx.now,
                update_time=tx.now,
            )
            await tx.clusters.add(cluster)
            return cluster

        async with self._store.transaction() as tx:
            return await once(tx, key, Cluster, create)

    async def get_cluster(self, name: ClusterName) -> Cluster:
        """Read one. Raises NotFound."""
        async with self._store.reading() as tx:
            cluster = await existing_cluster(tx, name)
            pending = await tx.commands.count_unfinished(cluster.uid)
        shown = self._presence.view(cluster)
        if shown.link is None:
            return shown
        return dataclasses.replace(shown, link=shown.link.counted(pending))

    async def list_clusters(
        self, page: PageRequest, *, visible: Visible = EVERYTHING
    ) -> Page[Cluster]:
        """By name. Raises PageTokenInvalid."""
        async with self._store.reading() as tx:
            found = await tx.clusters.page(page, visible)
        return Page(tuple(self._presence.view(item) for item in found.items), found.next_token)

    async def delete_cluster(
        self, name: ClusterName, *, etag: str = "", key: IdempotencyKey | None = None
    ) -> None:
        """Forget a cluster and its agent's identity, and cut its link. Raises NotFound, EtagMismatch, ResourceInUse."""
        gone: list[str] = []

        async def delete() -> bool:
            cluster = await existing_cluster(tx, name)
            check_etag(etag, cluster.etag, str(name))
            if count := await tx.environments.count_on_cluster(cluster.uid):
                raise ResourceInUse(f"{name} still holds {count} environments: delete those first")
            await tx.clusters.delete(cluster)
            await tx.bindings.forget_scope(str(name))
            gone.append(cluster.uid)
            tx.after_commit(lambda: self._presence.forget(cluster.uid))
            return True

        async with self._store.transaction() as tx:
            await once(tx, key, bool, delete)
        for uid in gone:
            await self._agents.disconnect(uid, f"{name} was deleted")

    async def create_join_token(
        self,
        parent: ClusterName,
        ttl: timedelta | None = None,
        *,
        key: IdempotencyKey | None = None,
    ) -> IssuedJoinToken:
        """Make a single-use token; `ttl` None is one hour, at most a day. `api` puts the secret into `skj1.…` form.

        Raises InvalidField, NotFound, and AlreadyExists for a repeat of the request: a secret is not shown twice.
        """
        ttl = JOIN_TOKEN_TTL if ttl is None else ttl
        if not timedelta(0) < ttl <= JOIN_TOKEN_TTL_MAX:
            raise InvalidField.of("ttl", "must be more than nothing and at most 24 hours")
        async with self._store.transaction() as tx:
            cluster = await existing_cluster(tx, parent)
            if key is not None and await tx.idempotency.answer(key, str) is not None:
                raise AlreadyExists(
                    str(parent),
                    "this request made a join token before, and it is not shown twice: "
                    "repeat it with a new request_id to get another one",
                )
            secret = self._random_bytes(SECRET_BYTES)
            token = JoinToken(
                uid=self._ids.new(),
                cluster_uid=cluster.uid,
                secret_hash=hashlib.sha256(secret).digest(),
                create_time=tx.now,
                expire_time=tx.now + ttl,
                use_time=None,
            )
            await tx.join_tokens.add(token)
            if key is not None:
                await tx.idempotency.remember(key, token.uid, tx.now)
        return IssuedJoinToken(secret, cluster.name, token.expire_time)

    async def list_join_tokens(self, parent: ClusterName, page: PageRequest) -> Page[JoinToken]:
        """Those that an agent can still join with, oldest first. Raises NotFound, PageTokenInvalid."""
        async with self._store.reading() as tx:
            cluster = await existing_cluster(tx, parent)
            return await tx.join_tokens.page_usable(cluster.uid, page, tx.now)

    async def delete_join_token(
        self, name: JoinTokenName, *, key: IdempotencyKey | None = None
    ) -> None:
        """Make a token worthless before its time. Raises NotFound, also for one that was used or has expired."""

        async def delete() -> bool:
            cluster = await existing_cluster(tx, ClusterName(name.cluster))
            if not await tx.join_tokens.void(cluster.uid, name.join_token, tx.now):
                raise NotFound(str(name))
            return True

        async with self._store.transaction() as tx:
            await once(tx, key, bool, delete)

    def watch_clusters(
        self, resume_token: str = "", *, visible: Callable[[], Visible] = lambda: EVERYTHING
    ) -> AsyncIterator[WatchEvent[Cluster]]:
        """SNAPSHOT for each, SYNCED, then UPDATED and DELETED, HEARTBEAT at least every 20 s. Raises ResumeTokenExpired."""
        source: Source[Cluster] = Source(
            kind=CLUSTERS,
            bound_to="clusters",
            page=lambda tx, request: tx.clusters.page(request, visible()),
            get_many=lambda tx, uids: tx.clusters.get_many(uids),
            in_scope=lambda name: visible().contains(name),
            view=self._presence.view,
        )
        return watch(
            source, store=self._store, hub=self._hub, clock=self._clock, resume_token=resume_token
        )


async def existing_cluster(tx: Transaction, name: ClusterName) -> Cluster:
    """The cluster, or NotFound."""
    cluster = await tx.clusters.get(name)
    if cluster is None:
        raise NotFound(str(name))
    return cluster
