"""Reflection answers under both names, without a token, with everything that the contract holds."""

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection_pb2

from tests.integration.controlplane.harness import PATIENCE, Plane, control_plane

VERSIONS = ["v1", "v1alpha"]


async def ask(
    plane: Plane, version: str, **question: Any
) -> reflection_pb2.ServerReflectionResponse:
    method: Any = plane.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    request = reflection_pb2.ServerReflectionRequest(**question)
    answers = [answer async for answer in method(iter([request]), timeout=PATIENCE)]
    assert len(answers) == 1
    return answers[0]


@pytest.mark.parametrize("version", VERSIONS)
async def test_it_lists_the_services(tmp_path: Path, version: str) -> None:
    async with control_plane(tmp_path / "data") as plane:
        answer = await ask(plane, version, list_services="")
    names = {service.name for service in answer.list_services_response.service}
    assert {
        "skerry.platform.v1.AppService",
        "skerry.platform.v1.TerminalService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    } <= names
    assert not any(name.startswith("skerry.agent") for name in names)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    "symbol",
    [
        "skerry.platform.v1.AppService",
        "skerry.platform.v1.AppService.DeployApp",
        "skerry.platform.v1.Deployment",
        "google.rpc.ErrorInfo",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ],
)
async def test_what_it_describes_is_complete(tmp_path: Path, version: str, symbol: str) -> None:
    async with control_plane(tmp_path / "data") as plane:
        answer = await ask(plane, version, file_containing_symbol=symbol)
    files = [
        descriptor_pb2.FileDescriptorProto.FromString(file)
        for file in answer.file_descriptor_response.file_descriptor_proto
    ]
    pool = descriptor_pool.DescriptorPool()
    waiting = {file.name: file for file in files}
    while waiting:
        ready = [file for file in waiting.values() if not waiting.keys() & set(file.dependency)]
        assert ready
        for file in ready:
            pool.Add(waiting.pop(file.name))
    # Protobuf's pool does not find methods; it finds their services.
    assert pool.FindFileContainingSymbol(symbol.removesuffix(".DeployApp"))


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_unknown_symbol_is_not_found(tmp_path: Path, version: str) -> None:
    async with control_plane(tmp_path / "data") as plane:
        answer = await ask(plane, version, file_containing_symbol="nothing.v1.Such")
    assert answer.error_response.error_code == 5


async def test_a_method_that_a_service_does_not_have_is_not_found(tmp_path: Path) -> None:
    async with control_plane(tmp_path / "data") as plane:
        symbol = "skerry.platform.v1.AppService.MakeCoffee"
        answer = await ask(plane, "v1", file_containing_symbol=symbol)
    assert answer.error_response.error_code == 5
