"""Clusters, their agents' identities, and what the agents found."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from controlplane.domain.agent_identity import IdentityState
from controlplane.domain.link_health import LinkHealth
from controlplane.domain.names import ClusterName

# How long after the last sign of life a cluster reads UNKNOWN before it reads OFFLINE.
OFFLINE_AFTER = timedelta(seconds=60)
# A live connection that was silent for longer reads UNKNOWN: by then the link has given the agent up, or its line is very long.
STALE_AFTER = timedelta(seconds=20)


class ConnectionState(StrEnum):
    """Whether the agent is connected; names of `platform.v1.ConnectionState` without the prefix."""

    NEVER_JOINED = "NEVER_JOINED"
    ONLINE = "ONLINE"
    DEGRADED = "DEGRADED"
    UNKNOWN = "UNKNOWN"
    OFFLINE = "OFFLINE"


def connection_state(last_seen: datetime | None, *, live: bool, now: datetime) -> ConnectionState:
    """Derive the state from the last sign of life and whether a connection is up; never DEGRADED, which takes a look at the link.

    `last_seen` is None only before an agent enrolled.
    """
    if last_seen is None:
        return ConnectionState.NEVER_JOINED
    silent = now - last_seen
    if live and silent <= STALE_AFTER:
        return ConnectionState.ONLINE
    return ConnectionState.UNKNOWN if silent < OFFLINE_AFTER else ConnectionState.OFFLINE


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """One machine; `cpu_millis` and `memory_bytes` are allocatable."""

    name: str
    ready: bool
    kubelet_version: str
    architecture: str
    cpu_millis: int
    memory_bytes: int
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StorageClassFacts:
    """One storage class."""

    name: str
    provisioner: str
    is_default: bool


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """What the agent found; the two optional flags are None when it could not tell."""

    kubernetes_version: str
    distribution: str
    nodes: tuple[NodeFacts, ...]
    storage_classes: tuple[StorageClassFacts, ...]
    helm_controller: bool | None
    network_policy_enforced: bool | None
    network_policy_message: str
    observe_time: datetime | None


@dataclass(frozen=True, slots=True)
class IdentityStatus:
    """What people may know of the identity of a cluster's agent; see `domain.agent_identity`."""

    state: IdentityState
    message: str
    generation: int
    used_generation: int
    expire_time: datetime
    renewal_pending: bool
    used_authority: bytes


@dataclass(frozen=True, slots=True)
class Cluster:
    """One Kubernetes cluster.

    `connection`, `last_seen_time` and `round_trip` are as the service saw them when it answered. `epoch` counts the agent's
    connections; `boot_id` is the agent process's.
    """

    uid: str
    name: ClusterName
    display_name: str
    connection: ConnectionState
    last_seen_time: datetime | None
    round_trip: timedelta | None
    agent_version: str
    boot_id: str
    epoch: int
    facts: ClusterFacts | None
    generation: int
    create_time: datetime
    update_time: datetime
    identity: IdentityStatus | None = None
    link: LinkHealth | None = None

    @property
    def etag(self) -> str:
        return f"{self.uid[-8:]}-{self.generation}"


@dataclass(frozen=True, slots=True)
class JoinToken:
    """A join token as stored: only the SHA-256 of its secret."""

    uid: str
    cluster_uid: str
    secret_hash: bytes
    create_time: datetime
    expire_time: datetime
    use_time: datetime | None


@dataclass(frozen=True, slots=True)
class IssuedJoinToken:
    """A join token just made. `secret` (32 random bytes) exists here and nowhere else."""

    secret: bytes
    cluster: ClusterName
    expire_time: datetime

    def __repr__(self) -> str:
        return f"IssuedJoinToken(cluster={self.cluster}, expire_time={self.expire_time})"


@dataclass(frozen=True, slots=True)
class AgentIdentity:
    """Who is at the other end of a link: the cluster, and the key that must have signed the challenge (SPKI DER)."""

    cluster_uid: str
    cluster: ClusterName
    public_key_der: bytes
    generation: int = 0
    """Of the certificate shown."""
    authority: bytes = b""
    """SHA-256 of the CA certificate that signed it."""
    expired: bool = False
    """It ended within the grace window: the agent gets in only by renewing it in the same breath."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The answer to a successful enrolment."""

    certificate_der: bytes
    ca_certificates_der: tuple[bytes, ...]
    cluster: ClusterName
    cluster_uid: str
    expire_time: datetime
