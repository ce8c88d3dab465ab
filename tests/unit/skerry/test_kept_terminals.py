"""Terminals that the server keeps: cuts, input sent again, losses said, detaching, older servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
import skerry
from hypothesis import given
from hypothesis import strategies as st
from skerry import errors, names
from skerry.services.terminals import Detached, KeptTerminal
from skerry.terminal_resume import TerminalPosition

from tests.fakes.control_plane import ExecPeer, FakeControlPlane
from tests.fakes.terminals import FakeTerminal

APP = names.app("shop", "prod", "web")


@pytest.fixture
def terminal(fake: FakeControlPlane) -> FakeTerminal:
    fake.add_app("web")
    fake.terminal = FakeTerminal()
    return fake.terminal


async def read(pieces: AsyncIterator[object], size: int) -> bytes:
    seen = b""
    async with asyncio.timeout(30):
        while len(seen) < size:
            piece = await anext(pieces)
            seen += piece.data  # type: ignore[attr-defined]
    return seen


async def test_a_cut_is_invisible_in_both_directions(
    client: skerry.Client, terminal: FakeTerminal
) -> None:
    cuts: list[int] = []
    async with client.terminals.open(APP, on_cut=lambda: cuts.append(1)) as session:
        async with aclosing(session.output()) as pieces:
            terminal.print(b"one ")
            assert await read(pieces, 4) == b"one "
            await session.write(b"typed ")
            await terminal.typed(b"typed ")
            terminal.forget_input(3)  # it was on its way when the line broke
            terminal.cut()
            terminal.print(b"two")
            assert await read(pieces, 3) == b"two"
            await session.write(b"more")
            await terminal.typed(b"typed more")
            terminal.exit(4)
            assert [piece async for piece in pieces] == []
        assert session.exit is not None
        assert session.exit.code == 4
    assert cuts == [1]
    assert terminal.attached_from == [4]


async def test_input_typed_during_a_cut_arrives_once(
    client: skerry.Client, terminal: FakeTerminal
) -> None:
    async with client.terminals.open(APP) as session, aclosing(session.output()) as pieces:
        terminal.print(b"$ ")
        await read(pieces, 2)
        terminal.away = True
        terminal.cut()
        reading = asyncio.create_task(read(pieces, 2))
        writing = asyncio.create_task(session.write(b"ls\n"))
        await terminal.tried(3)
        terminal.away = False
        await asyncio.wait_for(writing, 30)
        await terminal.typed(b"ls\n")
        terminal.print(b"ok")
        assert await reading == b"ok"


async def test_output_that_is_gone_is_said(client: skerry.Client, terminal: FakeTerminal) -> None:
    async with client.terminals.open(APP) as session, aclosing(session.output()) as pieces:
        terminal.print(b"seen")
        await read(pieces, 4)
        terminal.away = True
        terminal.cut()
        terminal.print(b"x" * 1000)
        terminal.drop_output(904)
        terminal.away = False
        text = (await read(pieces, 126)).decode()
    assert text.startswith("\r\n… 900 bytes lost …\r\n")
    assert text.count("x") == 100


async def test_a_terminal_that_is_gone_after_a_cut_says_so(
    client: skerry.Client, terminal: FakeTerminal
) -> None:
    async with client.terminals.open(APP) as session, aclosing(session.output()) as pieces:
        terminal.print(b"$ ")
        await read(pieces, 2)
        terminal.gone = True
        terminal.cut()
        with pytest.raises(errors.NotFound, match="has ended or never was"):
            await read(pieces, 1)


async def test_a_cut_that_lasts_is_given_up(client: skerry.Client, terminal: FakeTerminal) -> None:
    async with client.terminals.open(APP) as session:
        session._patience = 0.0
        async with aclosing(session.output()) as pieces:
            terminal.print(b"$ ")
            await read(pieces, 2)
            terminal.away = True
            terminal.cut()
            with pytest.raises(errors.Unavailable):
                await read(pieces, 1)


async def test_detaching_and_attaching_from_another_client(
    client: skerry.Client, terminal: FakeTerminal
) -> None:
    async with client.terminals.open(APP) as session:
        async with aclosing(session.output()) as pieces:
            terminal.print(b"hello")
            await read(pieces, 5)
            await session.detach()
            assert [piece async for piece in pieces] == []
        assert session.detached is Detached.REQUESTED
    async with client.terminals.attach(session.name, scrollback=3, size=(40, 100)) as again:
        async with aclosing(again.output()) as pieces:
            assert await read(pieces, 3) == b"llo"
            await again.write(b"here")
            await terminal.typed(b"here")
            terminal.take()
            assert [piece async for piece in pieces] == []
        assert again.detached is Detached.TAKEN
    assert terminal.sizes == [(40, 100)]


async def test_an_older_server_gives_a_session_that_ends_with_its_call(
    fake: FakeControlPlane, client: skerry.Client
) -> None:
    fake.add_app("web")

    async def behaviour(peer: ExecPeer) -> None:
        request = await peer.read()
        assert request is not None
        await peer.stdout(request.stdin.upper())
        await peer.exit(2)

    fake.exec_behaviour = behaviour
    async with client.terminals.open(APP) as session:
        await session.write(b"shout")
        async with aclosing(session.output()) as pieces:
            assert await read(pieces, 5) == b"SHOUT"
            assert [piece async for piece in pieces] == []
    assert session.exit is not None
    assert session.exit.code == 2
    assert not session.name
    assert isinstance(session, KeptTerminal)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("send"), st.integers(1, 50)),
            st.tuples(st.just("arrive"), st.integers(0, 50)),
            st.tuples(st.just("acknowledge"), st.just(0)),
            st.tuples(st.just("cut"), st.integers(0, 50)),
        )
    ),
    st.integers(0, 100),
)
def test_each_byte_of_input_arrives_once(steps: list[tuple[str, int]], before: int) -> None:
    position = TerminalPosition(received=before)
    typed = bytearray()
    arrived = bytearray()
    under_way = bytearray()
    for what, number in steps:
        if what == "send":
            data = bytes((len(typed) + index) % 251 for index in range(number))
            typed += data
            position.sent(data)
            under_way += data
        elif what == "arrive":
            arrived += under_way[:number]
            del under_way[:number]
        elif what == "acknowledge":
            position.acknowledge(before + len(arrived))
        else:
            arrived += under_way[:number]
            position.acknowledge(before + len(arrived))
            under_way = bytearray(position.again())
    assert arrived + under_way == typed
