"""Watches: snapshot, SYNCED, deltas, heartbeats, resuming."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from controlplane.domain.addons import AddOnState
from controlplane.domain.deployments import DeploymentPhase
from controlplane.domain.errors import NotFound, ResumeTokenExpired
from controlplane.domain.names import DeploymentName, EnvironmentName
from controlplane.domain.reports import AddOnStatus, Report
from controlplane.domain.requests import EventType
from controlplane.domain.workloads import State
from tests.unit.controlplane.services.world import HOME, PROD, WEB, Agent, World, bundle

ALL = EnvironmentName("default", "-", "-")


async def following(events: AsyncIterator[Any]) -> Any:
    return await asyncio.wait_for(anext(events), 10)


async def idle(world: World, sleepers: int = 1) -> None:
    """Until that many tasks wait for time to pass: nothing else is going on then."""
    async with asyncio.timeout(10):
        await world.clock.asleep(sleepers)


async def after_a_while(world: World, events: AsyncIterator[Any]) -> Any:
    """The next event, when there is none until 15 seconds have passed."""
    getting = asyncio.create_task(following(events))
    await idle(world)
    world.clock.advance(15)
    return await getting


async def synced(events: AsyncIterator[Any]) -> list[Any]:
    """The snapshot up to and with SYNCED."""
    seen = []
    while not seen or seen[-1].type is not EventType.SYNCED:
        seen.append(await following(events))
    return seen


async def test_apps_come_as_snapshot_then_as_they_change(world: World) -> None:
    agent, _ = await world.deployed()
    async with aclosing(world.apps.watch_apps(ALL)) as events:
        snapshot, end = await synced(events)
        assert (snapshot.type, snapshot.resource.name) == (EventType.SNAPSHOT, WEB)
        [command] = await agent.take()
        await agent.finish(command)
        event = await following(events)
        assert (event.type, event.resource.state) == (EventType.UPDATED, State.READY)
        await agent.disconnect()
        assert (await following(events)).resource.state is State.UNKNOWN
        del end


async def test_a_deleted_app_is_said_by_name(world: World) -> None:
    agent, _ = await world.deployed()
    async with aclosing(world.apps.watch_apps(PROD)) as events:
        snapshot, _ = await synced(events)
        await world.apps.delete_app(WEB)
        assert (await following(events)).resource.state is State.DELETING
        *_, command = await agent.take()
        await agent.finish(command)
        event = await following(events)
        assert (event.type, event.name, event.resource) == (EventType.DELETED, str(WEB), None)
        assert event.uid == snapshot.uid


async def test_other_environments_are_not_shown(world: World) -> None:
    await world.deployed()
    elsewhere = EnvironmentName("default", "shop", "test")
    async with aclosing(world.apps.watch_apps(elsewhere)) as events:
        [end] = await synced(events)
        await world.apps.deploy_app(PROD, "web", bundle("two"))
        event = await after_a_while(world, events)
        assert event.type is EventType.HEARTBEAT
        assert event.resume_token != end.resume_token


async def test_a_watch_resumes_behind_what_was_seen(world: World) -> None:
    agent, _ = await world.deployed()
    async with aclosing(world.apps.watch_apps(ALL)) as events:
        *_, end = await synced(events)
    [command] = await agent.take()
    await agent.finish(command)
    async with aclosing(world.apps.watch_apps(ALL, end.resume_token)) as events:
        assert (await following(events)).type is EventType.SYNCED
        event = await following(events)
        assert (event.type, event.resource.state) == (EventType.UPDATED, State.READY)
        last = event.resume_token
    async with aclosing(world.apps.watch_apps(ALL, last)) as events:
        assert (await following(events)).type is EventType.SYNCED
        assert (await after_a_while(world, events)).type is EventType.HEARTBEAT


async def test_a_slow_watcher_sees_the_newest_only(world: World) -> None:
    await world.deployed()
    async with aclosing(world.apps.watch_apps(ALL)) as events:
        await synced(events)
        for n in range(20):
            await world.apps.deploy_app(PROD, "web", bundle(f"number {n}"))
        event = await following(events)
        assert event.resource.wanted_revision == 21
        assert (await after_a_while(world, events)).type is EventType.HEARTBEAT


async def test_a_token_of_long_ago_or_of_elsewhere_is_refused(world: World) -> None:
    await world.deployed()
    async with aclosing(world.apps.watch_apps(ALL)) as events:
        *_, end = await synced(events)
    for parent, token in (
        (PROD, end.resume_token),
        (ALL, "nonsense"),
        (ALL, end.resume_token + "A"),
    ):
        with pytest.raises(ResumeTokenExpired):
            await following(world.apps.watch_apps(parent, token))
    await world.apps.deploy_app(PROD, "web", bundle("two"))
    world.clock.advance(3601)
    await world.apps.deploy_app(PROD, "web", bundle("three"))
    await world.housekeeping.round()
    with pytest.raises(ResumeTokenExpired):
        await following(world.apps.watch_apps(ALL, end.resume_token))


async def test_clusters_are_watched_through_time(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    running = asyncio.create_task(world.presence.run())
    try:
        async with aclosing(world.clusters.watch_clusters()) as events:
            snapshot, _ = await synced(events)
            assert snapshot.resource.connection == "ONLINE"
            seen = []
            while "OFFLINE" not in seen:
                getting = asyncio.create_task(following(events))
                while not getting.done():
                    await idle(world, 1)
                    world.clock.advance(1)
                    await asyncio.sleep(0.001)
                event = getting.result()
                if event.type is EventType.UPDATED:
                    seen.append(str(event.resource.connection))
            assert seen == ["UNKNOWN", "OFFLINE"]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_deployment_is_watched_to_its_end(world: World) -> None:
    agent, started = await world.deployed()
    [command] = await agent.take()
    events = world.deployments.watch_deployment(started.deployment)
    assert (await following(events)).phase is DeploymentPhase.QUEUED
    await agent.progress(command, DeploymentPhase.APPLYING)
    assert (await following(events)).phase is DeploymentPhase.APPLYING
    assert await after_a_while(world, events) is None
    await agent.finish(command)
    assert (await following(events)).phase is DeploymentPhase.READY
    with pytest.raises(StopAsyncIteration):
        await following(events)


async def test_a_deployment_that_is_not_there_is_not_watched(world: World) -> None:
    name = DeploymentName(WEB, world.ids.new())
    with pytest.raises(NotFound):
        await following(world.deployments.watch_deployment(name))


async def test_an_operation_says_when_it_waits_for_the_agent(world: World) -> None:
    agent, started = await world.deployed()
    async with aclosing(world.operations.watch_operation(started.operation.name)) as events:
        assert (await following(events)).message == "handed to the agent of clusters/home"
        await agent.disconnect()
        assert (await following(events)).message == "waiting for the agent of clusters/home"
        await agent.connect()
        assert (await following(events)).message == "handed to the agent of clusters/home"
        [command] = await agent.take()
        await world.sessions.acknowledged(agent.uid, agent.epoch, command.seq)
        assert (await following(events)).message == "taken by the agent of clusters/home"
        await agent.finish(command)
        assert (await following(events)).done
        with pytest.raises(StopAsyncIteration):
            await following(events)


def add_on(name: str, state: AddOnState) -> AddOnStatus:
    return AddOnStatus(name, "1.0", state, "", "", 0, None, None, ())


async def report(world: World, agent: Agent, report: Report) -> None:
    assert await world.sessions.reported(agent.uid, agent.epoch, report)


async def test_add_ons_are_watched_by_cluster(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    installing = add_on("garage", AddOnState.INSTALLING)
    await report(world, agent, Report("addons/garage", 1, False, installing))
    async with aclosing(world.add_ons.watch_add_ons(HOME)) as events:
        snapshot, _ = await synced(events)
        assert snapshot.resource.state is AddOnState.INSTALLING
        ready = add_on("garage", AddOnState.READY)
        await report(world, agent, Report("addons/garage", 2, False, ready))
        event = await following(events)
        assert (event.type, event.resource.state) == (EventType.UPDATED, AddOnState.READY)
        await report(world, agent, Report("addons/garage", 3, True, None))
        event = await following(events)
        assert (event.type, event.name) == (EventType.DELETED, "clusters/home/addOns/garage")


async def test_leaving_a_watch_leaves_nothing_behind(world: World) -> None:
    await world.deployed()
    tasks = asyncio.all_tasks()
    async with aclosing(world.apps.watch_apps(ALL)) as events:
        await synced(events)
        getting = asyncio.create_task(anext(events))
        await idle(world)
        getting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await getting
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == tasks
    assert world.hub._listeners == {}
