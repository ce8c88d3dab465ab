"""Clusters: joining, watching, and everything that can be wrong with a join token."""

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from skerry.agent.v1 import enrollment_pb2, enrollment_pb2_grpc, report_pb2
from skerry.platform.v1 import cluster_pb2, cluster_pb2_grpc

from agent.link import EnrolmentError, IdentityStore, LinkRefused, enrol
from controlplane.domain.clock import SystemClock
from controlplane.pki.authority import CertificateAuthority
from tests.integration.controlplane.harness import (
    PATIENCE,
    Worker,
    agent,
    control_plane,
    failure,
    join_token,
)

HOME = "clusters/home"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def next_of(events: Any, *types: str) -> cluster_pb2.WatchClustersResponse:
    """The next event of one of these types; heartbeats and others are passed over."""
    wanted = {cluster_pb2.EventType.Value(f"EVENT_TYPE_{name}") for name in types}
    while True:
        event = await asyncio.wait_for(events.read(), PATIENCE)
        assert event is not grpc.aio.EOF
        if event.type in wanted:
            return event


async def test_a_cluster_is_made_read_and_deleted(data_dir: Path) -> None:
    async with control_plane(data_dir) as plane:
        clusters = plane.stub(cluster_pb2_grpc.ClusterServiceStub)
        made = (
            await clusters.CreateCluster(cluster_pb2.CreateClusterRequest(cluster_id="home"))
        ).cluster
        assert made.connection == cluster_pb2.CONNECTION_STATE_NEVER_JOINED
        assert not made.HasField("facts")
        listed = await clusters.ListClusters(cluster_pb2.ListClustersRequest())
        assert [item.name for item in listed.clusters] == [HOME]
        await clusters.DeleteCluster(cluster_pb2.DeleteClusterRequest(name=HOME, etag=made.etag))
        failed = await failure(clusters.GetCluster(cluster_pb2.GetClusterRequest(name=HOME)))
        assert failed.reason == "RESOURCE_NOT_FOUND"


async def test_an_agent_joins_and_the_cluster_is_online(data_dir: Path, tmp_path: Path) -> None:
    async with control_plane(data_dir) as plane:
        clusters = plane.stub(cluster_pb2_grpc.ClusterServiceStub)
        async with agent(plane, Worker(), tmp_path / "agent"):
            got = await clusters.GetCluster(cluster_pb2.GetClusterRequest(name=HOME))
            assert got.cluster.connection == cluster_pb2.CONNECTION_STATE_ONLINE
            assert got.cluster.agent_version == "test"


async def test_what_the_agent_finds_is_shown(data_dir: Path, tmp_path: Path) -> None:
    facts = report_pb2.ClusterFacts(kubernetes_version="v1.35.4", network_policy_enforced=False)
    add_on = report_pb2.AddOnStatus(
        name="garage", state="FAILED", message="no such chart", attempts=2
    )
    async with (
        control_plane(data_dir) as plane,
        agent(plane, Worker(), tmp_path / "agent") as running,
    ):
        clusters = plane.stub(cluster_pb2_grpc.ClusterServiceStub)
        watch = clusters.WatchAddOns(cluster_pb2.WatchAddOnsRequest(parent=HOME))
        synced = await asyncio.wait_for(watch.read(), PATIENCE)
        assert synced.type == cluster_pb2.EVENT_TYPE_SYNCED
        running.board.put("facts", facts)
        running.board.put("addons/garage", add_on)
        event = await asyncio.wait_for(watch.read(), PATIENCE)
        assert event.add_on.name == f"{HOME}/addOns/garage"
        assert event.add_on.state == cluster_pb2.ADD_ON_STATE_FAILED
        watch.cancel()
        listed = await clusters.ListAddOns(cluster_pb2.ListAddOnsRequest(parent=HOME))
        assert [item.attempts for item in listed.add_ons] == [2]
        got = (await clusters.GetCluster(cluster_pb2.GetClusterRequest(name=HOME))).cluster
        assert got.facts.kubernetes_version == "v1.35.4"
        assert got.facts.HasField("network_policy_enforced")
        assert not got.facts.HasField("helm_controller")


async def test_a_watch_has_snapshot_synced_changes_and_heartbeats(data_dir: Path) -> None:
    async with control_plane(data_dir, fast=True) as plane:
        clusters = plane.stub(cluster_pb2_grpc.ClusterServiceStub)
        await clusters.CreateCluster(cluster_pb2.CreateClusterRequest(cluster_id="home"))
        watch = clusters.WatchClusters(cluster_pb2.WatchClustersRequest())
        first = await asyncio.wait_for(watch.read(), PATIENCE)
        assert (first.type, first.cluster.name) == (cluster_pb2.EVENT_TYPE_SNAPSHOT, HOME)
        second = await asyncio.wait_for(watch.read(), PATIENCE)
        assert second.type == cluster_pb2.EVENT_TYPE_SYNCED
        await next_of(watch, "HEARTBEAT")
        await clusters.CreateCluster(cluster_pb2.CreateClusterRequest(cluster_id="away"))
        changed = await next_of(watch, "UPDATED")
        assert changed.cluster.name == "clusters/away"
        await clusters.DeleteCluster(cluster_pb2.DeleteClusterRequest(name="clusters/away"))
        gone = await next_of(watch, "DELETED")
        assert gone.cluster.name == "clusters/away"
        watch.cancel()


