"""Clusters, what their agents found, and their add-ons."""

from skerry.platform.v1 import cluster_pb2

from controlplane.api.convert import common
from controlplane.domain.addons import AddOn
from controlplane.domain.clusters import (
    Cluster,
    ClusterFacts,
    IdentityStatus,
    JoinToken,
    NodeFacts,
    StorageClassFacts,
)
from controlplane.domain.link_health import LinkHealth
from controlplane.domain.names import ClusterName, JoinTokenName
from controlplane.domain.requests import WatchEvent


def cluster(value: Cluster) -> cluster_pb2.Cluster:
    """`platform.v1.Cluster`."""
    return cluster_pb2.Cluster(
        name=str(value.name),
        uid=value.uid,
        display_name=value.display_name,
        connection=common.enum_value(
            cluster_pb2.ConnectionState, "CONNECTION_STATE", value.connection
        ),
        last_seen_time=common.timestamp(value.last_seen_time),
        round_trip=common.duration(value.round_trip),
        agent_version=value.agent_version,
        facts=facts(value.facts) if value.facts else None,
        create_time=common.timestamp(value.create_time),
        update_time=common.timestamp(value.update_time),
        etag=value.etag,
        identity=_identity(value.identity) if value.identity else None,
        link=_link(value.link) if value.link else None,
    )


def _link(value: LinkHealth) -> cluster_pb2.LinkHealth:
    message = cluster_pb2.LinkHealth(
        problems=[
            cluster_pb2.LinkProblem(
                reason=common.enum_value(
                    cluster_pb2.LinkProblemReason, "LINK_PROBLEM_REASON", problem.reason
                ),
                message=problem.message,
            )
            for problem in value.problems
        ],
        reconnects_last_hour=value.reconnects_last_hour,
        last_disconnect_reason=value.last_disconnect_reason,
        last_disconnect_time=common.timestamp(value.last_disconnect_time),
        pending_commands=value.pending_commands,
    )
    if sample := value.sample:
        message.MergeFrom(
            cluster_pb2.LinkHealth(
                smoothed_round_trip=common.duration(sample.smoothed_round_trip),
                epoch=sample.epoch,
                protocol=sample.protocol,
                capabilities=sample.capabilities,
                connect_time=common.timestamp(sample.connect_time),
                streams=[
                    cluster_pb2.LinkStreams(kind=kind, count=count)
                    for kind, count in sorted(sample.streams.items())
                ],
                received_bytes=sample.received_bytes,
                sent_bytes=sample.sent_bytes,
            )
        )
    return message


def _identity(value: IdentityStatus) -> cluster_pb2.ClusterIdentity:
    return cluster_pb2.ClusterIdentity(
        state=common.enum_value(cluster_pb2.IdentityState, "IDENTITY_STATE", value.state),
        message=value.message,
        generation=value.generation,
        used_generation=value.used_generation,
        expire_time=common.timestamp(value.expire_time),
        renewal_pending=value.renewal_pending,
        authority=value.used_authority.hex(),
    )


def join_token(parent: ClusterName, value: JoinToken) -> cluster_pb2.JoinToken:
    """`platform.v1.JoinToken`."""
    return cluster_pb2.JoinToken(
        name=str(JoinTokenName(parent.cluster, value.uid)),
        create_time=common.timestamp(value.create_time),
        expire_time=common.timestamp(value.expire_time),
    )


def cluster_event(event: WatchEvent[Cluster]) -> cluster_pb2.WatchClustersResponse:
    """One event of WatchClusters."""
    return cluster_pb2.WatchClustersResponse(
        type=common.event_type(event.type),
        cluster=common.event_resource(
            event, cluster, lambda name, uid: cluster_pb2.Cluster(name=name, uid=uid)
        ),
        resume_token=event.resume_token,
    )


def facts(value: ClusterFacts) -> cluster_pb2.ClusterFacts:
    """`platform.v1.ClusterFacts`; what the agent could not tell stays unset."""
    return cluster_pb2.ClusterFacts(
        kubernetes_version=value.kubernetes_version,
        distribution=value.distribution,
        nodes=[_node(item) for item in value.nodes],
        storage_classes=[_storage_class(item) for item in value.storage_classes],
        helm_controller=value.helm_controller,
        network_policy_enforced=value.network_policy_enforced,
        network_policy_message=value.network_policy_message,
        observe_time=common.timestamp(value.observe_time),
    )


def add_on(value: AddOn) -> cluster_pb2.AddOn:
    """`platform.v1.AddOn`."""
    return cluster_pb2.AddOn(
        name=str(value.name),
        version=value.version,
        state=common.enum_value(cluster_pb2.AddOnState, "ADD_ON_STATE", value.state),
        message=value.message,
        log_tail=value.log_tail,
        attempts=value.attempts,
        retry_time=common.timestamp(value.retry_time),
        transition_time=common.timestamp(value.transition_time),
        depends_on=value.depends_on,
    )


def add_on_event(event: WatchEvent[AddOn]) -> cluster_pb2.WatchAddOnsResponse:
    """One event of WatchAddOns."""
    return cluster_pb2.WatchAddOnsResponse(
        type=common.event_type(event.type),
        add_on=common.event_resource(
            event, add_on, lambda name, _uid: cluster_pb2.AddOn(name=name)
        ),
    )


def _node(value: NodeFacts) -> cluster_pb2.Node:
    return cluster_pb2.Node(
        name=value.name,
        ready=value.ready,
        kubelet_version=value.kubelet_version,
        architecture=value.architecture,
        cpu_millis=value.cpu_millis,
        memory_bytes=value.memory_bytes,
        addresses=value.addresses,
    )


def _storage_class(value: StorageClassFacts) -> cluster_pb2.StorageClass:
    return cluster_pb2.StorageClass(
        name=value.name, provisioner=value.provisioner, is_default=value.is_default
    )
