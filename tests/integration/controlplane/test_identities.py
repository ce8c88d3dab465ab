"""An agent's identity over its life, through a whole control plane and the real link."""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from skerry.platform.v1 import cluster_pb2, cluster_pb2_grpc
from skerry.wire.join_token import JoinToken

from agent.link import (
    EnrolmentError,
    Identity,
    IdentityStore,
    Journal,
    Link,
    LinkRefused,
    ReportBoard,
    enrol,
)
from tests.integration.controlplane.harness import (
    PATIENCE,
    MovableClock,
    Plane,
    Worker,
    agent,
    control_plane,
    failure,
    join_token,
    linked,
    until,
)

HOME = "clusters/home"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


async def identity_of(plane: Plane) -> cluster_pb2.ClusterIdentity:
    clusters = plane.stub(cluster_pb2_grpc.ClusterServiceStub)
    answer = await clusters.GetCluster(cluster_pb2.GetClusterRequest(name=HOME))
    found: cluster_pb2.ClusterIdentity = answer.cluster.identity
    return found


async def when(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + PATIENCE
    while not await condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}"
        await asyncio.sleep(0.05)


async def rotate(plane: Plane) -> None:
    clusters = plane.stub(cluster_pb2_grpc.ClusterServiceStub)
    await clusters.RotateClusterIdentity(cluster_pb2.RotateClusterIdentityRequest(name=HOME))


async def revoke(plane: Plane) -> None:
    clusters = plane.stub(cluster_pb2_grpc.ClusterServiceStub)
    await clusters.RevokeClusterIdentity(cluster_pb2.RevokeClusterIdentityRequest(name=HOME))


def stored(state: Path) -> int:
    identity = IdentityStore(state).load()
    return identity.generation if identity else 0


async def test_a_certificate_lives_48_hours(data_dir: Path, tmp_path: Path) -> None:
    async with control_plane(data_dir) as plane, agent(plane, Worker(), tmp_path / "a") as running:
        left = running.link.renewer.identity.expire_time - datetime.now(UTC)
        assert timedelta(hours=47) < left < timedelta(hours=49)
        shown = await identity_of(plane)
        assert shown.state == cluster_pb2.IDENTITY_STATE_ACTIVE
        assert (shown.generation, shown.used_generation) == (1, 1)
        assert len(shown.authority) == 64


async def test_rotating_gives_a_live_agent_a_new_key(data_dir: Path, tmp_path: Path) -> None:
    state = tmp_path / "a"
    async with control_plane(data_dir) as plane, agent(plane, Worker(), state) as running:
        before = running.link.renewer.identity
        await rotate(plane)

        async def done() -> bool:
            shown = await identity_of(plane)
            return shown.used_generation == 2 and not shown.renewal_pending

        await when(done, "the new certificate")
        after = running.link.renewer.identity
        assert after.key.public_key() != before.key.public_key()
        assert stored(state) == 2
        assert running.link.state == "connected"  # over the same connection


async def test_rotating_an_agent_that_is_away_waits_for_it(data_dir: Path, tmp_path: Path) -> None:
    state = tmp_path / "a"
    async with control_plane(data_dir) as plane:
        identity = await enrol(await join_token(plane), IdentityStore(state), agent_version="test")
        await rotate(plane)
        async with linked(plane, Worker(), identity, state):
            await when(lambda: _used(plane, 2), "the new certificate")


async def _used(plane: Plane, generation: int) -> bool:
    return (await identity_of(plane)).used_generation == generation


async def test_revoking_cuts_at_once_and_keeps_out(data_dir: Path, tmp_path: Path) -> None:
    state = tmp_path / "a"
    async with control_plane(data_dir) as plane:
        async with agent(plane, Worker(), state) as running:
            await revoke(plane)
            with pytest.raises(LinkRefused, match="an operator has revoked it"):
                await asyncio.wait_for(asyncio.shield(running.task), PATIENCE)
        identity = IdentityStore(state).load()
        assert identity is not None
        with pytest.raises(LinkRefused, match="revoked"):
            async with linked(plane, Worker(), identity, state):
                pass
        failed = await failure(
            plane.stub(cluster_pb2_grpc.ClusterServiceStub).RotateClusterIdentity(
                cluster_pb2.RotateClusterIdentityRequest(name=HOME)
            )
        )
        assert (failed.code, failed.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "AGENT_REVOKED",
        )
    # It is in the database: a restart changes nothing. A new token does.
    async with control_plane(data_dir) as plane:
        assert (await identity_of(plane)).state == cluster_pb2.IDENTITY_STATE_REVOKED
        clusters = plane.stub(cluster_pb2_grpc.ClusterServiceStub)
        made = await clusters.CreateJoinToken(cluster_pb2.CreateJoinTokenRequest(parent=HOME))
        again = await enrol(
            JoinToken.decode(made.token), IdentityStore(state), agent_version="test"
        )
        async with linked(plane, Worker(), again, state):
            assert (await identity_of(plane)).state == cluster_pb2.IDENTITY_STATE_ACTIVE


