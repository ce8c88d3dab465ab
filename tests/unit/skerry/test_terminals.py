"""Exec sessions."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import grpc
import pytest
import skerry
from skerry import errors, names
from skerry.services.terminals import MAX_STDIN_BYTES, ExecSession, Output, Stream

from tests.fakes.control_plane import ExecPeer, FakeControlPlane
from tests.fakes.script import Fail

APP = names.app("shop", "prod", "web")


@pytest.fixture(autouse=True)
def app(fake: FakeControlPlane) -> None:
    fake.add_app("web")


async def outputs(session: ExecSession) -> list[Output]:
    async with aclosing(session.output()) as pieces:
        return [piece async for piece in pieces]


async def test_output_and_exit_code(fake: FakeControlPlane, client: skerry.Client) -> None:
    async def behaviour(peer: ExecPeer) -> None:
        await peer.stdout(b"out")
        await peer.stderr(b"err")
        await peer.exit(42, "done")

    fake.exec_behaviour = behaviour
    async with client.terminals.exec(APP, ["true"]) as session:
        assert await outputs(session) == [
            Output(Stream.STDOUT, b"out"),
            Output(Stream.STDERR, b"err"),
        ]
    assert session.exit is not None
    assert (session.exit.code, session.exit.message) == (42, "done")
    assert session.started is not None
    assert session.started.pod == "web-1"


async def test_large_input_is_split_and_its_end_told(client: skerry.Client) -> None:
    data = bytes(range(256)) * 300  # more than two messages
    assert len(data) > 2 * MAX_STDIN_BYTES
    async with client.terminals.exec(APP, ["cat"], stdin=True) as session:
        await session.write(data)
        await session.close_stdin()
        pieces = await outputs(session)
    assert b"".join(piece.data for piece in pieces) == data
    assert all(len(piece.data) <= MAX_STDIN_BYTES for piece in pieces)


async def test_the_start_and_resizes_arrive(fake: FakeControlPlane, client: skerry.Client) -> None:
    async def behaviour(peer: ExecPeer) -> None:
        start = peer.start
        request = await peer.read()
        assert request is not None
        text = f"{start.service} {list(start.command)} {start.tty} {start.size} {request.resize}"
        await peer.stdout(" ".join(text.split()).encode())
        await peer.exit(0)

    fake.exec_behaviour = behaviour
    async with client.terminals.exec(
        APP, ["sh"], service="web", tty=True, size=(24, 80)
    ) as session:
        await session.resize(50, 132)
        (piece,) = await outputs(session)
    assert piece.data == b"web ['sh'] True rows: 24 columns: 80 rows: 50 columns: 132"


async def test_a_refused_session_is_an_error(fake: FakeControlPlane, client: skerry.Client) -> None:
    fake.fail("Exec", Fail(grpc.StatusCode.FAILED_PRECONDITION, "NO_RUNNING_POD", "no pod"))
    with pytest.raises(errors.FailedPrecondition, match="no pod") as caught:
        async with client.terminals.exec(APP, ["true"]) as session:
            await outputs(session)
    assert caught.value.reason is errors.ErrorReason.NO_RUNNING_POD


async def test_a_session_without_an_exit_code_is_an_error(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    async def behaviour(peer: ExecPeer) -> None:
        await peer.stdout(b"half")

    fake.exec_behaviour = behaviour
    with pytest.raises(errors.Unavailable, match="without an exit code"):
        async with client.terminals.exec(APP, ["true"]) as session:
            await outputs(session)


async def test_leaving_early_ends_the_command(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    ended = asyncio.Event()

    async def behaviour(peer: ExecPeer) -> None:
        try:
            await peer.stdout(b"ready")
            await asyncio.Event().wait()
        finally:
            ended.set()

    fake.exec_behaviour = behaviour
    async with (
        client.terminals.exec(APP, ["sleep", "9"]) as session,
        aclosing(session.output()) as pieces,
    ):
        await anext(pieces)
    await asyncio.wait_for(ended.wait(), 5)


async def test_input_after_the_end_goes_nowhere(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    async def behaviour(peer: ExecPeer) -> None:
        await peer.exit(0)

    fake.exec_behaviour = behaviour
    async with client.terminals.exec(APP, ["true"], stdin=True) as session:
        await outputs(session)
        await session.write(b"late")
        await session.close_stdin()
