"""Terminals without client streaming: offsets, repeats, slow readers, detaching."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

import pytest

from controlplane.domain.errors import (
    AgentOffline,
    InvalidField,
    NoRunningPod,
    NotFound,
    TerminalGone,
)
from controlplane.domain.names import AppName, TerminalName
from controlplane.domain.terminals import (
    ExecEnded,
    ExecOutput,
    ExecRunning,
    ExecStart,
    TerminalEvent,
    TerminalOpened,
    TerminalOutput,
    WindowSize,
)
from controlplane.domain.tokens import Principal
from controlplane.services.terminal_session import RING_BYTES
from tests.fakes.agents import FakeExec
from tests.unit.controlplane.services.world import ANNE, WEB, World

START = ExecStart(WEB, "web", "", ("sh",), tty=True, stdin=True, size=WindowSize(24, 80))
BOB = Principal("tokens/bob", "Bob")
Events = AsyncIterator[TerminalEvent | None]


async def following(events: Events) -> TerminalEvent | None:
    return await asyncio.wait_for(anext(events), 10)


async def opened(
    world: World,
) -> tuple[AsyncGenerator[TerminalEvent | None, None], FakeExec, TerminalName]:
    """An open terminal of Anne's in a running command."""
    await world.deployed()
    events = cast(
        "AsyncGenerator[TerminalEvent | None, None]", world.terminals.open_terminal(START, ANNE)
    )
    getting = asyncio.create_task(following(events))
    await asyncio.wait_for(world.agents.opened.wait(), 10)
    [command] = world.agents.commands
    command.say(ExecRunning("web-1", "web"))
    first = await getting
    assert isinstance(first, TerminalOpened)
    assert first.pod == "web-1"
    return events, command, TerminalName(first.terminal)


async def test_output_has_offsets_and_the_exit_comes_last(world: World) -> None:
    events, command, _ = await opened(world)
    command.say(ExecOutput(b"hello "), ExecOutput(b"world"), ExecEnded(3, ""), None)
    output = b""
    while not isinstance(event := await following(events), ExecEnded):
        assert isinstance(event, TerminalOutput)
        assert event.offset == len(output)
        output += event.data
    assert (output, event.exit_code) == (b"hello world", 3)
    with pytest.raises(StopAsyncIteration):
        await following(events)


async def test_input_that_arrived_is_not_passed_on_twice(world: World) -> None:
    events, command, name = await opened(world)
    write = world.terminals.write_terminal
    assert await write(name, ANNE, input_offset=0, data=b"ls") == 2
    assert await write(name, ANNE, input_offset=0, data=b"ls") == 2
    assert await write(name, ANNE, input_offset=1, data=b"s -l\n") == 6
    assert bytes(command.stdin) == b"ls -l\n"
    with pytest.raises(InvalidField, match="6 bytes came before"):
        await write(name, ANNE, input_offset=9, data=b"x")
    for _ in range(2):
        await write(name, ANNE, input_offset=6, data=b"", eof=True)
    assert command.stdin_closed
    await events.aclose()


async def test_a_terminal_is_its_owners_alone(world: World) -> None:
    events, command, name = await opened(world)
    with pytest.raises(TerminalGone):
        await world.terminals.write_terminal(name, BOB, input_offset=0, data=b"x")
    with pytest.raises(TerminalGone):
        await world.terminals.resize_terminal(name, BOB, WindowSize(1, 1))
    with pytest.raises(TerminalGone):
        await world.terminals.close_terminal(name, BOB)
    with pytest.raises(TerminalGone):
        await following(world.terminals.attach_terminal(name, BOB, output_offset=0))
    assert not command.stdin
    await events.aclose()


async def test_resize_reaches_the_command(world: World) -> None:
    events, command, name = await opened(world)
    assert command.request.size == WindowSize(24, 80)
    await world.terminals.resize_terminal(name, ANNE, WindowSize(50, 120))
    assert command.sizes == [WindowSize(50, 120)]
    with pytest.raises(InvalidField):
        await world.terminals.resize_terminal(name, ANNE, WindowSize(0, 120))
    await events.aclose()


