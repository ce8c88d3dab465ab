"""A command through cuts of the link, both real ends: each byte once, losses said, and an end when nobody comes back.

The containers are doubles: a command is what the test lets it print.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from skerry.agent.v1 import link_pb2
from skerry.wire.replay import REPLAY_BYTES
from skerry.wire.session import LinkStream

from agent.handlers.exec import ExecHandler
from agent.kube import ExecResult, OutputChannel
from controlplane.domain.errors import AgentOffline, RemoteError, StatusCode, TerminalGone
from controlplane.domain.terminals import (
    ExecEnded,
    ExecEvent,
    ExecLost,
    ExecOutput,
    ExecRequest,
    ExecRunning,
    WindowSize,
)
from controlplane.link.exec_session import AgentExecSession
from tests.integration.link.conftest import UID, Agents, Plane, Proxy, until

POD = {
    "metadata": {
        "name": "api-0",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"skerry.dev/service": "api"},
    },
    "spec": {"containers": [{"name": "api"}]},
    "status": {"phase": "Running"},
}
TERMINAL = ExecRequest("ns", "web", "api", "", ("sh",), True, True, WindowSize(24, 80))
PIPE = ExecRequest("ns", "web", "api", "", ("sh",), False, True, None)


class Command:
    """Double of `agent.kube.ExecSession`: what it prints is put in with `print`."""

    def __init__(self) -> None:
        self.stdin = bytearray()
        self.closed = False
        self.printed = 0
        self.taken = 0
        self.result = ExecResult(0)
        self._output: asyncio.Queue[bytes | None] = asyncio.Queue()

    def print(self, data: bytes) -> None:
        self.printed += len(data)
        self._output.put_nowait(data)

    def exit(self, code: int) -> None:
        self.result = ExecResult(code)
        self._output.put_nowait(None)

    async def output(self) -> AsyncGenerator[tuple[OutputChannel, bytes], None]:
        while (data := await self._output.get()) is not None:
            yield OutputChannel.STDOUT, data
            self.taken += len(data)

    async def write(self, data: bytes) -> None:
        self.stdin += data

    async def resize(self, size: object) -> None:
        pass

    async def end_stdin(self) -> None:
        pass

    async def close(self) -> None:
        self.closed = True


class Kube:
    """Double of `agent.kube.KubeClient`: one pod, and commands that the test drives."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.hung_up = asyncio.Event()

    async def list(self, *_: Any) -> list[dict[str, Any]]:
        return [POD]

    async def exec(self, _ns: str, _pod: str, _c: str, argv: Sequence[str], **_: Any) -> Command:
        command = Command()
        if "kill" in argv[2]:
            self.hung_up.set()
            command.exit(0)
        else:
            self.commands.append(command)
        return command


class Shells:
    """The agent's exec handler over a double of Kubernetes; `leave` ends the wait for the link."""

    def __init__(self) -> None:
        self.kube = Kube()
        self.left = asyncio.Event()
        self.waits: list[float] = []
        self.handler = ExecHandler(self.kube, lambda: "mark", sleep=self._sleep)  # type: ignore[arg-type]

    @property
    def streams(self) -> dict[str, Any]:
        return {"exec": self.handler, "resume_exec": self.handler.resume}

    @property
    def command(self) -> Command:
        return self.kube.commands[0]

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await self.left.wait()


async def opened(
    plane: Plane, agents: Agents, shells: Shells, port: int, request: ExecRequest = TERMINAL
) -> AgentExecSession:
    agents.start(streams=shells.streams, port=port)
    await until(lambda: plane.registry.is_connected(UID), "the agent")
    session = await plane.registry.open_exec(UID, request)
    assert await next_event(session) == ExecRunning("api-0", "api")
    return session


async def next_event(session: AgentExecSession) -> ExecEvent | None:
    async with asyncio.timeout(60):
        return await session.receive()


async def read(session: AgentExecSession, size: int) -> bytes:
    """So many bytes of output."""
    seen = b""
    while len(seen) < size:
        event = await next_event(session)
        assert isinstance(event, ExecOutput), event
        seen += event.data
    return seen


def numbers(first: int, last: int) -> bytes:
    return b"".join(b"%d\r\n" % number for number in range(first, last))


async def test_cuts_are_invisible_in_both_directions(
    plane: Plane, agents: Agents, proxy: tuple[Proxy, int]
) -> None:
    shells = Shells()
    session = await opened(plane, agents, shells, proxy[1])
    seen = typed = b""
    for turn in range(5):
        before = numbers(turn * 1000, turn * 1000 + 500)
        shells.command.print(before)
        seen += await read(session, 100)
        proxy[0].cut()
        shells.command.print(numbers(turn * 1000 + 500, (turn + 1) * 1000))
        line = b"line %d\n" % turn
        typed += line
        await session.send_stdin(line)
    seen += await read(session, shells.command.printed - len(seen))
    assert seen == numbers(0, 5000)
    await until(lambda: len(shells.command.stdin) >= len(typed), "the input")
    shells.command.exit(3)
    assert await next_event(session) == ExecEnded(3, "")
    assert await next_event(session) is None
    assert bytes(shells.command.stdin) == typed
    assert not shells.kube.hung_up.is_set()


async def test_a_half_open_link_is_found_and_bridged(
    plane: Plane, agents: Agents, proxy: tuple[Proxy, int]
) -> None:
    shells = Shells()
    session = await opened(plane, agents, shells, proxy[1])
    proxy[0].freeze()
    shells.command.print(b"while nothing passes")
    await session.send_stdin(b"typed into the void")
    await until(lambda: bool(shells.waits), "the agent's finding that the link is dead")
    proxy[0].cut()
    proxy[0].thaw()
    assert await read(session, 20) == b"while nothing passes"
    await until(lambda: bytes(shells.command.stdin) == b"typed into the void", "the input")
    await session.close()
    await asyncio.wait_for(shells.kube.hung_up.wait(), 60)


