"""Nothing of the platform answers without a token, and health and reflection need none."""

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import grpc
import skerry.platform.v1
from google.protobuf import descriptor, message_factory
from grpc_health.v1 import health_pb2, health_pb2_grpc
from skerry.platform.v1 import server_pb2, server_pb2_grpc

from tests.integration.controlplane.harness import PATIENCE, Plane, control_plane, decoded, failure


def methods() -> list[descriptor.MethodDescriptor]:
    modules = [
        importlib.import_module(f"skerry.platform.v1.{module.name}")
        for module in pkgutil.iter_modules(skerry.platform.v1.__path__)
        if module.name.endswith("_pb2")
    ]
    return [
        method
        for module in modules
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]


async def call(plane: Plane, method: Any, metadata: Any) -> grpc.aio.AioRpcError | None:
    """Calls a method of any kind with an empty request; the error, if any."""
    request = message_factory.GetMessageClass(method.input_type)()
    codec = {
        "request_serializer": type(request).SerializeToString,
        "response_deserializer": message_factory.GetMessageClass(method.output_type).FromString,
    }
    kinds: dict[tuple[bool, bool], Any] = {
        (False, False): plane.channel.unary_unary,
        (False, True): plane.channel.unary_stream,
        (True, False): plane.channel.stream_unary,
        (True, True): plane.channel.stream_stream,
    }
    make = kinds[method.client_streaming, method.server_streaming]
    path = f"/{method.containing_service.full_name}/{method.name}"
    running = make(path, **codec)(
        [request] if method.client_streaming else request, metadata=metadata, timeout=PATIENCE
    )
    try:
        if method.server_streaming:
            async for _message in running:
                pass
        else:
            await running
    except grpc.aio.AioRpcError as error:
        return error
    return None


# Begins a login that somebody must approve, and tells nothing.
STRANGERS = "skerry.platform.v1.DeviceLoginService.StartDeviceLogin"
OPEN = {
    "skerry.platform.v1.DeviceLoginService.PollDeviceLogin": "CREDENTIALS_INVALID",
    "skerry.platform.v1.SessionService.Login": "CREDENTIALS_INVALID",
    "skerry.platform.v1.SessionService.CompleteSetup": "SETUP_CODE_INVALID",
}


async def test_no_method_answers_without_a_token(tmp_path: Path) -> None:
    refused = {}
    async with control_plane(tmp_path / "data") as plane:
        for method in methods():
            error = await call(plane, method, ())
            if method.full_name == STRANGERS:
                assert error is None
                continue
            assert error is not None, method.full_name
            refused[method.full_name] = (error.code(), decoded(error).reason)
    # The methods that are open are those that one logs in with: they refuse what is wrong with that instead.
    for method, reason in OPEN.items():
        assert refused.pop(method) == (grpc.StatusCode.UNAUTHENTICATED, reason)
    assert len(refused) > 30
    assert set(refused.values()) == {(grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING")}


async def test_a_token_nobody_made_is_invalid(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        for token in ("sky_" + "a" * 43, "sky_short", "x" * 4000):
            plane.token = token
            stub = plane.stub(server_pb2_grpc.ServerServiceStub)
            failed = await failure(stub.GetServerInfo(server_pb2.GetServerInfoRequest()))
            assert (failed.code, failed.reason) == (
                grpc.StatusCode.UNAUTHENTICATED,
                "CREDENTIALS_INVALID",
            )
            assert token not in failed.message


async def test_the_first_admin_token_is_made_once(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        first = plane.token
        assert (tmp_path / "data-admin-token").stat().st_mode & 0o777 == 0o600
    async with control_plane(tmp_path / "data") as plane:
        assert plane.running.setup_link is None
        assert plane.token == first
        stub = plane.stub(server_pb2_grpc.ServerServiceStub)
        info = await stub.GetServerInfo(server_pb2.GetServerInfoRequest())
        assert info.principal == "admin"
        assert info.agent_address == f"127.0.0.1:{plane.running.agent_port}"


async def test_the_admin_token_is_not_in_the_database(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        secret = plane.token.encode()
    assert all(secret not in file.read_bytes() for file in (tmp_path / "data").glob("skerry.db*"))


async def test_health_needs_no_token(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        stub = health_pb2_grpc.HealthStub(plane.channel)
        for service in ("", "skerry.platform.v1.AppService"):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_the_api_port_does_not_serve_agents(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        method = plane.channel.unary_unary("/skerry.agent.v1.EnrollmentService/Enroll")
        failed = await failure(method(b"", metadata=plane.auth))
    assert failed.code is grpc.StatusCode.UNIMPLEMENTED


async def test_who_calls_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    settings = {
        "calls_at_once": 5,
        "calls_per_second": 0.001,
        "unknown_calls_at_once": 3,
        "unknown_calls_per_second": 0.001,
    }
    async with control_plane(tmp_path / "data", **settings) as plane:
        stub = plane.stub(server_pb2_grpc.ServerServiceStub)
        for _ in range(5):
            await stub.GetServerInfo(server_pb2.GetServerInfoRequest())
        refused = await failure(stub.GetServerInfo(server_pb2.GetServerInfoRequest()))
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "RATE_LIMITED",
        )
        assert refused.details["RetryInfo"].retry_delay.seconds > 500
        # Wrong tokens are counted at their address.
        plane.token = "sky_" + "a" * 43
        reasons = []
        for _ in range(10):
            wrong = plane.stub(server_pb2_grpc.ServerServiceStub)
            failed = await failure(wrong.GetServerInfo(server_pb2.GetServerInfoRequest()))
            reasons.append(failed.reason)
        assert reasons[:3] == ["CREDENTIALS_INVALID"] * 3
        assert "RATE_LIMITED" in reasons[3:]
