"""The identities of agents over time: admission, renewal, revocation, rotation. Called by `agent_sessions` and `api/clusters`.

The rules are in `domain.agent_identity`; here they meet the database and the live agents. Nothing about an identity changes
before the agent has proven its key: a certificate alone is no secret.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from controlplane.domain import agent_identity
from controlplane.domain.agent_identity import AgentRecord, IdentityState, Verdict
from controlplane.domain.clock import Clock
from controlplane.domain.clusters import AgentIdentity, Cluster
from controlplane.domain.errors import (
    AgentNeverJoined,
    AgentRefused,
    AgentRevoked,
    Internal,
)
from controlplane.domain.names import ClusterName
from controlplane.domain.requests import IdempotencyKey
from controlplane.services.clusters import existing_cluster
from controlplane.services.idempotency import once
from controlplane.services.ports import Agents, CertificateAuthority
from controlplane.services.presence import Presence
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction

_log = structlog.get_logger(__name__)

_PAUSE_SECONDS = (
    0.02  # between agents that are asked to renew, so that they do not all come at once
)
_JOIN_AGAIN = "make a join token with `skerry cluster join-token` and start an agent with it"


@dataclass(frozen=True, slots=True)
class Renewal:
    """An agent's next certificate."""

    certificate_der: bytes
    ca_certificates_der: tuple[bytes, ...]
    generation: int


