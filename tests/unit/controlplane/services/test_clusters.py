"""Clusters, join tokens and enrolment."""

import asyncio
from datetime import timedelta

import pytest

from controlplane.domain.clusters import ConnectionState
from controlplane.domain.errors import (
    AlreadyExists,
    CredentialsInvalid,
    EtagMismatch,
    InvalidField,
    JoinTokenExpired,
    JoinTokenInvalid,
    JoinTokenUsed,
    NotFound,
    ResourceInUse,
)
from controlplane.domain.requests import PageRequest
from tests.unit.controlplane.services.world import HOME, World, key


async def test_a_new_cluster_was_never_joined(world: World) -> None:
    cluster = await world.clusters.create_cluster("home", "At home")
    assert cluster.connection is ConnectionState.NEVER_JOINED
    assert (await world.clusters.get_cluster(HOME)).display_name == "At home"


async def test_an_id_that_is_none_is_refused(world: World) -> None:
    for bad in ("", "Home", "1home", "home-", "h" * 41, "ho me"):
        with pytest.raises(InvalidField, match="cluster_id"):
            await world.clusters.create_cluster(bad)
    with pytest.raises(InvalidField, match="display_name"):
        await world.clusters.create_cluster("home", "two\nlines")


async def test_a_join_token_admits_one_agent(world: World) -> None:
    await world.clusters.create_cluster("home")
    token = await world.clusters.create_join_token(HOME)
    enrolment = await world.enrolment.enroll(token.secret, b"csr-1", "1.0")
    assert enrolment.cluster == HOME
    with pytest.raises(JoinTokenUsed):
        await world.enrolment.enroll(token.secret, b"csr-2", "1.0")
    identity = await world.sessions.authenticate(enrolment.certificate_der)
    assert (identity.cluster, identity.public_key_der) == (HOME, b"csr-1")


async def test_of_two_agents_at_once_one_gets_in(world: World) -> None:
    await world.clusters.create_cluster("home")
    token = await world.clusters.create_join_token(HOME)
    results = await asyncio.gather(
        *(world.enrolment.enroll(token.secret, b"csr-%d" % n, "1.0") for n in range(10)),
        return_exceptions=True,
    )
    winners = [result for result in results if not isinstance(result, BaseException)]
    assert len(winners) == 1
    losers = [result for result in results if isinstance(result, BaseException)]
    assert {type(loser) for loser in losers} == {JoinTokenUsed}
    await world.sessions.authenticate(winners[0].certificate_der)


async def test_join_tokens_fail_for_reasons_of_their_own(world: World) -> None:
    await world.clusters.create_cluster("home")
    with pytest.raises(JoinTokenInvalid):
        await world.enrolment.enroll(b"made up", b"csr", "1.0")
    token = await world.clusters.create_join_token(HOME, timedelta(minutes=5))
    world.clock.advance(300)
    with pytest.raises(JoinTokenExpired):
        await world.enrolment.enroll(token.secret, b"csr", "1.0")


async def test_a_malformed_request_does_not_cost_the_token(world: World) -> None:
    await world.clusters.create_cluster("home")
    token = await world.clusters.create_join_token(HOME)
    with pytest.raises(InvalidField):
        await world.enrolment.enroll(token.secret, b"nonsense", "1.0")
    await world.enrolment.enroll(token.secret, b"csr", "1.0")


async def test_a_join_token_is_shown_once(world: World) -> None:
    await world.clusters.create_cluster("home")
    token = await world.clusters.create_join_token(HOME, key=key())
    with pytest.raises(AlreadyExists, match="not shown twice"):
        await world.clusters.create_join_token(HOME, key=key())
    assert token.secret.hex() not in repr(token)
    assert token.secret not in world.path.read_bytes()
    with pytest.raises(InvalidField, match="ttl"):
        await world.clusters.create_join_token(HOME, timedelta(days=2))


async def test_a_new_enrolment_replaces_the_agent_before(world: World) -> None:
    old = await world.joined_cluster()
    await old.connect()
    token = await world.clusters.create_join_token(HOME)
    await world.enrolment.enroll(token.secret, b"csr-new", "1.0")
    assert world.agents.disconnected == [old.uid]
    with pytest.raises(CredentialsInvalid, match="another agent has joined"):
        await world.sessions.authenticate(old.certificate)


async def test_a_deleted_cluster_lets_nobody_in(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    await world.clusters.delete_cluster(HOME)
    assert world.agents.disconnected == [agent.uid]
    with pytest.raises(NotFound):
        await world.clusters.get_cluster(HOME)
    with pytest.raises(CredentialsInvalid, match="deleted"):
        await world.sessions.authenticate(agent.certificate)
    with pytest.raises(CredentialsInvalid):
        await world.sessions.connected(agent.identity, agent_version="1", boot_id="b")


async def test_a_cluster_with_environments_stays(world: World) -> None:
    await world.joined_cluster()
    await world.environment()
    with pytest.raises(ResourceInUse):
        await world.clusters.delete_cluster(HOME)
    with pytest.raises(EtagMismatch):
        await world.clusters.delete_cluster(HOME, etag="other")


async def test_lists_go_by_name_in_pages(world: World) -> None:
    for name in ("c", "a", "b"):
        await world.clusters.create_cluster(name)
    first = await world.clusters.list_clusters(PageRequest(2))
    rest = await world.clusters.list_clusters(PageRequest(2, first.next_token))
    assert [c.name.cluster for c in (*first.items, *rest.items)] == ["a", "b", "c"]
    assert rest.next_token == ""


async def test_repeated_delete_is_harmless(world: World) -> None:
    await world.clusters.create_cluster("home")
    await world.clusters.delete_cluster(HOME, key=key())
    await world.clusters.create_cluster("home")
    await world.clusters.delete_cluster(HOME, key=key())
    await world.clusters.get_cluster(HOME)
