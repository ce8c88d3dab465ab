"""When an agent is still the agent it says it is: generations of certificates, copies, revocation. Pure.

Each certificate given to a cluster's agents has a number of its own, the generation. The record remembers three of them:
where the present join began, the newest that an agent has shown to hold, and the newest given out. An agent never uses a
certificate before it is safe on its disk, so one that comes with less than what was used already is a copy of its disk (or
a backup). Nothing between the two is one: that is an agent whose answer got lost. Called by `services.agent_identities`.
"""

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum

_JOIN_AGAIN = "make a join token with `skerry cluster join-token` and start the agent with it"


class IdentityState(StrEnum):
    """Names of `platform.v1.IdentityState` without the prefix."""

    ACTIVE = "ACTIVE"
    REVOKED = "REVOKED"
    LOCKED = "LOCKED"


class Verdict(Enum):
    """What a certificate with a valid signature is worth."""

    ADMIT = "admit"
    REPLACED = "it belongs to an earlier join"
    COPIED = "a newer certificate was used already"
    REVOKED = "somebody took the identity away"
    LOCKED = "a copy was seen before"


@dataclass(frozen=True, slots=True)
class PendingCertificate:
    """The newest certificate while nobody has used it: asked for again with the same key, it is given again."""

    public_key_der: bytes
    certificate_der: bytes


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """What is known of the identity of one cluster's agent.

    `joined_fingerprint` is of the join's certificate, which is how certificates without a generation are known. `authority`
    and `used_authority` are SHA-256 of the CA certificates that signed the newest certificate and the one in use.
    Certificates up to `renew_through` are to be renewed at once.
    """

    cluster_uid: str
    state: IdentityState
    joined_fingerprint: bytes
    first_generation: int
    used_generation: int
    generation: int
    renew_through: int
    authority: bytes
    used_authority: bytes
    pending: PendingCertificate | None
    message: str
    create_time: datetime
    expire_time: datetime

    @property
    def renewal_pending(self) -> bool:
        """The agent was asked to renew and has not shown a new certificate yet."""
        return self.used_generation <= self.renew_through

    def generation_of(self, generation: int, fingerprint: bytes) -> int:
        """The generation of a certificate that says this one; those from before generations say 0."""
        if generation == 0 and fingerprint == self.joined_fingerprint:
            return self.first_generation
        return generation

    def judge(self, generation: int) -> Verdict:
        """What a certificate of this generation is worth now."""
        if generation < self.first_generation:
            return Verdict.REPLACED
        if self.state is IdentityState.REVOKED:
            return Verdict.REVOKED
        if self.state is IdentityState.LOCKED:
            return Verdict.LOCKED
        if generation < self.used_generation:
            return Verdict.COPIED
        return Verdict.ADMIT

    def used(self, generation: int, authority: bytes) -> "AgentRecord":
        """An agent has shown that it holds this certificate: older ones are copies from here on.

        A generation that this record does not know comes from before a backup of the database: it is taken over.
        """
        return dataclasses.replace(
            self,
            used_generation=generation,
            generation=max(self.generation, generation),
            used_authority=authority,
            pending=None if generation >= self.generation else self.pending,
        )

    def given(
        self,
        public_key_der: bytes,
        certificate_der: bytes,
        *,
        authority: bytes,
        now: datetime,
        expire_time: datetime,
    ) -> "AgentRecord":
        """The next certificate is on its way; the one in use stays valid until this one is used."""
        return dataclasses.replace(
            self,
            generation=self.generation + 1,
            pending=PendingCertificate(public_key_der, certificate_der),
            authority=authority,
            create_time=now,
            expire_time=expire_time,
        )

    def revoked(self, message: str) -> "AgentRecord":
        """No certificate given so far is worth anything from here on."""
        return dataclasses.replace(
            self, state=IdentityState.REVOKED, message=message, pending=None, renew_through=0
        )

    def locked(self, generation: int) -> "AgentRecord":
        """Two hold the same identity, and nobody can tell which is the right one."""
        message = (
            f"an agent came with certificate {generation} although {self.used_generation} was used already: there is a "
            "copy of its state, or a backup was restored. Stop the copy, then unlock with `skerry cluster rotate` and "
            f"restart the agent; or {_JOIN_AGAIN}"
        )
        return dataclasses.replace(
            self, state=IdentityState.LOCKED, message=message, pending=None, renew_through=0
        )

    def rotated(self) -> "AgentRecord":
        """The agent is to renew now. Unlocking admits any certificate of this join once: the first to come keeps the identity."""
        unlocked = self.state is IdentityState.LOCKED
        return dataclasses.replace(
            self,
            state=IdentityState.ACTIVE,
            used_generation=self.first_generation if unlocked else self.used_generation,
            renew_through=self.generation,
            message="",
        )


def joined(
    cluster_uid: str,
    before: AgentRecord | None,
    *,
    fingerprint: bytes,
    authority: bytes,
    now: datetime,
    expire_time: datetime,
) -> AgentRecord:
    """The record after an agent joined: everything given before belongs to an earlier join."""
    generation = next_generation(before)
    return AgentRecord(
        cluster_uid=cluster_uid,
        state=IdentityState.ACTIVE,
        joined_fingerprint=fingerprint,
        first_generation=generation,
        used_generation=generation,
        generation=generation,
        renew_through=0,
        authority=authority,
        used_authority=authority,
        pending=None,
        message="",
        create_time=now,
        expire_time=expire_time,
    )


def next_generation(record: AgentRecord | None) -> int:
    """The number of the certificate to be signed next, from 1."""
    return 1 if record is None else record.generation + 1