async def test_close_ends_the_command(world: World) -> None:
    events, command, name = await opened(world)
    await world.terminals.close_terminal(name, ANNE)
    assert command.closed
    assert isinstance(await following(events), ExecEnded)
    with pytest.raises(TerminalGone):
        await world.terminals.write_terminal(name, ANNE, input_offset=0, data=b"x")


async def test_a_reader_that_left_can_come_back_for_a_minute(world: World) -> None:
    events, command, name = await opened(world)
    command.say(ExecOutput(b"one"))
    await following(events)
    await events.aclose()
    command.say(ExecOutput(b"two"))
    await world.clock.asleep()
    world.clock.advance(59)
    async with aclosing(world.terminals.attach_terminal(name, ANNE, output_offset=1)) as again:
        assert isinstance(await following(again), TerminalOpened)
        output = b""
        while output != b"netwo":
            event = await following(again)
            assert isinstance(event, TerminalOutput)
            output += event.data
        assert not command.closed


async def test_a_terminal_left_alone_for_a_minute_ends(world: World) -> None:
    events, command, name = await opened(world)
    await events.aclose()
    await world.clock.asleep()
    world.clock.advance(60)
    await asyncio.wait_for(command.ended.wait(), 10)
    await asyncio.sleep(0)
    with pytest.raises(TerminalGone):
        await world.terminals.write_terminal(name, ANNE, input_offset=0, data=b"x")


async def test_a_reader_that_does_not_keep_up_stops_the_command_and_loses_nothing(
    world: World,
) -> None:
    events, command, _ = await opened(world)
    block = 10_000
    count = 100
    for n in range(count):
        command.say(ExecOutput(bytes([n]) * block))
    command.say(ExecEnded(0, ""), None)
    taken = command.received
    for _ in range(1000):
        await asyncio.sleep(0)
    assert (command.received - taken) * block <= RING_BYTES + block
    output = b""
    while not isinstance(event := await following(events), ExecEnded):
        assert isinstance(event, TerminalOutput)
        assert event.offset == len(output)
        output += event.data
    assert output == b"".join(bytes([n]) * block for n in range(count))


async def test_a_newer_reader_takes_the_place_of_an_older(world: World) -> None:
    events, command, name = await opened(world)
    waiting = asyncio.create_task(following(events))
    await world.clock.asleep()
    async with aclosing(world.terminals.attach_terminal(name, ANNE, output_offset=0)) as newer:
        assert isinstance(await following(newer), TerminalOpened)
        with pytest.raises(StopAsyncIteration):
            await waiting
        command.say(ExecOutput(b"x"))
        assert isinstance(await following(newer), TerminalOutput)
        world.clock.advance(100)
        assert not command.closed


async def test_what_the_agent_says_goes_to_the_reader(world: World) -> None:
    await world.deployed()
    events = world.terminals.open_terminal(START, ANNE)
    getting = asyncio.create_task(following(events))
    await asyncio.wait_for(world.agents.opened.wait(), 10)
    world.agents.commands[0].say(NoRunningPod("web has no running pod"))
    with pytest.raises(NoRunningPod):
        await getting


async def test_shutting_down_ends_all(world: World) -> None:
    events, command, _ = await opened(world)
    await world.terminals.close()
    assert command.closed
    assert isinstance(await following(events), ExecEnded)


async def test_exec_needs_an_app_and_its_agent(world: World) -> None:
    agent, _ = await world.deployed()
    with pytest.raises(NotFound):
        await world.terminals.exec(ExecStart(AppName("default", "shop", "prod", "nope")))
    with pytest.raises(InvalidField, match="NUL"):
        await world.terminals.exec(ExecStart(WEB, command=("a\0b",)))
    await agent.disconnect()
    with pytest.raises(AgentOffline):
        await world.terminals.exec(ExecStart(WEB))
