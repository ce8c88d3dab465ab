"""ONLINE, UNKNOWN, OFFLINE: what signs of life and time make of a connection."""

from datetime import timedelta

from controlplane.domain.clusters import ConnectionState
from controlplane.domain.link_health import LinkProblemReason, LinkSample
from controlplane.domain.requests import EventType
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
        world.clock.advance(15)
        world.sessions.seen(agent.uid, agent.epoch, timedelta(milliseconds=3))
        assert await state(world) is ConnectionState.ONLINE
    cluster = await world.clusters.get_cluster(HOME)
    assert cluster.round_trip == timedelta(milliseconds=3)
    assert cluster.last_seen_time == world.clock.now()


async def test_a_silent_connection_is_not_believed(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    world.clock.advance(21)
    assert await state(world) is ConnectionState.UNKNOWN
    world.clock.advance(39)
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
    await world.sessions.disconnected(agent.uid, old, "SUPERSEDED")
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


# How good the link is


def _sample(world: World, epoch: int, seconds: float) -> LinkSample:
    return LinkSample(
        epoch=epoch,
        protocol=1,
        capabilities=("traces",),
        connect_time=world.clock.now(),
        smoothed_round_trip=timedelta(seconds=seconds),
        streams={"logs": 2},
        received_bytes=10,
        sent_bytes=20,
    )


async def test_a_slow_link_is_degraded_until_it_is_quick_again(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    world.agents.links[agent.uid] = _sample(world, agent.epoch, 2.0)
    cluster = await world.clusters.get_cluster(HOME)
    assert cluster.connection is ConnectionState.DEGRADED
    assert cluster.link is not None
    assert [p.reason for p in cluster.link.problems] == [LinkProblemReason.HIGH_ROUND_TRIP]
    assert cluster.link.pending_commands == 0
    assert world.presence.connection(agent.uid) is ConnectionState.ONLINE, "its apps are known"
    world.agents.links[agent.uid] = _sample(world, agent.epoch, 0.1)
    assert (await world.clusters.get_cluster(HOME)).connection is ConnectionState.ONLINE


async def test_watchers_are_woken_when_a_link_degrades(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    await world.presence.tick()
    events = world.clusters.watch_clusters()
    while (await anext(events)).type is not EventType.SYNCED:
        pass
    world.agents.links[agent.uid] = _sample(world, agent.epoch, 2.0)
    world.clock.advance(11)
    world.presence.seen(agent.uid, agent.epoch, None)
    await world.presence.tick()
    event = await anext(events)
    assert event.resource is not None
    assert event.resource.connection is ConnectionState.DEGRADED


async def test_why_connections_ended_is_remembered(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    for _ in range(4):
        await agent.disconnect()
        await agent.connect()
    world.agents.links[agent.uid] = _sample(world, agent.epoch, 0.1)
    cluster = await world.clusters.get_cluster(HOME)
    assert cluster.link is not None
    assert (cluster.link.reconnects_last_hour, cluster.link.last_disconnect_reason) == (4, "LOST")
    assert cluster.connection is ConnectionState.DEGRADED
    await agent.disconnect()
    cluster = await world.clusters.get_cluster(HOME)
    assert cluster.connection is ConnectionState.UNKNOWN
    assert cluster.link is not None
    assert cluster.link.problems == ()
