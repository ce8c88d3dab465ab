"""One endless sequence out of watches that end, expire, break and fall silent."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from aiohttp import web

from agent.kube.connection import Connection
from agent.kube.discovery import Discovery
from agent.kube.errors import ForbiddenError
from agent.kube.watch import EventType, Watcher
from tests.unit.agent.kube.scripted_server import ScriptedApiServer, events, obj, scripted_server

APPLIED, DELETED, SYNCED = EventType.APPLIED, EventType.DELETED, EventType.SYNCED


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ScriptedApiServer]:
    async with scripted_server(tmp_path) as running:
        yield running


async def seen(
    server: ScriptedApiServer, count: int, *, read_timeout: float = 30.0
) -> list[tuple[EventType, str]]:
    """The first events of a watch, as (type, name)."""
    found = []
    async with asyncio.timeout(20), Connection(server.kubeconfig) as connection:
        watcher = Watcher(
            connection, Discovery(connection), read_timeout=read_timeout, rng=random.Random(1)
        )
        stream = watcher.watch("v1", "ConfigMap")
        async with aclosing(stream):
            async for event in stream:
                found.append((event.type, event.obj.get("metadata", {}).get("name", "")))
                if len(found) == count:
                    return found
    raise AssertionError("the watch ended")


async def test_what_is_there_comes_first_and_then_each_change(server: ScriptedApiServer) -> None:
    server.lists = [(10, [obj("a", 5)])]
    server.watches = [events(("ADDED", obj("b", 11)), ("DELETED", obj("a", 12)))]
    assert await seen(server, 4) == [(APPLIED, "a"), (SYNCED, ""), (APPLIED, "b"), (DELETED, "a")]
    assert server.versions == ["10"]


async def test_a_watch_that_ended_goes_on_where_it_was(server: ScriptedApiServer) -> None:
    server.lists = [(10, [])]
    server.watches = [
        events(("ADDED", obj("a", 11)), ("BOOKMARK", obj("", 20))),
        events(("ADDED", obj("b", 21))),
    ]
    assert await seen(server, 3) == [(SYNCED, ""), (APPLIED, "a"), (APPLIED, "b")]
    assert server.versions == ["10", "20"]


async def test_an_expired_version_lists_again_and_tells_what_vanished(
    server: ScriptedApiServer,
) -> None:
    server.lists = [(10, [obj("a", 5), obj("b", 6)]), (50, [obj("b", 6), obj("c", 40)])]
    server.watches = [events(("ERROR", {"code": 410, "message": "too old"}))]
    assert await seen(server, 6) == [
        *((APPLIED, "a"), (APPLIED, "b"), (SYNCED, "")),
        *((DELETED, "a"), (APPLIED, "c"), (SYNCED, "")),
    ]
    assert server.versions == ["10"]


async def test_a_server_that_is_restarting_is_waited_for(server: ScriptedApiServer) -> None:
    server.lists = [(10, [obj("a", 5)])]
    server.failures = [503, 429]
    assert await seen(server, 2) == [(APPLIED, "a"), (SYNCED, "")]


async def test_a_connection_that_falls_silent_is_given_up(server: ScriptedApiServer) -> None:
    async def silence(_: web.StreamResponse) -> None:
        await asyncio.Event().wait()

    server.lists = [(10, [])]
    server.watches = [silence, events(("ADDED", obj("a", 11)))]
    assert await seen(server, 2, read_timeout=0.2) == [(SYNCED, ""), (APPLIED, "a")]


async def test_an_event_cut_in_two_is_one_event(server: ScriptedApiServer) -> None:
    async def halves(response: web.StreamResponse) -> None:
        line = b'{"type":"ADDED","object":{"metadata":{"name":"a","uid":"u","resourceVersion":"11"}}}\n'
        await response.write(line[:30])
        await asyncio.sleep(0)
        await response.write(line[30:])

    server.lists = [(10, [])]
    server.watches = [halves]
    assert await seen(server, 2) == [(SYNCED, ""), (APPLIED, "a")]


async def test_what_does_not_pass_is_raised(server: ScriptedApiServer) -> None:
    server.lists = [(10, [])]
    server.failures = [403]
    with pytest.raises(ForbiddenError):
        await seen(server, 1)
