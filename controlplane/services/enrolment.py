"""Enrolment: a join token becomes a certificate, once. Called by `link`'s enrolment servicer."""

import hashlib

import structlog

from controlplane.domain import agent_identity
from controlplane.domain.audit import OK, AuditAction
from controlplane.domain.clock import Clock
from controlplane.domain.clusters import Enrolment, JoinToken
from controlplane.domain.errors import JoinTokenExpired, JoinTokenInvalid, JoinTokenUsed
from controlplane.services.ports import Agents, CertificateAuthority
from controlplane.services.presence import Presence
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction

_log = structlog.get_logger(__name__)

_METHOD = "skerry.agent.v1.EnrollmentService/Enroll"
_AGAIN = "make a new one with `skerry cluster join-token`"


class EnrolmentService:
    """Trades join tokens for certificates."""

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

    async def enroll(self, secret: bytes, csr_der: bytes, agent_version: str) -> Enrolment:
        """Use up the token and sign the request. A cluster has one agent: the certificate given before stops being valid.

        Raises JoinTokenInvalid, JoinTokenExpired, JoinTokenUsed; InvalidField (`csr`) leaves the token unused.
        """
        secret_hash = hashlib.sha256(secret).digest()
        async with self._store.reading() as tx:
            await _usable(tx, secret_hash)
        # Looked at before the token is used up, so that a malformed request does not cost one.
        self._ca.requested_key(csr_der)
        async with self._store.transaction() as tx:
            # Again, in the transaction that uses it: of two agents with the same token one gets in.
            token = await _usable(tx, secret_hash)
            cluster = await tx.clusters.get_by_uid(token.cluster_uid)
            if cluster is None or not await tx.join_tokens.use(token.uid, tx.now):
                raise JoinTokenUsed(f"the join token was used before: {_AGAIN}")
            before = await tx.agent_identities.get(cluster.uid)
            generation = agent_identity.next_generation(before)
            signed = self._ca.sign(csr_der, cluster_uid=cluster.uid, generation=generation)
            record = agent_identity.joined(
                cluster.uid,
                before,
                fingerprint=signed.fingerprint,
                authority=signed.authority,
                now=tx.now,
                expire_time=signed.expire_time,
            )
            await tx.agent_identities.save(record)
            action = AuditAction(
                _METHOD, "", "", actor=f"{cluster.name}/agent", resource=str(cluster.name)
            )
            action.details = {"generation": str(generation)}
            await tx.audit.append(action, OK)
            await tx.clusters.enrolled(cluster.uid, agent_version[:100], tx.now)
            await tx.clusters.note_connection_change(cluster.uid)
            now = tx.now
            tx.after_commit(lambda: self._presence.enrolled(cluster.uid, now))
        _log.info("agent_enrolled", cluster=str(cluster.name), generation=generation)
        if generation > 1:
            await self._agents.disconnect(cluster.uid, "another agent enrolled for this cluster")
        return Enrolment(
            certificate_der=signed.certificate_der,
            ca_certificates_der=signed.ca_certificates_der,
            cluster=cluster.name,
            cluster_uid=cluster.uid,
            expire_time=signed.expire_time,
        )


async def _usable(tx: Transaction, secret_hash: bytes) -> JoinToken:
    """The token of a secret, if an agent may still join with it."""
    token = await tx.join_tokens.get(secret_hash)
    if token is None:
        raise JoinTokenInvalid(f"the join token is not one of this control plane: {_AGAIN}")
    if token.use_time is not None:
        raise JoinTokenUsed(
            f"the join token was used before, at {token.use_time:%Y-%m-%d %H:%M:%S} UTC: {_AGAIN}"
        )
    if token.expire_time <= tx.now:
        raise JoinTokenExpired(
            f"the join token expired at {token.expire_time:%Y-%m-%d %H:%M:%S} UTC: {_AGAIN}"
        )
    return token
