"""Renewal, copies, revocation and rotation against a real database."""

import asyncio
import contextlib
import sqlite3
from datetime import timedelta

import pytest

from controlplane.domain.agent_identity import IdentityState
from controlplane.domain.audit import AuditFilter
from controlplane.domain.clusters import IdentityStatus
from controlplane.domain.errors import (
    AgentNeverJoined,
    AgentRefused,
    AgentRevoked,
    CredentialsInvalid,
    InvalidField,
    JoinTokenExpired,
    JoinTokenUsed,
    NotFound,
    RequestIdReused,
)
from controlplane.domain.names import ClusterName, JoinTokenName
from controlplane.domain.requests import PageRequest
from tests.unit.controlplane.services.world import HOME, Agent, World, key


async def status(world: World) -> IdentityStatus:
    found = (await world.clusters.get_cluster(HOME)).identity
    assert found is not None
    return found


async def come_back(agent: Agent, certificate: bytes) -> None:
    """Connect with this certificate."""
    agent.identity = await agent.world.sessions.authenticate(certificate)
    await agent.connect()


async def renewed(agent: Agent, csr: bytes = b"csr-next") -> tuple[bytes, int]:
    renewal = await agent.world.sessions.renew(agent.identity, agent.epoch, csr)
    assert renewal is not None
    return renewal.certificate_der, renewal.generation