async def test_what_a_terminal_prints_beyond_the_ring_is_lost_and_said(
    plane: Plane, agents: Agents, proxy: tuple[Proxy, int]
) -> None:
    shells = Shells()
    session = await opened(plane, agents, shells, proxy[1])
    proxy[0].freeze()
    await until(lambda: bool(shells.waits), "the agent's finding that the link is dead")
    for _ in range(40):
        shells.command.print(b"x" * 16_384)
    shells.command.print(b"the end")
    await until(lambda: shells.command.taken == shells.command.printed, "the command to run on")
    proxy[0].cut()
    proxy[0].thaw()
    event = await next_event(session)
    assert isinstance(event, ExecLost)
    assert event.bytes_lost >= 40 * 16_384 - 2 * REPLAY_BYTES
    left = await read(session, shells.command.printed - event.bytes_lost)
    assert left.endswith(b"xthe end")
    await session.close()


async def test_a_pipe_waits_and_loses_nothing(
    plane: Plane, agents: Agents, proxy: tuple[Proxy, int]
) -> None:
    shells = Shells()
    session = await opened(plane, agents, shells, proxy[1], PIPE)
    proxy[0].freeze()
    await until(lambda: bool(shells.waits), "the agent's finding that the link is dead")
    for number in range(64):
        shells.command.print(bytes([number]) * 16_384)
    proxy[0].cut()
    proxy[0].thaw()
    seen = await read(session, 64 * 16_384)
    assert seen == b"".join(bytes([number]) * 16_384 for number in range(64))
    await session.close()


async def test_the_exit_code_survives_a_cut(
    plane: Plane, agents: Agents, proxy: tuple[Proxy, int]
) -> None:
    shells = Shells()
    session = await opened(plane, agents, shells, proxy[1])
    proxy[0].freeze()
    await until(lambda: bool(shells.waits), "the agent's finding that the link is dead")
    shells.command.print(b"bye")
    shells.command.exit(7)
    await until(lambda: shells.command.closed, "the command's end")
    proxy[0].cut()
    proxy[0].thaw()
    assert await read(session, 3) == b"bye"
    assert await next_event(session) == ExecEnded(7, "")
    assert await next_event(session) is None
    assert not shells.kube.hung_up.is_set()


async def test_a_limit_that_is_reached_after_a_cut_is_waited_for(
    plane: Plane, agents: Agents, proxy: tuple[Proxy, int]
) -> None:
    shells = Shells()
    session = await opened(plane, agents, shells, proxy[1])
    honest, refused = session._open, [1, 2, 3]

    def full(open_: link_pb2.Open) -> LinkStream:
        if refused:
            refused.pop()
            raise RemoteError(StatusCode.RESOURCE_EXHAUSTED, "LINK_LIMIT_EXCEEDED", "256 are open")
        return honest(open_)

    session._open = full
    proxy[0].cut()
    shells.command.print(b"on")
    assert await read(session, 2) == b"on"
    assert not refused


async def test_a_restarted_agent_cannot_go_on_and_says_so(
    plane: Plane, agents: Agents, proxy: tuple[Proxy, int]
) -> None:
    shells = Shells()
    session = await opened(plane, agents, shells, proxy[1])
    await agents.stop()
    agents.start(streams=Shells().streams, port=proxy[1], state="b")
    with pytest.raises(TerminalGone, match="it was restarted"):
        await next_event(session)


async def test_a_command_without_a_link_is_ended_after_its_time(
    plane: Plane, agents: Agents, proxy: tuple[Proxy, int]
) -> None:
    shells = Shells()
    session = await opened(plane, agents, shells, proxy[1])
    proxy[0].freeze()
    await until(lambda: shells.waits == [60.0], "the agent's finding that the link is dead")
    shells.left.set()
    await asyncio.wait_for(shells.kube.hung_up.wait(), 60)
    proxy[0].cut()
    proxy[0].thaw()
    with pytest.raises(TerminalGone):
        await next_event(session)


async def test_an_agent_that_stays_away_is_not_waited_for_for_ever(
    plane: Plane, agents: Agents, proxy: tuple[Proxy, int]
) -> None:
    plane.registry._exec_keep_seconds = 0.5
    shells = Shells()
    session = await opened(plane, agents, shells, proxy[1])
    await proxy[0].stop()
    with pytest.raises(AgentOffline, match="was cut for more than"):
        await next_event(session)


async def test_an_older_agents_command_ends_with_the_link(
    plane: Plane, agents: Agents, proxy: tuple[Proxy, int]
) -> None:
    shells = Shells()
    shells.handler = ExecHandler(shells.kube, lambda: "mark", keep_seconds=0)  # type: ignore[arg-type]
    session = await opened(plane, agents, shells, proxy[1])
    proxy[0].cut()
    with pytest.raises(AgentOffline, match="was cut"):
        await next_event(session)
    await asyncio.wait_for(shells.kube.hung_up.wait(), 60)


async def test_closing_ends_the_command_at_once(
    plane: Plane, agents: Agents, proxy: tuple[Proxy, int]
) -> None:
    shells = Shells()
    session = await opened(plane, agents, shells, proxy[1])
    await session.close()
    await asyncio.wait_for(shells.kube.hung_up.wait(), 60)
    assert not shells.waits
