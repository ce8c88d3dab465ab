"""Clusters, their join tokens and their add-ons: `Client.clusters`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from grpc import aio

from skerry import paging, watching
from skerry.calls import Calls
from skerry.platform.v1 import cluster_pb2, cluster_pb2_grpc


class Clusters:
    """The Kubernetes clusters that agents have joined, or may join. All methods raise SkerryError."""

    def __init__(self, calls: Calls, channel: aio.Channel) -> None:
        self._calls = calls
        self._stub = cluster_pb2_grpc.ClusterServiceStub(channel)

    def list(self, *, page_size: int = 0) -> AsyncGenerator[cluster_pb2.Cluster, None]:
        """All clusters by name."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListClusters,
                cluster_pb2.ListClustersRequest(page_size=page_size, page_token=token),
            ),
            lambda page: page.clusters,
        )

    async def get(self, name: str) -> cluster_pb2.Cluster:
        """One cluster by its name, `clusters/{cluster}`."""
        request = cluster_pb2.GetClusterRequest(name=name)
        return (await self._calls.unary(self._stub.GetCluster, request)).cluster

    async def create(
        self, cluster_id: str, *, display_name: str = "", request_id: str | None = None
    ) -> cluster_pb2.Cluster:
        """Make a cluster that an agent can then join."""
        request = cluster_pb2.CreateClusterRequest(
            cluster_id=cluster_id,
            display_name=display_name,
            request_id=request_id or self._calls.request_ids(),
        )
        return (await self._calls.unary(self._stub.CreateCluster, request)).cluster

    async def delete(self, name: str, *, etag: str = "", request_id: str | None = None) -> None:
        """Forget a cluster that holds no environments."""
        request = cluster_pb2.DeleteClusterRequest(
            name=name, etag=etag, request_id=request_id or self._calls.request_ids()
        )
        await self._calls.unary(self._stub.DeleteCluster, request)

    async def create_join_token(
        self, name: str, *, ttl: timedelta | None = None, request_id: str | None = None
    ) -> cluster_pb2.CreateJoinTokenResponse:
        """A token with which one agent can join, once; one hour valid unless `ttl` says otherwise.

        Never repeated by itself: the server shows a token once and refuses to do so again.
        """
        request = cluster_pb2.CreateJoinTokenRequest(
            parent=name, request_id=request_id or self._calls.request_ids()
        )
        if ttl is not None:
            span = Duration()
            span.FromTimedelta(ttl)
            request.ttl.CopyFrom(span)
        return await self._calls.unary(self._stub.CreateJoinToken, request, repeatable=False)

    def list_join_tokens(
        self, name: str, *, page_size: int = 0
    ) -> AsyncGenerator[cluster_pb2.JoinToken, None]:
        """A cluster's join tokens that can still be used; never their secrets."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListJoinTokens,
                cluster_pb2.ListJoinTokensRequest(
                    parent=name, page_size=page_size, page_token=token
                ),
            ),
            lambda page: page.join_tokens,
        )

    async def delete_join_token(self, name: str, *, request_id: str | None = None) -> None:
        """Make a join token (`clusters/{cluster}/joinTokens/{uid}`) worthless before its time."""
        request = cluster_pb2.DeleteJoinTokenRequest(
            name=name, request_id=request_id or self._calls.request_ids()
        )
        await self._calls.unary(self._stub.DeleteJoinToken, request)

    async def revoke_identity(
        self, name: str, *, request_id: str | None = None
    ) -> cluster_pb2.Cluster:
        """Take the agent's identity away: its link is cut at once, and it must join again."""
        request = cluster_pb2.RevokeClusterIdentityRequest(
            name=name, request_id=request_id or self._calls.request_ids()
        )
        return (await self._calls.unary(self._stub.RevokeClusterIdentity, request)).cluster

    async def rotate_identity(
        self, name: str, *, request_id: str | None = None
    ) -> cluster_pb2.Cluster:
        """Ask the agent for a new key and certificate now; unlocks an identity of which there was a copy."""
        request = cluster_pb2.RotateClusterIdentityRequest(
            name=name, request_id=request_id or self._calls.request_ids()
        )
        return (await self._calls.unary(self._stub.RotateClusterIdentity, request)).cluster

    def watch(
        self, *, on_cut: watching.OnCut = watching.ignore_cut
    ) -> AsyncGenerator[watching.Event[cluster_pb2.Cluster], None]:
        """Every cluster, then each change; goes on after a cut."""
        return watching.watch(
            self._calls,
            lambda token: self._calls.stream(
                self._stub.WatchClusters, cluster_pb2.WatchClustersRequest(resume_token=token)
            ),
            lambda response: response.cluster,
            lambda response: response.resume_token,
            on_cut,
        )

    def list_add_ons(
        self, name: str, *, page_size: int = 0
    ) -> AsyncGenerator[cluster_pb2.AddOn, None]:
        """A cluster's add-ons by name, as its agent last reported them."""
        return paging.each(
            lambda token: self._calls.unary(
                self._stub.ListAddOns,
                cluster_pb2.ListAddOnsRequest(parent=name, page_size=page_size, page_token=token),
            ),
            lambda page: page.add_ons,
        )

    def watch_add_ons(
        self, name: str, *, on_cut: watching.OnCut = watching.ignore_cut
    ) -> AsyncGenerator[watching.Event[cluster_pb2.AddOn], None]:
        """Every add-on of a cluster, then each change; starts anew (RESET) after a cut."""
        return watching.watch(
            self._calls,
            lambda _: self._calls.stream(
                self._stub.WatchAddOns, cluster_pb2.WatchAddOnsRequest(parent=name)
            ),
            lambda response: response.add_on,
            lambda _: "",
            on_cut,
        )
