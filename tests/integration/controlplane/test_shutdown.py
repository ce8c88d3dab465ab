"""The end: peaceful when asked once, at once when asked twice, and never a hang."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from skerry.platform.v1 import (
    app_pb2,
    app_pb2_grpc,
    cluster_pb2,
    cluster_pb2_grpc,
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
    decoded,
    environment,
    failure,
)

PROD = f"{ORGANIZATION}/projects/shop/environments/prod"
WEB = f"{PROD}/apps/web"


async def begun(call: object) -> object:
    """A stream that has given its first message."""
    await asyncio.wait_for(call.read(), PATIENCE)  # type: ignore[attr-defined]
    return call


async def ended(call: object) -> tuple[grpc.StatusCode, str]:
    """How a stream ends, all messages passed over."""
    try:
        while await asyncio.wait_for(call.read(), PATIENCE) is not grpc.aio.EOF:  # type: ignore[attr-defined]
            pass
    except grpc.aio.AioRpcError as error:
        return error.code(), decoded(error).reason
    return grpc.StatusCode.OK, ""


async def open_streams(plane: Plane) -> list[object]:
    """One of each kind of long call."""
    await environment(plane)
    apps = plane.stub(app_pb2_grpc.AppServiceStub)
    await apps.DeployApp(app_pb2.DeployAppRequest(parent=PROD, app_id="web", bundle=bundle()))
    clusters = plane.stub(cluster_pb2_grpc.ClusterServiceStub)
    logs = plane.stub(log_pb2_grpc.LogServiceStub)
    terminals = plane.stub(terminal_pb2_grpc.TerminalServiceStub)
    start = terminal_pb2.ExecStart(app=WEB, service="web", stdin=True)
    run = terminal_pb2_grpc.TerminalServiceStub(plane.channel).Exec(metadata=plane.auth)
    await run.write(terminal_pb2.ExecRequest(start=start))
    return [
        await begun(clusters.WatchClusters(cluster_pb2.WatchClustersRequest())),
        await begun(apps.WatchApps(app_pb2.WatchAppsRequest(parent=PROD))),
        await begun(logs.TailLogs(log_pb2.TailLogsRequest(app=WEB, follow=True))),
        await begun(run),
        await begun(terminals.OpenTerminal(terminal_pb2.OpenTerminalRequest(start=start))),
    ]


async def test_a_drain_ends_every_open_stream_saying_why(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane, agent(plane, Worker(), tmp_path / "a"):
        streams = await open_streams(plane)
        loop = asyncio.get_running_loop()
        before = loop.time()
        await asyncio.wait_for(plane.running.drain(), PATIENCE)
        assert loop.time() - before < 10
        endings = [await ended(stream) for stream in streams]
    assert endings[:4] == [(grpc.StatusCode.UNAVAILABLE, "DRAINING")] * 4
    # The terminal service ends its sessions itself, so this one may end either way.
    assert endings[4][0] in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.OK)


async def test_a_second_request_cuts_what_does_not_end(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data", drain_timeout="1h") as plane:
        health = health_pb2_grpc.HealthStub(plane.channel)
        # Health's watchers are told to the end, so this call never ends by itself.
        watch = health.Watch(health_pb2.HealthCheckRequest(service=""))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        drain = asyncio.ensure_future(plane.running.drain())
        assert (await asyncio.wait_for(watch.read(), PATIENCE)).status == (
            health_pb2.HealthCheckResponse.NOT_SERVING
        )
        assert not drain.done()
        await asyncio.wait_for(plane.running.cut(), PATIENCE)
        await asyncio.wait_for(drain, PATIENCE)


async def test_a_draining_server_is_not_ready_and_takes_no_new_calls(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data", drain_timeout="1h") as plane:
        health = health_pb2_grpc.HealthStub(plane.channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service=""))
        await watch.read()
        drain = asyncio.ensure_future(plane.running.drain())
        await asyncio.wait_for(watch.read(), PATIENCE)
        clusters = plane.stub(cluster_pb2_grpc.ClusterServiceStub)
        failed = await failure(clusters.ListClusters(cluster_pb2.ListClustersRequest(), timeout=5))
        assert failed.code is grpc.StatusCode.UNAVAILABLE
        code, body = await plane.get("/readyz")
        assert code == 503
        assert "shutting down" in body
        assert (await plane.get("/healthz"))[0] == 200
        await plane.running.cut()
        await drain


async def test_the_agent_comes_back_after_a_restart(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        port = plane.running.agent_port
        async with agent(plane, Worker(), tmp_path / "a") as running:
            await plane.running.drain()
            assert not running.task.done()
    async with control_plane(tmp_path / "data", agent_listen=f"127.0.0.1:{port}") as plane:
        clusters = plane.stub(cluster_pb2_grpc.ClusterServiceStub)
        got = await clusters.GetCluster(cluster_pb2.GetClusterRequest(name="clusters/home"))
        assert got.cluster.connection != cluster_pb2.CONNECTION_STATE_NEVER_JOINED


async def process(data_dir: Path, *arguments: str) -> asyncio.subprocess.Process:
    """`skerry-controlplane serve` on free ports, once it serves."""
    listen = [f"--{name}-listen=127.0.0.1:0" for name in ("api", "agent", "edge")]
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "controlplane", "serve", f"--data-dir={data_dir}"),
        *(*listen, "--log-format=json", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if "SKERRY" not in name},
    )
    assert started.stderr is not None
    while line := await asyncio.wait_for(started.stderr.readline(), PATIENCE):
        if b'"serving"' in line:
            return started
    raise AssertionError("it did not start")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_in_peace(tmp_path: Path, number: signal.Signals) -> None:
    serving = await process(tmp_path / "data")
    serving.send_signal(number)
    out, err = await asyncio.wait_for(serving.communicate(), PATIENCE)
    assert serving.returncode == 0
    assert out.startswith(b"Nobody can log in yet. This link makes the first owner")
    assert b"sks_" in out
    assert b'"stopped"' in err
    assert b"sks_" not in err


async def test_a_killed_process_leaves_a_data_folder_that_serves_again(tmp_path: Path) -> None:
    serving = await process(tmp_path / "data")
    serving.kill()
    await serving.communicate()
    again = await process(tmp_path / "data")
    again.terminate()
    out, _err = await asyncio.wait_for(again.communicate(), PATIENCE)
    assert again.returncode == 0
    # Still nobody is there who could log in.
    assert out.startswith(b"Nobody can log in yet.")
