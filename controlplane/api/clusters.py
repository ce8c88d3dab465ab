"""ClusterService at the border."""

from collections.abc import AsyncIterator, Callable

from skerry.platform.v1 import cluster_pb2, cluster_pb2_grpc
from skerry.wire.join_token import JoinToken

from controlplane.api import caller, streams
from controlplane.api.convert import clusters as convert
from controlplane.api.convert import common
from controlplane.api.interceptors.call import Context
from controlplane.domain.names import ClusterName, JoinTokenName
from controlplane.services.addons import AddOnService
from controlplane.services.agent_identities import AgentIdentities
from controlplane.services.clusters import ClusterService


class ClusterServicer(cluster_pb2_grpc.ClusterServiceServicer):
    """Clusters, their join tokens and add-ons. `agent_address` is where agents connect."""

    def __init__(
        self,
        clusters: ClusterService,
        add_ons: AddOnService,
        identities: AgentIdentities,
        *,
        agent_address: str,
        ca_der: Callable[[], bytes],
    ) -> None:
        self._clusters = clusters
        self._add_ons = add_ons
        self._identities = identities
        self._agent_address = agent_address
        self._ca_der = ca_der

    async def CreateCluster(
        self, request: cluster_pb2.CreateClusterRequest, _context: Context
    ) -> cluster_pb2.CreateClusterResponse:
        cluster = await self._clusters.create_cluster(
            request.cluster_id, request.display_name, key=caller.idempotency_key(request)
        )
        return cluster_pb2.CreateClusterResponse(cluster=convert.cluster(cluster))

    async def GetCluster(
        self, request: cluster_pb2.GetClusterRequest, _context: Context
    ) -> cluster_pb2.GetClusterResponse:
        cluster = await self._clusters.get_cluster(ClusterName.parse(request.name))
        return cluster_pb2.GetClusterResponse(cluster=convert.cluster(cluster))

    async def ListClusters(
        self, request: cluster_pb2.ListClustersRequest, _context: Context
    ) -> cluster_pb2.ListClustersResponse:
        page = await self._clusters.list_clusters(
            common.page_request(request), visible=caller.visible()
        )
        return cluster_pb2.ListClustersResponse(
            clusters=[convert.cluster(item) for item in page.items],
            next_page_token=page.next_token,
        )

    async def DeleteCluster(
        self, request: cluster_pb2.DeleteClusterRequest, _context: Context
    ) -> cluster_pb2.DeleteClusterResponse:
        await self._clusters.delete_cluster(
            ClusterName.parse(request.name),
            etag=request.etag,
            key=caller.idempotency_key(request),
        )
        return cluster_pb2.DeleteClusterResponse()

    def WatchClusters(
        self, request: cluster_pb2.WatchClustersRequest, _context: Context
    ) -> AsyncIterator[cluster_pb2.WatchClustersResponse]:
        return streams.converted(
            self._clusters.watch_clusters(request.resume_token, visible=caller.visible),
            convert.cluster_event,
        )

    async def CreateJoinToken(
        self, request: cluster_pb2.CreateJoinTokenRequest, _context: Context
    ) -> cluster_pb2.CreateJoinTokenResponse:
        issued = await self._clusters.create_join_token(
            ClusterName.parse(request.parent, "parent"),
            common.span(request, "ttl"),
            key=caller.idempotency_key(request),
        )
        address = self._agent_address
        token = JoinToken(
            address=address,
            ca_der=self._ca_der(),
            secret=issued.secret,
            cluster=str(issued.cluster),
        )
        return cluster_pb2.CreateJoinTokenResponse(
            token=token.encode(),
            expire_time=common.timestamp(issued.expire_time),
            agent_address=address,
        )

    async def ListJoinTokens(
        self, request: cluster_pb2.ListJoinTokensRequest, _context: Context
    ) -> cluster_pb2.ListJoinTokensResponse:
        parent = ClusterName.parse(request.parent, "parent")
        page = await self._clusters.list_join_tokens(parent, common.page_request(request))
        return cluster_pb2.ListJoinTokensResponse(
            join_tokens=[convert.join_token(parent, item) for item in page.items],
            next_page_token=page.next_token,
        )

    async def DeleteJoinToken(
        self, request: cluster_pb2.DeleteJoinTokenRequest, _context: Context
    ) -> cluster_pb2.DeleteJoinTokenResponse:
        await self._clusters.delete_join_token(
            JoinTokenName.parse(request.name), key=caller.idempotency_key(request)
        )
        return cluster_pb2.DeleteJoinTokenResponse()

    async def RevokeClusterIdentity(
        self, request: cluster_pb2.RevokeClusterIdentityRequest, _context: Context
    ) -> cluster_pb2.RevokeClusterIdentityResponse:
        cluster = await self._identities.revoke(
            ClusterName.parse(request.name), key=caller.idempotency_key(request)
        )
        return cluster_pb2.RevokeClusterIdentityResponse(cluster=convert.cluster(cluster))

    async def RotateClusterIdentity(
        self, request: cluster_pb2.RotateClusterIdentityRequest, _context: Context
    ) -> cluster_pb2.RotateClusterIdentityResponse:
        cluster = await self._identities.rotate(
            ClusterName.parse(request.name), key=caller.idempotency_key(request)
        )
        return cluster_pb2.RotateClusterIdentityResponse(cluster=convert.cluster(cluster))

    async def ListAddOns(
        self, request: cluster_pb2.ListAddOnsRequest, _context: Context
    ) -> cluster_pb2.ListAddOnsResponse:
        page = await self._add_ons.list_add_ons(
            ClusterName.parse(request.parent, "parent"), common.page_request(request)
        )
        return cluster_pb2.ListAddOnsResponse(
            add_ons=[convert.add_on(item) for item in page.items],
            next_page_token=page.next_token,
        )

    def WatchAddOns(
        self, request: cluster_pb2.WatchAddOnsRequest, _context: Context
    ) -> AsyncIterator[cluster_pb2.WatchAddOnsResponse]:
        return streams.converted(
            self._add_ons.watch_add_ons(ClusterName.parse(request.parent, "parent")),
            convert.add_on_event,
        )