async def test_a_copy_locks_both_out_and_both_are_told(data_dir: Path, tmp_path: Path) -> None:
    state, copied = tmp_path / "a", tmp_path / "copy"
    async with control_plane(data_dir) as plane:
        async with agent(plane, Worker(), state) as running:
            shutil.copytree(state, copied)
            await rotate(plane)
            await when(lambda: _used(plane, 2), "the new certificate")
            copy = IdentityStore(copied).load()
            assert copy is not None
            assert copy.generation == 1
            with pytest.raises(LinkRefused, match="there is a copy"):
                async with linked(plane, Worker(), copy, copied):
                    pass
            with pytest.raises(LinkRefused, match="skerry cluster rotate"):
                await asyncio.wait_for(asyncio.shield(running.task), PATIENCE)
        assert (await identity_of(plane)).state == cluster_pb2.IDENTITY_STATE_LOCKED
        # The operator has stopped the copy.
        await rotate(plane)
        identity = IdentityStore(state).load()
        assert identity is not None
        async with linked(plane, Worker(), identity, state):
            await when(lambda: _used(plane, 3), "the new certificate")
        with pytest.raises(LinkRefused):
            async with linked(plane, Worker(), copy, copied):
                pass


async def test_an_agent_that_was_away_for_long_renews_as_it_enters(
    data_dir: Path, tmp_path: Path
) -> None:
    state, clock = tmp_path / "a", MovableClock()
    async with control_plane(data_dir, clock=clock) as plane:
        identity = await enrol(await join_token(plane), IdentityStore(state), agent_version="test")
        clock.ahead = timedelta(days=20)
        async with linked(plane, Worker(), identity, state) as running:
            await when(lambda: _used(plane, 2), "the new certificate")
            # By the agent's clock it begins in the future: no harm, the control plane's clock decides.
            assert running.link.renewer.identity.generation == 2
        assert stored(state) == 2


async def test_an_agent_that_was_away_for_too_long_is_told_how_to_join(
    data_dir: Path, tmp_path: Path
) -> None:
    state, clock = tmp_path / "a", MovableClock()
    async with control_plane(data_dir, clock=clock) as plane:
        identity = await enrol(await join_token(plane), IdentityStore(state), agent_version="test")
        clock.ahead = timedelta(days=33)
        link, task, journal = unconnected(identity, state)
        await until(lambda: bool(link.last_error), "the refusal")
        assert "too long ago" in link.last_error
        assert "skerry cluster join-token" in link.last_error
        task.cancel()
        await asyncio.wait({task})
        journal.close()


def unconnected(identity: Identity, state: Path) -> tuple[Link, asyncio.Task[None], Journal]:
    """An agent of which nothing is expected."""
    journal = Journal(state / "journal.db", cluster_uid=identity.cluster_uid)
    link = Link(
        identity=identity,
        store=IdentityStore(state),
        journal=journal,
        board=ReportBoard(),
        stream_handlers={},
        command_handlers={},
        agent_version="test",
        boot_id="boot",
    )
    return link, asyncio.create_task(link.run(), name="agent"), journal


async def test_of_two_agents_that_join_at_once_one_gets_in(data_dir: Path, tmp_path: Path) -> None:
    async with control_plane(data_dir) as plane:
        token = await join_token(plane)
        results = await asyncio.gather(
            *(
                enrol(token, IdentityStore(tmp_path / str(n)), agent_version="test")
                for n in range(4)
            ),
            return_exceptions=True,
        )
        failures = [result for result in results if isinstance(result, BaseException)]
        assert len(failures) == 3
        assert all(isinstance(failure, EnrolmentError) for failure in failures)
        assert (await identity_of(plane)).generation == 1


async def test_join_tokens_are_listed_and_deleted(data_dir: Path, tmp_path: Path) -> None:
    async with control_plane(data_dir) as plane:
        token = await join_token(plane)
        clusters = plane.stub(cluster_pb2_grpc.ClusterServiceStub)
        listed = await clusters.ListJoinTokens(cluster_pb2.ListJoinTokensRequest(parent=HOME))
        [found] = listed.join_tokens
        assert found.name.startswith(f"{HOME}/joinTokens/")
        await clusters.DeleteJoinToken(cluster_pb2.DeleteJoinTokenRequest(name=found.name))
        with pytest.raises(EnrolmentError, match="expired"):
            await enrol(token, IdentityStore(tmp_path / "a"), agent_version="test")
        failed = await failure(
            clusters.DeleteJoinToken(cluster_pb2.DeleteJoinTokenRequest(name=found.name))
        )
        assert failed.reason == "RESOURCE_NOT_FOUND"
