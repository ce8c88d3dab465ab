"""ONLINE, UNKNOWN, OFFLINE: what signs of life and time make of a connection."""

from datetime import timedelta

from controlplane.domain.clusters import ConnectionState
from tests.unit.controlplane.services.world import HOME, World


async def state(world: World) -> ConnectionState:
    return (await world.clusters.get_cluster(HOME)).connection


async def test_an_enrolled_agent_is_expected_and_then_missed(world: World) -> None:
    await world.joined_cluster()
    assert await state(world) is ConnectionState.UNKNOWN
    world.clock.advance(60)
    assert await state(world) is ConnectionState.OFFLINE


async def test_a_connected_agent_is_online_while_it_answers(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    for _ in range(10):
        world.clock.advance(25)
        world.sessions.seen(agent.uid, agent.epoch, timedelta(milliseconds=3))
        assert await state(world) is ConnectionState.ONLINE
    cluster = await world.clusters.get_cluster(HOME)
    assert cluster.round_trip == timedelta(milliseconds=3)
    assert cluster.last_seen_time == world.clock.now()


async def test_a_silent_connection_is_not_believed(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    world.clock.advance(31)
    assert await state(world) is ConnectionState.UNKNOWN
    world.clock.advance(29)
    assert await state(world) is ConnectionState.OFFLINE


async def test_a_cut_is_unknown_for_a_minute(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    await agent.disconnect()
    assert await state(world) is ConnectionState.UNKNOWN
    world.clock.advance(59)
    assert await state(world) is ConnectionState.UNKNOWN
    world.clock.advance(1)
    assert await state(world) is ConnectionState.OFFLINE


async def test_the_end_of_a_superseded_connection_says_nothing(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    old = agent.epoch
    await agent.connect()
    assert agent.epoch > old
    await world.sessions.disconnected(agent.uid, old)
    assert await state(world) is ConnectionState.ONLINE
    world.sessions.seen(agent.uid, old, timedelta(seconds=9))
    assert (await world.clusters.get_cluster(HOME)).round_trip is None


async def test_a_restart_knows_who_was_there_a_moment_ago(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    world.clock.advance(25)
    world.sessions.seen(agent.uid, agent.epoch, None)
    await world.presence.tick()
    seen = world.clock.now()
    again = await world.restarted()
    try:
        assert await state(again) is ConnectionState.UNKNOWN
        assert (await again.clusters.get_cluster(HOME)).last_seen_time == seen
        again.clock.advance(60)
        assert await state(again) is ConnectionState.OFFLINE
    finally:
        await again.stop()
        await world.store.open()


async def test_signs_of_life_are_written_now_and_then(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()

    async def written() -> object:
        async with world.store.reading() as tx:
            cluster = await tx.clusters.get(HOME)
        assert cluster is not None
        return cluster.last_seen_time

    before = await written()
    world.clock.advance(5)
    world.sessions.seen(agent.uid, agent.epoch, None)
    await world.presence.tick()
    assert await written() == before
    world.clock.advance(15)
    await world.presence.tick()
    assert await written() == world.clock.now() - timedelta(seconds=15)


async def test_a_new_enrolment_is_expected_again(world: World) -> None:
    await world.joined_cluster()
    world.clock.advance(3600)
    assert await state(world) is ConnectionState.OFFLINE
    await world.enrol()
    assert await state(world) is ConnectionState.UNKNOWN
