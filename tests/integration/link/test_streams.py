"""Streams through both real ends: logs, exec, plan, and what happens to each when something stalls or breaks."""

from __future__ import annotations

import asyncio

import pytest
from skerry.agent.v1 import link_pb2, stream_pb2

from agent.link import Stream, StreamError
from controlplane.domain.commands import DeployApp, EnvironmentSpec
from controlplane.domain.errors import AgentOffline, NoRunningPod, RemoteError
from controlplane.domain.logs import LogEvent, LogEventKind, LogsRequest
from controlplane.domain.terminals import (
    ExecEnded,
    ExecOutput,
    ExecRequest,
    ExecRunning,
    WindowSize,
)
from tests.integration.link.conftest import PATIENCE, UID, Agents, Plane, Proxy, until

LOGS = LogsRequest("ns", "web", ("api",), True, None, 10, False)
EXEC = ExecRequest("ns", "web", "api", "", ("sh",), True, True, WindowSize(24, 80))
PLAN = DeployApp(EnvironmentSpec("ns", "e", "o", "p", "env"), "web", "a", 1, "", (), (), {}, 60)


def line(number: int, size: int = 40) -> bytes:
    event = stream_pb2.LogEvent(service="api", pod="api-0", lines=b"%d " % number + b"x" * size)
    return event.SerializeToString()


async def connected(plane: Plane) -> None:
    await until(lambda: plane.registry.is_connected(UID), "the agent")


async def test_log_events_arrive_whole_in_order_and_end(plane: Plane, agents: Agents) -> None:
    asked: list[stream_pb2.OpenLogs] = []

    async def logs(open_: link_pb2.Open, stream: Stream) -> None:
        asked.append(open_.logs)
        for number in range(3000):
            await stream.send_message(line(number))

    agents.start(streams={"logs": logs})
    await connected(plane)
    stream = await plane.registry.open_logs(UID, LOGS)
    numbers = []
    while (event := await stream.receive()) is not None:
        assert event.kind is LogEventKind.LINES
        numbers.append(int(event.lines.split()[0]))
    assert numbers == list(range(3000))
    assert (asked[0].namespace, asked[0].follow, asked[0].tail_lines) == ("ns", True, 10)


async def test_an_exec_runs_both_ways(plane: Plane, agents: Agents) -> None:
    async def exec_(open_: link_pb2.Open, stream: Stream) -> None:
        running = stream_pb2.ExecStatus(running=stream_pb2.ExecRunning(pod="api-0"))
        await stream.send_message(running.SerializeToString(), link_pb2.CHANNEL_CONTROL)
        while (data := await stream.receive()) is not None:
            if data.channel == link_pb2.CHANNEL_STDIN:
                await stream.send(data.payload.upper(), link_pb2.CHANNEL_STDOUT)
                continue
            control = stream_pb2.ExecControl.FromString(data.payload)
            if control.HasField("resize"):
                size = b"%d x %d" % (control.resize.rows, control.resize.columns)
                await stream.send(size, link_pb2.CHANNEL_STDERR)
            if control.stdin_eof:
                break
        ended = stream_pb2.ExecStatus(ended=stream_pb2.ExecEnded(exit_code=3))
        await stream.send_message(ended.SerializeToString(), link_pb2.CHANNEL_CONTROL)

    agents.start(streams={"exec": exec_})
    await connected(plane)
    session = await plane.registry.open_exec(UID, EXEC)
    await session.send_stdin(b"hello")
    await session.resize(WindowSize(10, 20))
    await session.close_stdin()
    events = []
    while (event := await session.receive()) is not None:
        events.append(event)
    assert events == [
        ExecRunning("api-0", ""),
        ExecOutput(b"HELLO"),
        ExecOutput(b"10 x 20", stderr=True),
        ExecEnded(3, ""),
    ]


async def test_a_plan_larger_than_a_frame_comes_back(plane: Plane, agents: Agents) -> None:
    manifests = "m" * 1_000_000

    async def plan(open_: link_pb2.Open, stream: Stream) -> None:
        assert open_.plan.deploy.app == "web"
        await stream.send(stream_pb2.PlanResult(manifests=manifests).SerializeToString())

    agents.start(streams={"plan": plan})
    await connected(plane)
    result = await plane.registry.plan(UID, PLAN)
    assert result.manifests == manifests


async def test_a_handlers_error_reaches_the_caller(plane: Plane, agents: Agents) -> None:
    async def logs(open_: link_pb2.Open, stream: Stream) -> None:
        raise StreamError(9, "NO_RUNNING_POD", "no pod of api runs; look at its state")

    agents.start(streams={"logs": logs})
    await connected(plane)
    stream = await plane.registry.open_logs(UID, LOGS)
    with pytest.raises(NoRunningPod, match="look at its state"):
        await stream.receive()