class AgentIdentities:
    """Who may connect as the agent of which cluster."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        ca: CertificateAuthority,
        agents: Agents,
        presence: Presence,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ca = ca
        self._agents = agents
        self._presence = presence

    async def identify(self, certificate_der: bytes) -> AgentIdentity:
        """Who this certificate belongs to; the caller must still check the proof of its key.

        Raises CredentialsInvalid when it is not from this CA or expired too long ago, AgentRefused when it was revoked,
        replaced by a newer join or locked, or its cluster was deleted. A copy is not looked for here: see `admit`.
        """
        verified = self._ca.verify(certificate_der)
        async with self._store.reading() as tx:
            cluster = await tx.clusters.get_by_uid(verified.cluster_uid)
            record = await tx.agent_identities.get(verified.cluster_uid)
        if cluster is None or record is None:
            raise AgentRefused("the cluster of this certificate was deleted")
        generation = record.generation_of(verified.generation, verified.fingerprint)
        identity = AgentIdentity(
            cluster.uid,
            cluster.name,
            verified.public_key_der,
            generation=generation,
            authority=verified.authority,
            expired=verified.expired,
        )
        verdict = record.judge(generation)
        if verdict not in (Verdict.ADMIT, Verdict.COPIED):
            raise _refusal(cluster.name, record, verdict)
        return identity

    async def admit(self, tx: Transaction, identity: AgentIdentity) -> AgentRefused | None:
        """Take a proven identity into use, in the transaction that begins its connection; the refusal when it may not be.

        The refusal is returned and not raised, because a copy that was found must be written down.
        """
        record = await tx.agent_identities.get(identity.cluster_uid)
        if record is None:
            return AgentRefused(f"{identity.cluster} was deleted")
        verdict = record.judge(identity.generation)
        if verdict is Verdict.COPIED:
            record = record.locked(identity.generation)
            await tx.agent_identities.save(record)
            await tx.clusters.note_connection_change(identity.cluster_uid)
            _log.error(
                "agent_identity_locked", cluster=str(identity.cluster), reason=record.message
            )
            return AgentRefused(record.message)
        if verdict is not Verdict.ADMIT:
            return _refusal(identity.cluster, record, verdict)
        if (
            identity.generation != record.used_generation
            or identity.authority != record.used_authority
        ):
            await tx.agent_identities.save(record.used(identity.generation, identity.authority))
        return None

    async def refused(self, identity: AgentIdentity, refusal: AgentRefused) -> None:
        """Behind the transaction of `admit`: the connection that may be up belongs to nobody any more."""
        await self._agents.disconnect(identity.cluster_uid, refusal.message)

    async def renewal_reason(self, cluster_uid: str) -> str:
        """Why the agent is to renew now; empty when it is not."""
        async with self._store.reading() as tx:
            record = await tx.agent_identities.get(cluster_uid)
        return (
            "a new certificate is wanted" if record is not None and record.renewal_pending else ""
        )

    async def renew(self, identity: AgentIdentity, epoch: int, csr_der: bytes) -> Renewal | None:
        """The next certificate of an agent, or the same again for the same key; None for a connection that is no longer the newest.

        Raises InvalidField (`csr`), AgentRefused.
        """
        key = self._ca.requested_key(csr_der)
        async with self._store.transaction() as tx:
            cluster = await tx.clusters.get_by_uid(identity.cluster_uid)
            record = await tx.agent_identities.get(identity.cluster_uid)
            if cluster is None or record is None:
                raise AgentRefused(f"{identity.cluster} was deleted")
            if cluster.epoch != epoch:
                return None
            # The newest connection was let in with what was newest then, so this is no place to look for copies.
            if record.state is not IdentityState.ACTIVE:
                raise AgentRefused(record.message)
            pending = record.pending
            if (
                pending is not None
                and pending.public_key_der == key
                and record.renew_through < record.generation
            ):
                return Renewal(
                    pending.certificate_der, self._ca.ca_certificates_der, record.generation
                )
            signed = self._ca.sign(
                csr_der,
                cluster_uid=identity.cluster_uid,
                generation=agent_identity.next_generation(record),
            )
            record = record.given(
                key,
                signed.certificate_der,
                authority=signed.authority,
                now=tx.now,
                expire_time=signed.expire_time,
            )
            await tx.agent_identities.save(record)
        _log.info(
            "agent_certificate_given",
            cluster=str(identity.cluster),
            generation=record.generation,
            expires=signed.expire_time.isoformat(),
        )
        return Renewal(signed.certificate_der, signed.ca_certificates_der, record.generation)

    async def stored(self, cluster_uid: str, epoch: int, generation: int) -> int | None:
        """The agent has its newest certificate on disk: older ones are copies from here on. The generation when that was news."""
        async with self._store.transaction() as tx:
            cluster = await tx.clusters.get_by_uid(cluster_uid)
            record = await tx.agent_identities.get(cluster_uid)
            if (
                cluster is None
                or record is None
                or cluster.epoch != epoch
                or record.state is not IdentityState.ACTIVE
                or generation != record.generation
            ):
                return None
            await tx.agent_identities.save(record.used(generation, record.authority))
            await tx.clusters.note_connection_change(cluster_uid)
        _log.info("agent_renewed", cluster=str(cluster.name), generation=generation)
        return generation

    async def revoke(self, name: ClusterName, *, key: IdempotencyKey | None = None) -> Cluster:
        """Take the identity away, with all unused join tokens, and cut the link. Raises NotFound, AgentNeverJoined."""

        async def work(tx: Transaction, record: AgentRecord) -> AgentRecord:
            await tx.join_tokens.void(record.cluster_uid, None, tx.now)
            message = (
                f"revoked at {tx.now:%Y-%m-%d %H:%M} UTC; to let an agent in again, {_JOIN_AGAIN}"
            )
            return record.revoked(message)

        cluster = await self._change(name, key, work)
        _log.warning("agent_identity_revoked", cluster=str(name))
        await self._agents.disconnect(cluster.uid, "an operator has revoked it")
        return cluster

    async def rotate(self, name: ClusterName, *, key: IdempotencyKey | None = None) -> Cluster:
        """Ask for a new key and certificate; unlocks. Raises NotFound, AgentNeverJoined, AgentRevoked."""

        async def work(_: Transaction, record: AgentRecord) -> AgentRecord:
            if record.state is IdentityState.REVOKED:
                raise AgentRevoked(f"the identity of {name}'s agent was revoked: {_JOIN_AGAIN}")
            return record.rotated()

        cluster = await self._change(name, key, work)
        _log.info("agent_identity_rotates", cluster=str(name))
        self._agents.ask_to_renew(cluster.uid, "an operator asked for it")
        return cluster

    async def renew_all(self, reason: str, *, unless: bytes = b"") -> None:
        """Every agent is to get a new certificate, unless it uses one of this authority (SHA-256). Asked one by one, not all at once."""
        async with self._store.transaction() as tx:
            records = [
                record
                for record in await tx.agent_identities.active()
                if not unless or record.used_authority != unless
            ]
            for record in records:
                await tx.agent_identities.save(record.rotated())
                await tx.clusters.note_connection_change(record.cluster_uid)
        for record in records:
            self._agents.ask_to_renew(record.cluster_uid, reason)
            await self._clock.sleep(_PAUSE_SECONDS)

    async def _change(
        self,
        name: ClusterName,
        key: IdempotencyKey | None,
        work: Callable[[Transaction, AgentRecord], Awaitable[AgentRecord]],
    ) -> Cluster:
        async def change() -> Cluster:
            cluster = await existing_cluster(tx, name)
            record = await tx.agent_identities.get(cluster.uid)
            if record is None:
                raise AgentNeverJoined(f"no agent has joined {name}: {_JOIN_AGAIN}")
            await tx.agent_identities.save(await work(tx, record))
            await tx.clusters.note_connection_change(cluster.uid)
            return await existing_cluster(tx, name)

        async with self._store.transaction() as tx:
            cluster = await once(tx, key, Cluster, change)
        return self._presence.view(cluster)


def _refusal(cluster: ClusterName, record: AgentRecord, verdict: Verdict) -> AgentRefused:
    match verdict:
        case Verdict.REPLACED:
            return AgentRefused(f"another agent has joined {cluster} since, and replaced this one")
        case Verdict.REVOKED | Verdict.LOCKED:
            return AgentRefused(record.message)
        case _:
            raise Internal(f"a verdict of {verdict} is no refusal")
