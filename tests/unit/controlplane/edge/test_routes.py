"""Probes and metrics over a real listener."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from controlplane.domain.errors import StorageUnavailable
from controlplane.edge import routes
from controlplane.edge.server import EdgeServer


async def fine() -> None:
    """A check that passes."""


async def broken() -> None:
    raise StorageUnavailable("the disk is full")


@contextlib.asynccontextmanager
async def serving(**checks: routes.Check) -> AsyncIterator[int]:
    registry = CollectorRegistry()
    Counter("things", "Things.", registry=registry).inc()
    server = EdgeServer(routes.build(checks=checks, registry=registry), host="127.0.0.1", port=0)
    task = asyncio.create_task(server.run())
    try:
        yield server.port
    finally:
        server.stop()
        await task
        server.close()


async def get(port: int, path: str) -> tuple[int, str]:
    for _attempt in range(200):
        with contextlib.suppress(ConnectionResetError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            head, _, body = answer.decode().partition("\r\n\r\n")
            return int(head.split()[1]), body
    raise AssertionError("no answer")


async def test_health_answers_while_the_database_is_gone() -> None:
    async with serving(database=broken) as port:
        assert await get(port, "/healthz") == (200, "ok\n")


async def test_ready_when_all_checks_pass() -> None:
    async with serving(database=fine, serving=fine) as port:
        code, body = await get(port, "/readyz")
    assert code == 200
    assert json.loads(body) == {"ready": True, "checks": {"database": "ok", "serving": "ok"}}


async def test_not_ready_says_why() -> None:
    async with serving(database=broken, serving=fine) as port:
        code, body = await get(port, "/readyz")
    assert code == 503
    assert json.loads(body)["checks"] == {"database": "the disk is full", "serving": "ok"}


async def test_metrics_are_in_the_exposition_format() -> None:
    async with serving() as port:
        code, body = await get(port, "/metrics")
    assert code == 200
    assert "things_total 1.0" in body


async def test_anything_else_is_not_found() -> None:
    async with serving() as port:
        assert (await get(port, "/"))[0] == 404


async def test_a_taken_port_is_an_error_at_once() -> None:
    async with serving() as port:
        with pytest.raises(OSError, match="in use"):
            EdgeServer(
                routes.build(checks={}, registry=CollectorRegistry()), host="127.0.0.1", port=port
            )
