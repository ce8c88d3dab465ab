"""Terminals without client streaming: offsets, repeats, slow readers, detaching."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

import pytest

from controlplane.domain.access import Grant, Grants, Permission
from controlplane.domain.errors import (
    AgentOffline,
    InvalidField,
    NoRunningPod,
    NotFound,
    PageTokenInvalid,
    TerminalGone,
    TerminalLimitExceeded,
)
from controlplane.domain.names import AppName, TerminalName
from controlplane.domain.requests import PageRequest
from controlplane.domain.terminals import (
    DetachReason,
    ExecEnded,
    ExecLost,
    ExecOutput,
    ExecRunning,
    ExecStart,
    TerminalDetached,
    TerminalEvent,
    TerminalLimits,
    TerminalOpened,
    TerminalOutput,
    WindowSize,
)
from controlplane.domain.tokens import Principal
from controlplane.services.terminal_session import RING_BYTES, Attachment
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
        assert await waiting == TerminalDetached(DetachReason.TAKEN)
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


def holding(name: str, *permissions: Permission) -> Principal:
    grants = Grants.of([Grant("", frozenset({Permission.CONTAINERS_EXEC, *permissions}))])
    return Principal(f"users/{name}", name, grants=grants)


AMY = holding("amy")
BEN = holding("ben")
BOSS = holding("boss", Permission.ENVIRONMENTS_MANAGE)


async def kept(world: World, owner: Principal = AMY) -> tuple[Attachment, FakeExec, TerminalName]:
    """A kept terminal, its command, its name."""
    if not world.agents.commands:
        await world.deployed()
    attachment = await world.terminals.keep(START, owner)
    command = world.agents.commands[-1]
    command.say(ExecRunning("web-1", "web"))
    async with aclosing(attachment.events()) as events:
        first = await following(events)
    assert isinstance(first, TerminalOpened)
    return (
        await world.terminals.attach(TerminalName(first.terminal), owner, from_offset=0),
        command,
        TerminalName(first.terminal),
    )


async def output_of(events: Events, size: int) -> bytes:
    """So many bytes."""
    seen = b""
    while len(seen) < size:
        event = await following(events)
        if isinstance(event, TerminalOutput):
            seen += event.data
    return seen


async def test_a_detached_terminal_runs_on_and_gives_scrollback_to_the_next_client(
    world: World,
) -> None:
    attachment, command, name = await kept(world)
    async with aclosing(attachment.events()) as events:
        command.say(ExecOutput(b"before "))
        await output_of(events, 7)
        world.terminals.detach_terminal(name, AMY)
        assert await following(events) == TerminalDetached(DetachReason.REQUESTED)
    command.say(ExecOutput(b"meanwhile"))
    await world.clock.asleep()
    world.clock.advance(24 * 3600 - 1)
    assert not command.closed
    again = await world.terminals.attach(name, AMY, size=WindowSize(50, 132))
    assert command.sizes == [WindowSize(50, 132)]
    async with aclosing(again.events()) as events:
        assert await output_of(events, 16) == b"before meanwhile"
    last = await world.terminals.attach(name, AMY, scrollback=5)
    async with aclosing(last.events()) as events:
        assert await output_of(events, 5) == b"while"


async def test_a_detached_terminal_ends_when_nobody_comes(world: World) -> None:
    attachment, command, name = await kept(world)
    world.terminals.detach_terminal(name, AMY)
    attachment.leave()  # late: must not begin the grace period of a minute
    await world.clock.asleep()
    world.clock.advance(24 * 3600)
    await asyncio.wait_for(command.ended.wait(), 10)


async def test_a_detached_terminal_keeps_the_newest_output_and_never_waits(world: World) -> None:
    attachment, command, name = await kept(world)
    world.terminals.detach_terminal(name, AMY)
    attachment.leave()
    for number in range(100):
        command.say(ExecOutput(bytes([number]) * 10_000))
    for _ in range(2000):  # so many turns of the loop are more than it needs
        await asyncio.sleep(0)
    assert command.received == 101
    again = await world.terminals.attach(name, AMY)
    async with aclosing(again.events()) as events:
        assert isinstance(await following(events), TerminalOpened)
        first = await following(events)
        assert isinstance(first, TerminalOutput)
        assert first.offset >= 1_000_000 - RING_BYTES - 10_000
        rest = await output_of(events, 1_000_000 - first.offset - len(first.data))
        assert rest.endswith(bytes([99]) * 10_000)


async def test_input_of_a_client_that_lost_its_place_goes_nowhere(world: World) -> None:
    older, command, name = await kept(world)
    await older.write(b"one ")
    newer = await world.terminals.attach(name, AMY)
    await older.write(b"lost")
    await older.resize(WindowSize(1, 1))
    assert newer.input_received == 4
    await newer.write(b"two")
    assert bytes(command.stdin) == b"one two"
    assert not command.sizes


async def test_a_call_that_breaks_while_input_waits_loses_and_doubles_nothing(
    world: World,
) -> None:
    attachment, command, name = await kept(world)
    gate = asyncio.Event()
    send = command.send_stdin

    async def slow(data: bytes) -> None:
        await gate.wait()
        await send(data)

    command.send_stdin = slow  # type: ignore[method-assign]
    writing = asyncio.create_task(attachment.write(b"hello"))
    for _ in range(100):
        await asyncio.sleep(0)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    again = await world.terminals.attach(name, AMY)
    assert again.input_received == 5
    following_up = asyncio.create_task(again.write(b" you"))
    gate.set()
    await following_up
    assert bytes(command.stdin) == b"hello you"


async def test_what_a_cut_of_the_link_cost_is_said_in_the_terminal(world: World) -> None:
    attachment, command, _ = await kept(world)
    command.say(ExecLost(1234), ExecOutput(b"on"))
    async with aclosing(attachment.events()) as events:
        assert "… 1234 bytes lost …" in (await output_of(events, 27)).decode()


async def test_only_terminals_are_kept(world: World) -> None:
    await world.deployed()
    with pytest.raises(InvalidField, match="needs tty"):
        await world.terminals.keep(ExecStart(WEB, command=("true",)), AMY)


async def test_terminals_are_limited_by_user_and_by_cluster(world: World) -> None:
    world.terminals._limits = TerminalLimits(per_user=2, per_cluster=3)
    await kept(world)
    await kept(world)
    with pytest.raises(TerminalLimitExceeded, match="you have 2 terminals"):
        await world.terminals.keep(START, AMY)
    _, _, bens = await kept(world, BEN)
    with pytest.raises(TerminalLimitExceeded, match="in this cluster"):
        await world.terminals.keep(START, BEN)
    await world.terminals.close_terminal(bens, BEN)
    await world.terminals.keep(START, BEN)


async def test_lists_show_ones_own_and_to_managers_others_without_their_arguments(
    world: World,
) -> None:
    names = [(await kept(world))[2] for _ in range(3)]
    _, _, bens = await kept(world, BEN)
    listed = world.terminals.list_terminals
    first = listed(PageRequest(2), AMY)
    rest = listed(PageRequest(2, first.next_token), AMY)
    assert [item.uid for item in (*first.items, *rest.items)] == [
        name.terminal for name in reversed(names)
    ]
    assert not rest.next_token
    assert first.items[0].command == ("sh",)
    assert [item.uid for item in listed(PageRequest(), AMY, all_owners=True).items] == [
        item.uid for item in (*first.items, *rest.items)
    ]
    everyone = listed(PageRequest(), BOSS, all_owners=True).items
    assert len(everyone) == 4
    assert all(not item.command for item in everyone)
    assert not listed(PageRequest(), AMY, parent="organizations/default/projects/other").items
    assert len(listed(PageRequest(), AMY, parent=str(WEB)).items) == 3
    with pytest.raises(PageTokenInvalid):
        listed(PageRequest(0, "nonsense"), AMY)
    with pytest.raises(TerminalGone):
        await world.terminals.close_terminal(bens, AMY)
    with pytest.raises(TerminalGone):
        await world.terminals.attach(bens, BOSS)
    await world.terminals.close_terminal(bens, BOSS)
    assert len(listed(PageRequest(), BOSS, all_owners=True).items) == 3


async def test_a_list_says_who_is_attached_and_when_the_others_end(world: World) -> None:
    attachment, _, name = await kept(world)
    (item,) = world.terminals.list_terminals(PageRequest(), AMY).items
    assert item.attached
    assert item.expire_time is None
    attachment.leave()
    (item,) = world.terminals.list_terminals(PageRequest(), AMY).items
    assert item.expire_time is not None
    assert item.detach_time is not None
    assert (item.expire_time - item.detach_time).total_seconds() == 60
    world.terminals.detach_terminal(name, AMY)
    (item,) = world.terminals.list_terminals(PageRequest(), AMY).items
    assert item.expire_time is not None
    assert (item.expire_time - item.create_time).total_seconds() >= 24 * 3600