async def test_a_handlers_defect_is_an_internal_error_without_details(
    plane: Plane, agents: Agents
) -> None:
    async def logs(open_: link_pb2.Open, stream: Stream) -> None:
        raise ZeroDivisionError("the secret is 42")

    agents.start(streams={"logs": logs})
    await connected(plane)
    stream = await plane.registry.open_logs(UID, LOGS)
    with pytest.raises(Exception, match="failed at logs") as caught:
        await stream.receive()
    assert "42" not in str(caught.value)


async def test_what_an_agent_cannot_do_is_said(plane: Plane, agents: Agents) -> None:
    agents.start()
    await connected(plane)
    stream = await plane.registry.open_logs(UID, LOGS)
    with pytest.raises(RemoteError, match="update the agent"):
        await stream.receive()


async def test_closing_cancels_the_handler(plane: Plane, agents: Agents) -> None:
    cancelled = asyncio.Event()

    async def logs(open_: link_pb2.Open, stream: Stream) -> None:
        await stream.send_message(line(0))
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    agents.start(streams={"logs": logs})
    await connected(plane)
    stream = await plane.registry.open_logs(UID, LOGS)
    assert isinstance(await stream.receive(), LogEvent)
    await stream.close()
    await asyncio.wait_for(cancelled.wait(), PATIENCE)


async def test_a_stalled_reader_holds_up_its_own_stream_only(plane: Plane, agents: Agents) -> None:
    sent = 0

    async def logs(open_: link_pb2.Open, stream: Stream) -> None:
        nonlocal sent
        if open_.logs.app == "stalled":
            while True:
                await stream.send_message(line(0, 8000))
                sent += 1
        for number in range(2000):
            await stream.send_message(line(number, 8000))

    agents.start(streams={"logs": logs})
    await connected(plane)
    stalled = await plane.registry.open_logs(
        UID, LogsRequest("ns", "stalled", (), True, None, None, False)
    )
    await until(lambda: sent > 3, "the stalled stream to fill")
    flowing = await plane.registry.open_logs(UID, LOGS)
    count = 0
    while await asyncio.wait_for(flowing.receive(), PATIENCE) is not None:
        count += 1
    assert count == 2000
    assert sent * 8000 < 64 * 1024 + 128 * 1024 + 16_000  # credit and the sender's buffer
    await stalled.close()


async def test_a_cut_ends_streams_as_offline_and_cancels_handlers(
    plane: Plane, agents: Agents, proxy: tuple[Proxy, int]
) -> None:
    cancelled = asyncio.Event()

    async def logs(open_: link_pb2.Open, stream: Stream) -> None:
        await stream.send_message(line(0))
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    agents.start(streams={"logs": logs}, port=proxy[1])
    await connected(plane)
    stream = await plane.registry.open_logs(UID, LOGS)
    assert isinstance(await stream.receive(), LogEvent)
    proxy[0].cut()
    with pytest.raises(AgentOffline):
        await asyncio.wait_for(stream.receive(), PATIENCE)
    await asyncio.wait_for(cancelled.wait(), PATIENCE)
    await connected(plane)
    again = await plane.registry.open_logs(UID, LOGS)
    assert isinstance(await again.receive(), LogEvent)
    await again.close()


async def test_cancelling_a_plan_ends_the_agents_work(plane: Plane, agents: Agents) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def plan(open_: link_pb2.Open, stream: Stream) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    agents.start(streams={"plan": plan})
    await connected(plane)
    asking = asyncio.ensure_future(plane.registry.plan(UID, PLAN))
    await asyncio.wait_for(begun.wait(), PATIENCE)
    asking.cancel()
    await asyncio.wait_for(cancelled.wait(), PATIENCE)
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_too_many_streams_are_refused_and_the_others_live(
    plane: Plane, agents: Agents
) -> None:
    async def logs(open_: link_pb2.Open, stream: Stream) -> None:
        await stream.send_message(line(0))
        await asyncio.Event().wait()

    agents.start(streams={"logs": logs})
    await connected(plane)
    streams = [await plane.registry.open_logs(UID, LOGS) for _ in range(256)]
    with pytest.raises(RemoteError, match="256 streams") as caught:
        await plane.registry.open_logs(UID, LOGS)
    assert caught.value.reason == "LINK_LIMIT_EXCEEDED"
    assert isinstance(await streams[-1].receive(), LogEvent)
    for stream in streams:
        await stream.close()
