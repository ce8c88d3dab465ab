"""What goes when its time has come, and what stays."""

from datetime import timedelta

import pytest

from controlplane.domain.commands import RetryAddOn
from controlplane.domain.errors import JoinTokenInvalid, JoinTokenUsed
from controlplane.domain.names import ClusterName
from tests.unit.controlplane.services.world import HOME, World, key


async def test_a_request_id_is_remembered_for_a_day(world: World) -> None:
    first = await world.clusters.create_cluster("home", key=key())
    world.clock.advance(24 * 3600 - 1)
    await world.housekeeping.round()
    assert await world.clusters.create_cluster("home", key=key()) == first
    await world.clusters.delete_cluster(HOME)
    world.clock.advance(2)
    await world.housekeeping.round()
    assert (await world.clusters.create_cluster("home", key=key())).uid != first.uid


async def test_a_used_join_token_has_its_own_error_for_a_month(world: World) -> None:
    await world.clusters.create_cluster("home")
    token = await world.clusters.create_join_token(HOME)
    await world.enrolment.enroll(token.secret, b"csr", "1")
    world.clock.advance(29 * 24 * 3600)
    await world.housekeeping.round()
    with pytest.raises(JoinTokenUsed):
        await world.enrolment.enroll(token.secret, b"csr", "1")
    world.clock.advance(2 * 24 * 3600)
    await world.housekeeping.round()
    with pytest.raises(JoinTokenInvalid):
        await world.enrolment.enroll(token.secret, b"csr", "1")


async def test_a_command_that_nobody_took_in_time_ends(world: World) -> None:
    agent = await world.joined_cluster(ClusterName("home"))
    async with world.store.transaction() as tx:
        await tx.commands.add(
            world.ids.new(),
            agent.uid,
            RetryAddOn("garage"),
            environment_uid="",
            operation_uid="",
            now=tx.now,
            deadline=tx.now + timedelta(minutes=5),
        )
    world.clock.advance(301)
    await world.housekeeping.round()
    await agent.connect()
    assert await agent.take() == []


async def test_results_of_commands_forgotten_long_ago_are_still_taken(world: World) -> None:
    agent, _ = await world.deployed()
    [command] = await agent.take()
    await agent.finish(command)
    world.clock.advance(31 * 24 * 3600)
    await world.housekeeping.round()
    await agent.finish(command)
