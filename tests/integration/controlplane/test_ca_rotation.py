"""The CA is changed under live agents and agents that are away; none of them joins again."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from skerry.platform.v1 import cluster_pb2, cluster_pb2_grpc

from agent.link import IdentityStore, enrol
from controlplane import app, doctor
from controlplane.pki.authorities import Authorities
from controlplane.pki.errors import RotationError
from controlplane.settings import Settings, load
from tests.integration.controlplane.harness import (
    PATIENCE,
    Plane,
    Worker,
    agent,
    control_plane,
    join_token,
    linked,
)


async def when(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not await condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s for {what}"
        await asyncio.sleep(0.1)


async def authority_of(plane: Plane, cluster: str) -> str:
    clusters = plane.stub(cluster_pb2_grpc.ClusterServiceStub)
    answer = await clusters.GetCluster(cluster_pb2.GetClusterRequest(name=f"clusters/{cluster}"))
    found: str = answer.cluster.identity.authority
    return found


def rotation(settings: Settings) -> str:
    findings = doctor.examine(settings, now=datetime.now(UTC))
    return next((item.message for item in findings if item.check == "CA change"), "")


async def test_no_agent_joins_again(tmp_path: Path) -> None:
    data_dir, home, away = tmp_path / "data", tmp_path / "home", tmp_path / "away"
    settings = load(data_dir=data_dir)
    async with control_plane(data_dir) as plane:
        listen = f"127.0.0.1:{plane.running.agent_port}"
        absent = await enrol(
            await join_token(plane, "away"), IdentityStore(away), agent_version="test"
        )
        async with agent(plane, Worker(), home) as running:
            await app.begin_ca_rotation(settings)
            new = Authorities.open(settings.pki_dir, clock=lambda: datetime.now(UTC)).signing

            async def followed() -> bool:
                return await authority_of(plane, "home") == new.fingerprint.hex()

            await when(followed, "the live agent to follow")
            trusted = running.link.renewer.identity.ca_certificates_der
            assert len(trusted) == 2
            assert new.certificate_der in trusted
            assert rotation(settings) == "under way: 1 of 2 agents have followed, not away"
            with pytest.raises(RotationError, match="clusters/away"):
                await app.finish_ca_rotation(settings, force=False)
    # A restart in the middle; the agent that was away knows the old authority only, and comes back.
    async with control_plane(data_dir, agent_listen=listen) as plane:
        async with linked(plane, Worker(), absent, away):

            async def followed_too() -> bool:
                return await authority_of(plane, "away") == new.fingerprint.hex()

            await when(followed_too, "the agent that was away to follow")
        assert rotation(settings) == "under way: 2 of 2 agents have followed"
        assert await app.finish_ca_rotation(settings, force=False) == []
        assert rotation(settings) == ""
        identity = IdentityStore(home).load()
        assert identity is not None

        async def switched() -> bool:
            return (data_dir / "pki" / "ca.crt").read_bytes() == new.certificate_pem

        await when(switched, "the new authority")
        async with linked(plane, Worker(), identity, home) as running:

            async def old_dropped() -> bool:
                return running.link.renewer.identity.ca_certificates_der == (new.certificate_der,)

            await when(old_dropped, "the agent to forget the old authority")
    # Servers show the new authority's certificate now, and that is all that the agent trusts.
    identity = IdentityStore(home).load()
    assert identity is not None
    assert identity.ca_certificates_der == (new.certificate_der,)
    async with (
        control_plane(data_dir, agent_listen=listen) as plane,
        linked(plane, Worker(), identity, home),
    ):
        assert await authority_of(plane, "home") == new.fingerprint.hex()


async def test_forced_it_says_who_must_join_again(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    settings = load(data_dir=data_dir)
    async with control_plane(data_dir) as plane:
        await enrol(await join_token(plane), IdentityStore(tmp_path / "a"), agent_version="test")
    await app.begin_ca_rotation(settings)
    assert await app.finish_ca_rotation(settings, force=True) == ["clusters/home"]
    with pytest.raises(RotationError, match="no change"):
        await app.finish_ca_rotation(settings, force=True)
