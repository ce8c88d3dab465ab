"""Logs and commands in containers, through the agent's stream."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from skerry.platform.v1 import (
    app_pb2,
    app_pb2_grpc,
    log_pb2,
    log_pb2_grpc,
    terminal_pb2,
    terminal_pb2_grpc,
)

from tests.integration.controlplane.harness import (
    ORGANIZATION,
    PATIENCE,
    Plane,
    Worker,
    agent,
    bundle,
    control_plane,
    environment,
    failure,
    until,
)

PROD = f"{ORGANIZATION}/projects/shop/environments/prod"
WEB = f"{PROD}/apps/web"
LINES = [f"2030-01-01T00:00:00.{n:09}Z line {n} \xff\n".encode("latin-1") for n in range(500)]


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    worker = Worker(log_lines=LINES)
    async with (
        control_plane(tmp_path / "data", fast=True) as plane,
        agent(plane, worker, tmp_path / "a"),
    ):
        await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        await apps.DeployApp(app_pb2.DeployAppRequest(parent=PROD, app_id="web", bundle=bundle()))
        yield plane


def start(**fields: object) -> terminal_pb2.ExecStart:
    return terminal_pb2.ExecStart(**{"app": WEB, "service": "web", "stdin": True, **fields})


def reading_input() -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "exec-input"]


async def test_log_lines_arrive_whole_and_in_order(plane: Plane) -> None:
    logs = plane.stub(log_pb2_grpc.LogServiceStub)
    received, ended = b"", False
    async for event in logs.TailLogs(log_pb2.TailLogsRequest(app=WEB)):
        received += event.chunk.lines
        ended = ended or event.source.ended
    assert received == b"".join(LINES)
    assert ended


async def test_an_idle_follow_has_heartbeats(plane: Plane) -> None:
    logs = plane.stub(log_pb2_grpc.LogServiceStub)
    call = logs.TailLogs(log_pb2.TailLogsRequest(app=WEB, follow=True))
    while (await asyncio.wait_for(call.read(), PATIENCE)).WhichOneof("event"):
        pass
    call.cancel()


async def test_logs_of_no_app_are_not_found(plane: Plane) -> None:
    logs = plane.stub(log_pb2_grpc.LogServiceStub)
    failed = await failure(logs.TailLogs(log_pb2.TailLogsRequest(app=f"{PROD}/apps/none")))
    assert failed.reason == "RESOURCE_NOT_FOUND"


async def test_a_bad_log_request_names_the_field(plane: Plane) -> None:
    logs = plane.stub(log_pb2_grpc.LogServiceStub)
    failed = await failure(logs.TailLogs(log_pb2.TailLogsRequest(app=WEB, tail_lines=-1)))
    assert [item.field for item in failed.details["BadRequest"].field_violations] == ["tail_lines"]


async def test_a_command_gets_input_and_gives_output_and_exit_code(plane: Plane) -> None:
    terminals = terminal_pb2_grpc.TerminalServiceStub(plane.channel)
    call = terminals.Exec(metadata=plane.auth, timeout=PATIENCE)
    await call.write(terminal_pb2.ExecRequest(start=start(tty=True)))
    started = await call.read()
    assert started.started.pod == "web-1"
    await call.write(terminal_pb2.ExecRequest(stdin=b"echo"))
    assert (await call.read()).stdout == b"echo"
    size = terminal_pb2.WindowSize(rows=40, columns=100)
    await call.write(terminal_pb2.ExecRequest(resize=size))
    assert (await call.read()).stderr == b"40x100"
    await call.done_writing()
    assert (await call.read()).exit.code == 7
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


async def test_input_is_not_needed(plane: Plane) -> None:
    terminals = terminal_pb2_grpc.TerminalServiceStub(plane.channel)
    call = terminals.Exec(metadata=plane.auth, timeout=PATIENCE)
    await call.write(terminal_pb2.ExecRequest(start=start(stdin=False)))
    assert (await call.read()).started.container == "web"
    await call.write(terminal_pb2.ExecRequest(stdin_eof=True))
    assert (await call.read()).exit.code == 7
    # The client never half-closes; the server ends the call all the same, and then stops waiting for input.
    assert await call.read() is grpc.aio.EOF
    await until(lambda: not reading_input(), "the end of the input task")


async def test_a_command_ends_with_its_call(plane: Plane) -> None:
    terminals = terminal_pb2_grpc.TerminalServiceStub(plane.channel)
    call = terminals.Exec(metadata=plane.auth, timeout=PATIENCE)
    await call.write(terminal_pb2.ExecRequest(start=start()))
    await call.read()
    call.cancel()
    again = terminals.Exec(metadata=plane.auth, timeout=PATIENCE)
    await again.write(terminal_pb2.ExecRequest(start=start()))
    assert (await again.read()).started.pod == "web-1"
    again.cancel()
    await until(lambda: not reading_input(), "the end of the input tasks")


@pytest.mark.parametrize(
    ("messages", "field"),
    [
        ([], "start"),
        ([terminal_pb2.ExecRequest(stdin=b"x")], "start"),
        ([terminal_pb2.ExecRequest(start=terminal_pb2.ExecStart(app="web"))], "start.app"),
        (
            [terminal_pb2.ExecRequest(start=start(size=terminal_pb2.WindowSize(rows=0)))],
            "start.size",
        ),
        (
            [terminal_pb2.ExecRequest(start=start()), terminal_pb2.ExecRequest(start=start())],
            "start",
        ),
        (
            [
                terminal_pb2.ExecRequest(start=start()),
                terminal_pb2.ExecRequest(stdin=b"x" * 40_000),
            ],
            "stdin",
        ),
        (
            [
                terminal_pb2.ExecRequest(start=start()),
                terminal_pb2.ExecRequest(resize=terminal_pb2.WindowSize(rows=1, columns=0)),
            ],
            "resize",
        ),
    ],
)
async def test_a_bad_exec_message_names_the_field(
    plane: Plane, messages: list[terminal_pb2.ExecRequest], field: str
) -> None:
    async def requests() -> AsyncIterator[terminal_pb2.ExecRequest]:
        for message in messages:
            yield message

    terminals = terminal_pb2_grpc.TerminalServiceStub(plane.channel)
    failed = await failure(terminals.Exec(requests(), metadata=plane.auth, timeout=PATIENCE))
    assert failed.reason == "INVALID_FIELD"
    assert [item.field for item in failed.details["BadRequest"].field_violations] == [field]


async def test_a_terminal_is_written_to_by_separate_calls(plane: Plane) -> None:
    terminals = plane.stub(terminal_pb2_grpc.TerminalServiceStub)
    output = terminals.OpenTerminal(terminal_pb2.OpenTerminalRequest(start=start(tty=True)))

    async def next_event() -> terminal_pb2.OpenTerminalResponse:
        while True:
            event = await asyncio.wait_for(output.read(), PATIENCE)
            if event.WhichOneof("message"):
                return event

    name = (await next_event()).started.terminal
    write = terminal_pb2.WriteTerminalRequest(terminal=name, data=b"hello")
    assert (await terminals.WriteTerminal(write)).received == 5
    # A repeat of the same bytes is put aside.
    assert (await terminals.WriteTerminal(write)).received == 5
    assert (await next_event()).output.data == b"hello"
    size = terminal_pb2.WindowSize(rows=5, columns=6)
    await terminals.ResizeTerminal(terminal_pb2.ResizeTerminalRequest(terminal=name, size=size))
    event = await next_event()
    assert (event.output.offset, event.output.data) == (5, b"5x6")
    end = terminal_pb2.WriteTerminalRequest(terminal=name, input_offset=5, eof=True)
    await terminals.WriteTerminal(end)
    assert (await next_event()).exit.code == 7
    assert (await failure(terminals.WriteTerminal(end))).reason == "TERMINAL_GONE"


async def test_a_terminal_can_be_closed(plane: Plane) -> None:
    terminals = plane.stub(terminal_pb2_grpc.TerminalServiceStub)
    output = terminals.OpenTerminal(terminal_pb2.OpenTerminalRequest(start=start()))
    name = (await asyncio.wait_for(output.read(), PATIENCE)).started.terminal
    await terminals.CloseTerminal(terminal_pb2.CloseTerminalRequest(terminal=name))
    failed = await failure(
        terminals.CloseTerminal(terminal_pb2.CloseTerminalRequest(terminal=name))
    )
    assert (failed.code, failed.reason) == (grpc.StatusCode.NOT_FOUND, "TERMINAL_GONE")
    output.cancel()


async def test_a_terminal_whose_call_broke_is_read_on(plane: Plane) -> None:
    terminals = plane.stub(terminal_pb2_grpc.TerminalServiceStub)
    output = terminals.OpenTerminal(terminal_pb2.OpenTerminalRequest(start=start()))
    name = (await asyncio.wait_for(output.read(), PATIENCE)).started.terminal
    await terminals.WriteTerminal(terminal_pb2.WriteTerminalRequest(terminal=name, data=b"hello"))
    output.cancel()
    request = terminal_pb2.OpenTerminalRequest(terminal=name, output_offset=2)
    again = terminals.OpenTerminal(request)
    assert (await asyncio.wait_for(again.read(), PATIENCE)).started.terminal == name
    event = await asyncio.wait_for(again.read(), PATIENCE)
    assert (event.output.offset, event.output.data) == (2, b"llo")
    again.cancel()
    both = terminal_pb2.OpenTerminalRequest(terminal=name, start=start())
    assert (await failure(terminals.OpenTerminal(both))).reason == "INVALID_FIELD"