async def test_a_watch_goes_on_behind_its_resume_token(data_dir: Path) -> None:
    async with control_plane(data_dir) as plane:
        clusters = plane.stub(cluster_pb2_grpc.ClusterServiceStub)
        watch = clusters.WatchClusters(cluster_pb2.WatchClustersRequest())
        synced = await next_of(watch, "SYNCED")
        watch.cancel()
        await clusters.CreateCluster(cluster_pb2.CreateClusterRequest(cluster_id="home"))
        again = clusters.WatchClusters(
            cluster_pb2.WatchClustersRequest(resume_token=synced.resume_token)
        )
        event = await next_of(again, "UPDATED", "SNAPSHOT")
        assert (event.type, event.cluster.name) == (cluster_pb2.EVENT_TYPE_UPDATED, HOME)
        again.cancel()


async def test_a_resume_token_of_nobody_asks_for_a_fresh_start(data_dir: Path) -> None:
    async with control_plane(data_dir) as plane:
        clusters = plane.stub(cluster_pb2_grpc.ClusterServiceStub)
        watch = clusters.WatchClusters(cluster_pb2.WatchClustersRequest(resume_token="made-up"))
        failed = await failure(watch)
    assert (failed.code, failed.reason) == (grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED")


async def test_a_join_token_leads_to_this_control_plane(data_dir: Path) -> None:
    async with control_plane(data_dir) as plane:
        token = await join_token(plane)
        assert token.address == f"127.0.0.1:{plane.running.agent_port}"
        assert token.cluster == HOME
        pem = (data_dir / "pki" / "ca.crt").read_bytes()
        assert plane.running.ca_pem == pem


async def test_a_join_token_is_not_shown_twice(data_dir: Path) -> None:
    async with control_plane(data_dir) as plane:
        await join_token(plane)
        clusters = plane.stub(cluster_pb2_grpc.ClusterServiceStub)
        request = cluster_pb2.CreateJoinTokenRequest(parent=HOME, request_id=str(uuid.uuid4()))
        await clusters.CreateJoinToken(request)
        failed = await failure(clusters.CreateJoinToken(request))
    assert failed.code is grpc.StatusCode.ALREADY_EXISTS


@pytest.mark.parametrize("seconds", [-1, 0, 24 * 3600 + 1, 400_000_000_000])
async def test_a_join_token_lives_a_day_at_most(data_dir: Path, seconds: int) -> None:
    async with control_plane(data_dir) as plane:
        await join_token(plane)
        clusters = plane.stub(cluster_pb2_grpc.ClusterServiceStub)
        request = cluster_pb2.CreateJoinTokenRequest(parent=HOME, ttl=Duration(seconds=seconds))
        failed = await failure(clusters.CreateJoinToken(request))
    assert [item.field for item in failed.details["BadRequest"].field_violations] == ["ttl"]


async def test_a_join_token_admits_one_agent(data_dir: Path, tmp_path: Path) -> None:
    async with control_plane(data_dir) as plane:
        token = await join_token(plane)
        await enrol(token, IdentityStore(tmp_path / "a"), agent_version="test")
        with pytest.raises(EnrolmentError, match="used before"):
            await enrol(token, IdentityStore(tmp_path / "b"), agent_version="test")


async def test_an_expired_join_token_is_refused(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with control_plane(data_dir) as plane:
        token = await join_token(plane)
        real = SystemClock.now
        monkeypatch.setattr(SystemClock, "now", lambda self: real(self) + timedelta(hours=2))
        with pytest.raises(EnrolmentError, match="has expired"):
            await enrol(token, IdentityStore(tmp_path / "a"), agent_version="test")


async def test_a_join_token_nobody_made_is_refused(data_dir: Path, tmp_path: Path) -> None:
    async with control_plane(data_dir) as plane:
        token = replace(await join_token(plane), secret=bytes(32))
        with pytest.raises(EnrolmentError, match="does not know this join token"):
            await enrol(token, IdentityStore(tmp_path / "a"), agent_version="test")


async def test_an_agent_trusts_no_other_authority(data_dir: Path, tmp_path: Path) -> None:
    other = CertificateAuthority.open(tmp_path / "other", clock=SystemClock().now)
    async with control_plane(data_dir) as plane:
        token = replace(await join_token(plane), ca_der=other.certificate_der)
        with pytest.raises(EnrolmentError, match="another CA"):
            await enrol(token, IdentityStore(tmp_path / "a"), agent_version="test")


async def test_a_bad_signing_request_leaves_the_join_token_unused(
    data_dir: Path, tmp_path: Path
) -> None:
    async with control_plane(data_dir) as plane:
        token = await join_token(plane)
        credentials = grpc.ssl_channel_credentials(plane.running.ca_pem)
        async with grpc.aio.secure_channel(token.address, credentials) as channel:
            stub = enrollment_pb2_grpc.EnrollmentServiceStub(channel)
            request = enrollment_pb2.EnrollRequest(token=token.secret_text, csr=b"noise")
            failed = await failure(stub.Enroll(request, timeout=PATIENCE))
        assert failed.reason == "INVALID_FIELD"
        assert [item.field for item in failed.details["BadRequest"].field_violations] == ["csr"]
        await enrol(token, IdentityStore(tmp_path / "a"), agent_version="test")


async def test_the_agent_of_a_deleted_cluster_is_sent_away(data_dir: Path, tmp_path: Path) -> None:
    async with control_plane(data_dir) as plane:
        clusters = plane.stub(cluster_pb2_grpc.ClusterServiceStub)
        async with agent(plane, Worker(), tmp_path / "agent") as running:
            await clusters.DeleteCluster(cluster_pb2.DeleteClusterRequest(name=HOME))
            with pytest.raises(LinkRefused):
                await asyncio.wait_for(asyncio.shield(running.task), PATIENCE)
