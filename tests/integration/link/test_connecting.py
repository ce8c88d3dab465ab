"""Connecting: who gets in, who does not, who is told what."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from skerry.agent.v1 import command_pb2
from skerry.wire import capabilities
from skerry.wire.join_token import JoinToken

from agent.link import EnrolmentError, IdentityStore, LinkRefused, LinkState, enrol
from agent.link.backoff import Backoff
from controlplane.domain.errors import AgentOffline
from controlplane.domain.logs import LogsRequest
from controlplane.link.admission import HandshakeGate
from controlplane.pki.authority import CertificateAuthority
from tests.integration.link.conftest import (
    CLUSTER,
    PATIENCE,
    UID,
    Agents,
    Plane,
    Proxy,
    new_identity,
    retry_add_on,
    until,
)

REQUEST = LogsRequest("ns", "web", (), False, None, None, False)


async def test_an_agent_connects_and_is_seen(plane: Plane, agents: Agents) -> None:
    agent = agents.start()
    await until(lambda: plane.registry.is_connected(UID), "the agent")
    await until(lambda: any(plane.sessions.round_trips), "a round trip")
    assert agent.link.state is LinkState.CONNECTED
    assert plane.sessions.live == {1}
    sample = plane.registry.link(UID)
    assert sample is not None
    assert (sample.epoch, sample.protocol, sample.streams) == (1, 1, {})
    assert sample.capabilities == capabilities.OF_AGENT
    assert sample.smoothed_round_trip is not None
    assert sample.received_bytes > 0
    assert sample.sent_bytes > 0
    await plane.registry.open_logs(UID, REQUEST)
    opened = plane.registry.link(UID)
    assert opened is not None
    assert opened.streams == {"logs": 1}
    await agent.stop()
    await until(lambda: not plane.registry.is_connected(UID), "the end")
    await until(lambda: not plane.sessions.live, "the end in the database")


async def test_without_an_agent_calls_fail_at_once(plane: Plane) -> None:
    with pytest.raises(AgentOffline, match="not connected"):
        await plane.registry.open_logs(UID, REQUEST)


async def test_a_server_of_another_ca_is_not_trusted(
    plane: Plane, agents: Agents, tmp_path: Path
) -> None:
    other = CertificateAuthority.open(tmp_path / "other", clock=lambda: datetime.now(UTC))
    identity = replace(agents.identity, ca_certificates_der=(other.certificate_der,))
    agent = agents.start(identity=identity)
    await until(lambda: bool(agent.link.last_error), "the error")
    assert "another CA" in agent.link.last_error
    assert plane.sessions.epoch == 0


async def test_a_certificate_without_its_key_is_refused(plane: Plane, agents: Agents) -> None:
    identity = replace(agents.identity, key=new_identity(plane.authority, 1).key)
    agent = agents.start(identity=identity)
    await until(lambda: bool(agent.link.last_error), "the error")
    assert "not by the certificate's key" in agent.link.last_error
    assert "join-token" in agent.link.last_error
    assert plane.sessions.epoch == 0


async def test_a_revoked_agent_stops(plane: Plane, agents: Agents) -> None:
    agent = agents.start()
    await until(lambda: plane.registry.is_connected(UID), "the agent")
    await plane.registry.disconnect(UID, "the cluster was deleted")
    with pytest.raises(LinkRefused, match="the cluster was deleted"):
        await asyncio.wait_for(agent.task, PATIENCE)
    assert agent.link.state is LinkState.REFUSED


async def test_the_older_of_two_connections_is_sent_away(plane: Plane, agents: Agents) -> None:
    older = agents.start(state="older", backoff=Backoff(random.Random(1), low=50, high=60))
    await until(lambda: plane.registry.is_connected(UID), "the agent")
    newer = agents.start(state="newer")
    await until(lambda: "another agent" in older.link.last_error, "the older to be told")
    assert newer.link.state is LinkState.CONNECTED
    await until(lambda: plane.sessions.live == {2}, "the older to end")
    assert plane.registry.is_connected(UID)


async def test_draining_sends_agents_away_and_keeps_them_out(plane: Plane, agents: Agents) -> None:
    agent = agents.start(backoff=Backoff(random.Random(1), low=0.01, high=0.02))
    await until(lambda: plane.registry.is_connected(UID), "the agent")
    await asyncio.wait_for(plane.registry.drain(grace_seconds=10 * PATIENCE), PATIENCE)
    assert not plane.registry.is_connected(UID)
    await until(lambda: "restarting" in agent.link.last_error, "the agent to be told")
    await until(lambda: agent.link.state is LinkState.WAITING, "the agent to wait")


async def test_an_agent_comes_back_after_a_restart(plane: Plane, agents: Agents) -> None:
    agents.start()
    await until(lambda: plane.registry.is_connected(UID), "the agent")
    await plane.restart()
    await until(lambda: plane.registry.is_connected(UID), "the agent again")
    assert plane.sessions.epoch == 2


async def test_a_frozen_connection_is_found_by_both_ends(
    plane: Plane, agents: Agents, proxy: tuple[Proxy, int]
) -> None:
    agent = agents.start(port=proxy[1])
    await until(lambda: agent.link.state is LinkState.CONNECTED, "the agent")
    proxy[0].freeze()
    await until(lambda: not plane.registry.is_connected(UID), "the control plane to notice")
    await until(lambda: "nothing was heard" in agent.link.last_error, "the agent to notice")
    proxy[0].cut()
    proxy[0].thaw()
    await until(lambda: plane.registry.is_connected(UID), "the agent again")


async def test_a_database_that_fails_at_admission_lets_the_agent_in_later(
    plane: Plane, agents: Agents
) -> None:
    plane.sessions.storage_fails = True
    agent = agents.start()
    await until(lambda: bool(agent.link.last_error), "the error")
    assert not plane.registry.is_connected(UID)
    plane.sessions.storage_fails = False
    await until(lambda: plane.registry.is_connected(UID), "the agent")


async def test_joining_gives_an_identity_that_connects(
    plane: Plane, agents: Agents, tmp_path: Path
) -> None:
    token = JoinToken(
        f"127.0.0.1:{plane.port}", plane.authority.certificate_der, bytes(32), CLUSTER
    )
    store = IdentityStore(tmp_path / "state")
    identity = await enrol(JoinToken.decode(token.encode()), store, agent_version="test")
    assert identity.cluster_uid == UID
    loaded = store.load()
    assert loaded is not None
    agents.start(identity=loaded)
    await until(lambda: plane.registry.is_connected(UID), "the agent")


async def test_joining_the_wrong_ca_says_so(plane: Plane, tmp_path: Path) -> None:
    other = CertificateAuthority.open(tmp_path / "other", clock=lambda: datetime.now(UTC))
    token = JoinToken(f"127.0.0.1:{plane.port}", other.certificate_der, bytes(32), CLUSTER)
    store = IdentityStore(tmp_path / "state")
    with pytest.raises(EnrolmentError, match="another CA"):
        await enrol(token, store, agent_version="test")
    assert store.load() is None


async def test_joining_where_nothing_listens_says_so(plane: Plane, tmp_path: Path) -> None:
    token = JoinToken("127.0.0.1:1", plane.authority.certificate_der, bytes(32), CLUSTER)
    with pytest.raises(EnrolmentError, match="cannot be reached"):
        await enrol(token, IdentityStore(tmp_path), agent_version="test")


async def test_a_command_waits_for_its_agent(plane: Plane, agents: Agents) -> None:
    done = asyncio.Event()

    async def handler(command: command_pb2.Command, progress: object) -> command_pb2.CommandResult:
        done.set()
        return command_pb2.CommandResult(message="tried")

    plane.sessions.add(retry_add_on())
    agents.start(commands={"retry_add_on": handler})
    await asyncio.wait_for(done.wait(), PATIENCE)
    await until(lambda: len(plane.sessions.outcomes) == 1, "the outcome")
    assert plane.sessions.outcomes[0].message == "tried"


async def test_an_agent_that_is_asked_to_come_later_comes_later(
    plane: Plane, agents: Agents
) -> None:
    plane.gate = HandshakeGate(under_way=1)
    assert plane.gate.enter(0.0) is None, "another agent is being checked"
    await plane.restart()
    agent = agents.start()
    await until(lambda: "takes this agent later" in agent.link.last_error, "the refusal")
    plane.gate.leave()
    await until(lambda: plane.registry.is_connected(UID), "the agent")


async def test_the_agent_counts_over_all_its_connections(plane: Plane, agents: Agents) -> None:
    agent = agents.start()
    await until(lambda: plane.registry.is_connected(UID), "the agent")
    before = agent.link.counts
    await plane.restart()
    await until(lambda: plane.registry.is_connected(UID), "the agent, again")
    after = agent.link.counts
    assert sum(after.ends.values()) >= 1
    assert after.frames["in", "control"] > before.frames["in", "control"] > 0
    assert after.payload_bytes["out", "control"] > before.payload_bytes["out", "control"] > 0
