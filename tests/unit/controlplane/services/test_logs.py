"""Following logs over cuts: nothing lost, nothing doubled, and an honest end when the agent stays away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.domain.errors import (
    AgentOffline,
    Draining,
    InvalidField,
    NoRunningPod,
    NotFound,
)
from controlplane.domain.logs import LogCursor, LogEvent, LogEventKind, TailRequest
from controlplane.domain.names import AppName
from controlplane.services.log_cursors import LogCursors
from tests.fakes.agents import FakeStream
from tests.unit.controlplane.services.world import WEB, Agent, World

FOLLOW = TailRequest(WEB, follow=True, tail_lines=10)


def lines(*texts: str, pod: str = "web-1", restarts: int = 0) -> LogEvent:
    body = "".join(f"{text}\n" for text in texts).encode()
    return LogEvent(LogEventKind.LINES, "web", pod, f"uid-{pod}", "web", restarts, body)


async def following(events: AsyncIterator[LogEvent | None]) -> LogEvent | None:
    return await asyncio.wait_for(anext(events), 10)


async def stream_of(world: World, count: int = 1) -> FakeStream:
    """The stream that the service opened last, once it has opened that many."""
    while len(world.agents.streams) < count:
        world.agents.opened.clear()
        await asyncio.wait_for(world.agents.opened.wait(), 10)
    return world.agents.streams[-1]


async def cut(world: World, agent: Agent, stream: FakeStream) -> None:
    await agent.disconnect()
    stream.cut()


async def test_events_pass_through_until_the_agent_is_done(world: World) -> None:
    await world.deployed()
    events = world.logs.tail_logs(TailRequest(WEB, services=("web",), tail_lines=5))
    getting = asyncio.create_task(following(events))
    stream = await stream_of(world)
    assert (stream.request.app, stream.request.services) == ("web", ("web",))
    assert (stream.request.tail_lines, stream.request.cursors) == (5, ())
    event = lines("2026-01-01T00:00:00.000000001Z hello \xff")
    stream.say(event)
    stream.end()
    assert await getting is event
    with pytest.raises(StopAsyncIteration):
        await following(events)
    assert stream.closed


async def test_a_cut_is_bridged_from_the_last_line_of_each_container(world: World) -> None:
    agent, _ = await world.deployed()
    async with aclosing(world.logs.tail_logs(FOLLOW)) as events:
        getting = asyncio.create_task(following(events))
        stream = await stream_of(world)
        stream.say(lines("t1 a", "t2 b", "t2 c"), lines("t9 x", pod="web-2", restarts=3))
        await getting
        await following(events)
        await cut(world, agent, stream)
        getting = asyncio.create_task(following(events))
        await world.clock.asleep()
        await agent.connect()
        again = await stream_of(world, 2)
        assert stream.closed
        assert set(again.request.cursors) == {
            LogCursor("web-1", "uid-web-1", "web", "t2", 2, 0),
            LogCursor("web-2", "uid-web-2", "web", "t9", 1, 3),
        }
        assert again.request.tail_lines is None
        again.say(event := lines("t3 d"))
        assert await getting is event


async def test_a_cut_before_anything_came_asks_the_same_again(world: World) -> None:
    agent, _ = await world.deployed()
    async with aclosing(world.logs.tail_logs(FOLLOW)) as events:
        getting = asyncio.create_task(following(events))
        stream = await stream_of(world)
        await cut(world, agent, stream)
        await agent.connect()
        again = await stream_of(world, 2)
        assert again.request == stream.request
        again.say(lines("t1 a"))
        await getting


async def test_new_lines_only_means_from_the_beginning_of_the_call(world: World) -> None:
    agent, _ = await world.deployed()
    opened = world.clock.now()
    async with aclosing(
        world.logs.tail_logs(TailRequest(WEB, follow=True, tail_lines=0))
    ) as events:
        getting = asyncio.create_task(following(events))
        stream = await stream_of(world)
        stream.say(LogEvent(LogEventKind.STARTED, "web", "web-1", "u", "web", 0))
        await getting
        getting = asyncio.create_task(following(events))
        await cut(world, agent, stream)
        await agent.connect()
        again = await stream_of(world, 2)
        assert (again.request.since_time, again.request.tail_lines) == (opened, None)
        again.say(lines("t1 a"))
        await getting


async def test_an_agent_that_drains_is_waited_for(world: World) -> None:
    await world.deployed()
    async with aclosing(world.logs.tail_logs(FOLLOW)) as events:
        getting = asyncio.create_task(following(events))
        stream = await stream_of(world)
        stream.cut(Draining("restarting"))
        (await stream_of(world, 2)).say(lines("t1 a"))
        await getting


async def test_an_agent_that_stays_away_for_a_minute_is_given_up(world: World) -> None:
    agent, _ = await world.deployed()
    async with aclosing(world.logs.tail_logs(FOLLOW)) as events:
        getting = asyncio.create_task(following(events))
        stream = await stream_of(world)
        await cut(world, agent, stream)
        await asyncio.wait_for(stream.ended.wait(), 10)
        for _ in range(4):  # somebody who waits for the agent has heartbeats meanwhile
            await world.clock.asleep()
            world.clock.advance(15)
            assert await getting is None
            getting = asyncio.create_task(following(events))
        assert await getting is None
        with pytest.raises(AgentOffline, match="clusters/home"):
            await following(events)


async def test_what_the_agent_refuses_is_said(world: World) -> None:
    await world.deployed()
    events = world.logs.tail_logs(FOLLOW)
    getting = asyncio.create_task(following(events))
    (await stream_of(world)).cut(NoRunningPod("web has no pod"))
    with pytest.raises(NoRunningPod):
        await getting


async def test_silence_has_heartbeats(world: World) -> None:
    await world.deployed()
    async with aclosing(world.logs.tail_logs(FOLLOW)) as events:
        for _ in range(3):
            getting = asyncio.create_task(following(events))
            await world.clock.asleep()
            world.clock.advance(15)
            assert await getting is None


async def test_leaving_stops_the_stream_and_leaves_no_task(world: World) -> None:
    await world.deployed()
    before = asyncio.all_tasks()
    async with aclosing(world.logs.tail_logs(FOLLOW)) as events:
        getting = asyncio.create_task(following(events))
        stream = await stream_of(world)
        stream.say(lines("t1 a"))
        await getting
    assert stream.closed
    assert asyncio.all_tasks() == before


async def test_bad_requests_and_absent_agents_fail_at_once(world: World) -> None:
    agent, _ = await world.deployed()
    with pytest.raises(InvalidField, match="tail_lines"):
        await following(world.logs.tail_logs(TailRequest(WEB, tail_lines=-1)))
    nowhere = AppName("default", "shop", "prod", "nowhere")
    with pytest.raises(NotFound):
        await following(world.logs.tail_logs(TailRequest(nowhere)))
    await agent.disconnect()
    with pytest.raises(AgentOffline):
        await following(world.logs.tail_logs(FOLLOW))


@given(
    st.lists(st.tuples(st.integers(0, 3), st.text(alphabet="ab \xff", max_size=4)), min_size=1),
    st.data(),
)
def test_a_cursor_counts_the_lines_of_the_last_time(
    entries: list[tuple[int, str]], data: st.DataObject
) -> None:
    """However the lines are cut into chunks, the cursor is the same as that of counting line by line."""
    entries.sort(key=lambda entry: entry[0])
    cursors = LogCursors()
    rest = [f"t{time} {text}" for time, text in entries]
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        cursors.advance(lines(*rest[:size]))
        rest = rest[size:]
    last = entries[-1][0]
    [cursor] = cursors.all()
    assert cursor.time == f"t{last}"
    assert cursor.lines_at_time == sum(time == last for time, _ in entries)


def test_another_run_of_the_container_counts_anew() -> None:
    cursors = LogCursors()
    cursors.advance(lines("t1 a", "t1 b"))
    cursors.advance(lines("t1 c", restarts=1))
    [cursor] = cursors.all()
    assert (cursor.restarts, cursor.lines_at_time) == (1, 1)


def test_times_that_begin_alike_are_not_the_same() -> None:
    cursors = LogCursors()
    cursors.advance(lines("00.12Z a", "00.1Z b"))
    [cursor] = cursors.all()
    assert (cursor.time, cursor.lines_at_time) == ("00.1Z", 1)
