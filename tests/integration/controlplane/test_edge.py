"""Probes, metrics, and two control planes that want the same things."""

import json
from pathlib import Path

import grpc
import pytest
import trustme
from skerry.platform.v1 import server_pb2, server_pb2_grpc

from agent.link import IdentityStore, enrol
from controlplane import app
from controlplane.api.server import ListenError
from tests.integration.controlplane.harness import control_plane, join_token


async def start_another(data_dir: Path, **settings: str) -> None:
    async with control_plane(data_dir, **settings):
        raise AssertionError("it started")


async def test_it_is_alive_ready_and_measured(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        stub = plane.stub(server_pb2_grpc.ServerServiceStub)
        await stub.GetServerInfo(server_pb2.GetServerInfoRequest())
        assert await plane.get("/healthz") == (200, "ok\n")
        code, body = await plane.get("/readyz")
        assert (code, json.loads(body)["checks"]) == (200, {"database": "ok", "serving": "ok"})
        _code, metrics = await plane.get("/metrics")
    assert (
        'grpc_server_handled_total{grpc_code="OK",grpc_method="GetServerInfo",'
        'grpc_service="skerry.platform.v1.ServerService",grpc_type="unary"} 1.0'
    ) in metrics
    assert "process_resident_memory_bytes" in metrics


async def test_one_data_folder_has_one_control_plane(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data"):
        with pytest.raises(app.StartError, match="another control plane runs"):
            await start_another(tmp_path / "data")


@pytest.mark.parametrize("listener", ["api_listen", "agent_listen"])
async def test_a_taken_port_is_named(tmp_path: Path, listener: str) -> None:
    async with control_plane(tmp_path / "data") as plane:
        taken = getattr(plane.running, listener.replace("listen", "port"))
        with pytest.raises(ListenError, match=f"127.0.0.1:{taken}"):
            await start_another(tmp_path / "other", **{listener: f"127.0.0.1:{taken}"})


async def test_a_taken_edge_port_is_named(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        taken = plane.running.edge_port
        with pytest.raises(app.StartError, match=f"127.0.0.1:{taken}"):
            await start_another(tmp_path / "other", edge_listen=f"127.0.0.1:{taken}")


async def test_a_start_that_fails_does_not_use_up_the_admin_token(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        taken = f"127.0.0.1:{plane.running.edge_port}"
        with pytest.raises(app.StartError):
            await start_another(tmp_path / "other", edge_listen=taken)
    async with control_plane(tmp_path / "other") as plane:
        assert plane.token.startswith("sky_")


async def test_without_tls_the_api_is_on_loopback(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data", api_tls=False) as plane:
        await plane.channel.close()
        plane.channel = grpc.aio.insecure_channel(f"127.0.0.1:{plane.running.api_port}")
        stub = plane.stub(server_pb2_grpc.ServerServiceStub)
        assert (await stub.GetServerInfo(server_pb2.GetServerInfoRequest())).version


async def test_the_api_shows_the_operator_s_own_certificate(tmp_path: Path) -> None:
    brought = trustme.CA()
    pair = brought.issue_cert("localhost")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    pair.cert_chain_pems[0].write_to_path(chain)
    pair.private_key_pem.write_to_path(key)
    files = {"api_certificate_file": chain, "api_key_file": key}
    async with control_plane(tmp_path / "data", **files) as plane:
        await plane.channel.close()
        credentials = grpc.ssl_channel_credentials(brought.cert_pem.bytes())
        address = f"localhost:{plane.running.api_port}"
        plane.channel = grpc.aio.secure_channel(address, credentials)
        stub = plane.stub(server_pb2_grpc.ServerServiceStub)
        assert (await stub.GetServerInfo(server_pb2.GetServerInfoRequest())).version
        # Agents are still told to trust the control plane's own authority, and to meet it on their port.
        assert (await join_token(plane)).ca_der != brought.cert_pem.bytes()
        await enrol(
            (await join_token(plane, "other")), IdentityStore(tmp_path / "agent"), agent_version="x"
        )
