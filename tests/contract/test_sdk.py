"""The Python SDK against a real control plane with a real agent link: both read the contract the same way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import skerry
from skerry import errors
from skerry.platform.v1 import cluster_pb2, log_pb2
from skerry.services.logs import LogEvent
from skerry.watching import Change, Event

from tests.integration.controlplane.harness import (
    ORGANIZATION,
    PATIENCE,
    Plane,
    Worker,
    agent,
    bundle,
    control_plane,
    until,
)

PROJECT = f"{ORGANIZATION}/projects/shop"
PROD = f"{PROJECT}/environments/prod"
WEB = f"{PROD}/apps/web"
LINES = [f"2030-01-01T00:00:00.{n:09}Z line {n}\n".encode() for n in range(300)]


def client(plane: Plane) -> skerry.Client:
    return skerry.Client(
        f"localhost:{plane.running.api_port}", plane.token, ca=plane.data_dir / "pki" / "ca.crt"
    )


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with control_plane(tmp_path / "data") as plane:
        yield plane


async def test_errors_have_reasons_fields_and_request_ids(plane: Plane) -> None:
    async with client(plane) as sdk:
        with pytest.raises(errors.NotFound) as missing:
            await sdk.projects.get(PROJECT)
        with pytest.raises(errors.InvalidArgument) as invalid:
            await sdk.projects.create("Not An Id")
    assert missing.value.reason is errors.ErrorReason.RESOURCE_NOT_FOUND
    assert missing.value.detail.resource == PROJECT
    assert missing.value.detail.request_id
    assert list(invalid.value.detail.fields) == ["project_id"]


async def test_a_wrong_token_is_told_from_a_missing_one(plane: Plane) -> None:
    reasons = []
    for token in (None, "sky_" + "0" * 43):
        plane.token = token or ""
        async with skerry.Client(
            f"localhost:{plane.running.api_port}", token, ca=plane.running.ca_pem
        ) as sdk:
            with pytest.raises(errors.Unauthenticated) as caught:
                await sdk.server.info()
        reasons.append(caught.value.reason.value)
    assert reasons == ["CREDENTIALS_MISSING", "CREDENTIALS_INVALID"]


async def test_another_ca_is_not_trusted(plane: Plane, tmp_path: Path) -> None:
    async with control_plane(tmp_path / "other") as other:
        sdk = skerry.Client(
            f"localhost:{plane.running.api_port}", plane.token, ca=other.running.ca_pem
        )
        async with sdk:
            with pytest.raises(errors.Unavailable, match="certificate"):
                await sdk.server.info()


async def test_lists_go_through_all_pages(plane: Plane) -> None:
    async with client(plane) as sdk:
        for number in range(7):
            await sdk.projects.create(f"p{number}")
        found = [item.name async for item in sdk.projects.list(page_size=3)]
    assert found == [f"{ORGANIZATION}/projects/p{number}" for number in range(7)]


async def test_a_deploy_is_awaited_to_its_end(plane: Plane, tmp_path: Path) -> None:
    async with agent(plane, Worker(), tmp_path / "agent"), client(plane) as sdk:
        await sdk.projects.create("shop")
        await sdk.environments.create(PROJECT, "prod", cluster="clusters/home")
        ended = await sdk.apps.deploy_and_wait(PROD, "web", bundle(), timeout=PATIENCE)
        assert ended.revision == 1
        assert (await sdk.apps.get(WEB)).serving_revision == 1


async def test_a_command_has_streams_and_an_exit_code(plane: Plane, tmp_path: Path) -> None:
    async with agent(plane, Worker(), tmp_path / "agent"), client(plane) as sdk:
        await sdk.projects.create("shop")
        await sdk.environments.create(PROJECT, "prod", cluster="clusters/home")
        await sdk.apps.deploy_and_wait(PROD, "web", bundle(), timeout=PATIENCE)
        wanted = bytes(range(256)) * 1024
        received = b""
        async with sdk.terminals.exec(WEB, ["cat"], service="web", stdin=True) as session:

            async def feed() -> None:
                await session.write(wanted)
                await session.close_stdin()

            feeding = asyncio.create_task(feed())
            async for piece in session.output():
                received += piece.data
            await feeding
            assert session.exit is not None
            assert session.exit.code == 7
    assert received == wanted


@contextlib.asynccontextmanager
async def restartable(data_dir: Path) -> AsyncIterator[Plane]:
    """A control plane whose next start on this folder takes the same ports."""
    async with control_plane(data_dir) as plane:
        (data_dir / "ports").write_text(f"{plane.running.api_port} {plane.running.agent_port}")
        yield plane


def same_ports(data_dir: Path) -> dict[str, str]:
    api, agents = (data_dir / "ports").read_text().split()
    return {"api_listen": f"127.0.0.1:{api}", "agent_listen": f"127.0.0.1:{agents}"}


async def test_a_watch_goes_on_over_a_restart(tmp_path: Path) -> None:
    seen: list[tuple[Change, str]] = []

    def note(event: Event[cluster_pb2.Cluster]) -> None:
        seen.append((event.change, event.resource.name if event.resource else ""))

    async def follow(sdk: skerry.Client) -> None:
        async for event in sdk.clusters.watch():
            note(event)

    async with contextlib.AsyncExitStack() as stack:
        async with restartable(tmp_path / "data") as plane:
            sdk = await stack.enter_async_context(client(plane))
            task = asyncio.create_task(follow(sdk))
            await until(lambda: (Change.SYNCED, "") in seen, "the snapshot")
            await sdk.clusters.create("before")
            await until(lambda: (Change.UPDATED, "clusters/before") in seen, "the first change")
            await plane.running.drain()
        async with control_plane(tmp_path / "data", **same_ports(tmp_path / "data")):
            await sdk.clusters.create("after")
            await until(lambda: (Change.UPDATED, "clusters/after") in seen, "the second change")
            task.cancel()
            await asyncio.wait({task})
    names = [name for change, name in seen if change is Change.UPDATED]
    assert names == ["clusters/before", "clusters/after"]
    assert Change.RESET not in [change for change, _name in seen]


async def test_a_log_follow_goes_on_over_a_restart(tmp_path: Path) -> None:
    worker = Worker(log_lines=LINES[:200])
    received: list[bytes] = []

    def note(event: LogEvent) -> None:
        if isinstance(event, log_pb2.LogChunk):
            received.append(event.lines)

    async def follow(sdk: skerry.Client) -> None:
        async for event in sdk.logs.tail(WEB, follow=True):
            note(event)

    def count() -> int:
        return b"".join(received).count(b"\n")

    async with contextlib.AsyncExitStack() as stack:
        async with restartable(tmp_path / "data") as plane:
            await stack.enter_async_context(agent(plane, worker, tmp_path / "agent"))
            sdk = await stack.enter_async_context(client(plane))
            await sdk.projects.create("shop")
            await sdk.environments.create(PROJECT, "prod", cluster="clusters/home")
            await sdk.apps.deploy_and_wait(PROD, "web", bundle(), timeout=PATIENCE)
            task = asyncio.create_task(follow(sdk))
            await until(lambda: count() == 200, "the first lines")
            await plane.running.drain()
        worker.log_lines = LINES
        async with control_plane(tmp_path / "data", **same_ports(tmp_path / "data")):
            await until(lambda: count() >= 300, "the other lines")
            task.cancel()
            await asyncio.wait({task})
            await stack.aclose()
    assert b"".join(received) == b"".join(LINES)