async def test_a_renewed_certificate_fences_the_one_before_once_it_is_stored(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    certificate, generation = await renewed(agent)
    assert generation == 2
    await come_back(agent, agent.certificate)  # the answer was lost
    await come_back(agent, certificate)
    assert (await status(world)).used_generation == 2
    with pytest.raises(AgentRefused, match="skerry cluster rotate"):
        await come_back(agent, agent.certificate)
    assert world.agents.disconnected == [agent.uid]
    locked = await status(world)
    assert locked.state is IdentityState.LOCKED
    assert "there is a copy" in locked.message
    with pytest.raises(AgentRefused, match="there is a copy"):
        await world.sessions.authenticate(certificate)


async def test_said_to_be_stored_is_used(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    _, generation = await renewed(agent)
    await world.sessions.certificate_stored(agent.uid, agent.epoch, generation)
    assert (await status(world)).used_generation == 2
    with pytest.raises(AgentRefused):
        await come_back(agent, agent.certificate)


async def test_a_copy_is_not_believed_before_it_has_proven_the_key(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    certificate, _ = await renewed(agent)
    await come_back(agent, certificate)
    await world.sessions.authenticate(agent.certificate)  # a certificate is no secret
    assert (await status(world)).state is IdentityState.ACTIVE


async def test_the_same_key_gets_the_same_certificate_again(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    first = await renewed(agent, b"csr-a")
    assert await renewed(agent, b"csr-a") == first
    assert (await renewed(agent, b"csr-b"))[1] == first[1] + 1


async def test_a_superseded_connection_renews_nothing(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    old = agent.epoch
    await agent.connect()
    assert await world.sessions.renew(agent.identity, old, b"csr-x") is None
    await world.sessions.certificate_stored(agent.uid, old, 2)
    assert (await status(world)).generation == 1


async def test_a_bad_request_is_refused(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    with pytest.raises(InvalidField):
        await world.sessions.renew(agent.identity, agent.epoch, b"noise")


async def test_an_agent_that_was_away_renews_within_the_grace(world: World) -> None:
    agent = await world.joined_cluster()
    world.clock.advance(timedelta(days=3).total_seconds())
    identity = await world.sessions.authenticate(agent.certificate)
    assert identity.expired
    world.clock.advance(timedelta(days=30).total_seconds())
    with pytest.raises(CredentialsInvalid):
        await world.sessions.authenticate(agent.certificate)


async def test_revoked_is_out_until_it_joins_again(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    waiting = await world.clusters.create_join_token(HOME)
    revoked = await world.identities.revoke(HOME, key=key())
    assert revoked.identity is not None
    assert revoked.identity.state is IdentityState.REVOKED
    assert world.agents.disconnected == [agent.uid]
    assert (await world.identities.revoke(HOME, key=key())).identity == revoked.identity
    with pytest.raises(AgentRefused, match="revoked at"):
        await world.sessions.authenticate(agent.certificate)
    with pytest.raises(AgentRefused):
        await agent.connect()
    with pytest.raises(AgentRefused):
        await world.sessions.renew(agent.identity, agent.epoch, b"csr-x")
    with pytest.raises(AgentRevoked, match="join-token"):
        await world.identities.rotate(HOME)
    with pytest.raises(JoinTokenExpired):
        await world.enrolment.enroll(waiting.secret, b"csr-y", "1")
    again = await world.enrol()
    await again.connect()
    assert (await status(world)).state is IdentityState.ACTIVE
    with pytest.raises(AgentRefused, match="has joined"):
        await world.sessions.authenticate(agent.certificate)


async def test_a_request_id_of_another_request_is_refused(world: World) -> None:
    await world.joined_cluster()
    await world.identities.revoke(HOME, key=key(request="a"))
    with pytest.raises(RequestIdReused):
        await world.identities.revoke(HOME, key=key(request="b"))


async def test_rotating_asks_now_or_when_the_agent_is_back(world: World) -> None:
    agent = await world.joined_cluster()
    assert await world.sessions.renewal_reason(agent.uid) == ""
    rotating = await world.identities.rotate(HOME)
    assert rotating.identity is not None
    assert rotating.identity.renewal_pending
    assert world.agents.asked_to_renew == [agent.uid]
    await agent.connect()
    assert await world.sessions.renewal_reason(agent.uid)
    _, generation = await renewed(agent)
    await world.sessions.certificate_stored(agent.uid, agent.epoch, generation)
    assert await world.sessions.renewal_reason(agent.uid) == ""
    assert not (await status(world)).renewal_pending


async def test_rotating_unlocks_for_the_agent_that_comes_first(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    certificate, _ = await renewed(agent)
    await come_back(agent, certificate)
    with pytest.raises(AgentRefused):
        await come_back(agent, agent.certificate)
    await world.identities.rotate(HOME)
    await come_back(agent, agent.certificate)
    fresh, _ = await renewed(agent)
    await come_back(agent, fresh)
    with pytest.raises(AgentRefused):
        await come_back(agent, certificate)


async def test_what_never_joined_has_nothing_to_revoke(world: World) -> None:
    await world.clusters.create_cluster("home")
    for change in (world.identities.revoke, world.identities.rotate):
        with pytest.raises(AgentNeverJoined):
            await change(HOME)
        with pytest.raises(NotFound):
            await change(ClusterName("nowhere"))


async def test_of_two_agents_with_one_token_exactly_one_joins(world: World) -> None:
    await world.clusters.create_cluster("home")
    for n in range(10):
        token = await world.clusters.create_join_token(HOME)
        results = await asyncio.gather(
            *(world.enrolment.enroll(token.secret, b"csr-%d-%d" % (n, k), "1") for k in range(3)),
            return_exceptions=True,
        )
        failures = [result for result in results if isinstance(result, BaseException)]
        assert [type(failure) for failure in failures] == [JoinTokenUsed] * 2


async def test_join_tokens_are_listed_without_secrets_and_deleted(world: World) -> None:
    await world.clusters.create_cluster("home")
    made = [await world.clusters.create_join_token(HOME) for _ in range(3)]
    page = await world.clusters.list_join_tokens(HOME, PageRequest(2))
    rest = await world.clusters.list_join_tokens(HOME, PageRequest(2, page.next_token))
    found = [*page.items, *rest.items]
    assert len(found) == 3
    name = JoinTokenName("home", found[0].uid)
    await world.clusters.delete_join_token(name, key=key())
    await world.clusters.delete_join_token(name, key=key())
    with pytest.raises(NotFound):
        await world.clusters.delete_join_token(name)
    with pytest.raises(JoinTokenExpired):
        await world.enrolment.enroll(made[0].secret, b"csr-a", "1")
    await world.enrolment.enroll(made[1].secret, b"csr-b", "1")
    assert len((await world.clusters.list_join_tokens(HOME, PageRequest(5))).items) == 1


async def test_an_agent_that_enrolled_before_authorities_were_kept_is_shown(world: World) -> None:
    await world.joined_cluster()
    with contextlib.closing(sqlite3.connect(world.path)) as database:
        database.execute("UPDATE agent_certificates SET authority = NULL, used_authority = NULL")
        database.commit()
    assert (await status(world)).used_authority == b""


async def test_an_enrolment_is_in_the_audit_log(world: World) -> None:
    await world.joined_cluster()
    async with world.store.reading() as tx:
        entries = (await tx.audit.page(AuditFilter(), PageRequest())).items
    assert [(entry.actor, entry.resource, dict(entry.details)) for entry, _ in entries] == [
        ("clusters/home/agent", "clusters/home", {"generation": "1"})
    ]
