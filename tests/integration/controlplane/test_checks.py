"""Compose projects checked while somebody types: the way to the agent and back, and what cuts it short."""

import asyncio
import json
from pathlib import Path

import grpc
import pytest
from skerry.agent.v1 import command_pb2, stream_pb2
from skerry.platform.v1 import app_pb2, app_pb2_grpc, state_pb2

from agent.compose import Context, SourceFile, plan
from agent.compose.schema import json_schema
from agent.handlers.messages import check_result_to, preview_to
from agent.workloads.model import Preview
from tests.integration.controlplane.harness import (
    PATIENCE,
    Worker,
    agent,
    bundle,
    control_plane,
    environment,
    failure,
    join_token,
    until,
)

PROD = "organizations/default/projects/shop/environments/prod"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def request(**fields: object) -> app_pb2.CheckAppRequest:
    return app_pb2.CheckAppRequest(**{"parent": PROD, "bundle": bundle(), **fields})


async def test_a_check_comes_from_the_agent(data_dir: Path, tmp_path: Path) -> None:
    result = stream_pb2.CheckResult(
        rejected=True,
        diagnostics=[
            command_pb2.Diagnostic(
                file="compose.yml", line=3, column=5, end_line=3, end_column=9, severity="error",
                code="CMP311", path="services.web.privileged", message="no", hint="Remove it.",
                via="extends at base.yml:1:2",
            )
        ],
        services=[
            stream_pb2.CheckedService(
                service="my_db", host_name="my-db", kind="Deployment", image="nginx", replicas=2,
                ports=[stream_pb2.FoundPort(port=80, protocol="tcp", source="image", http=True)],
                depends_on=["cache"], volumes=["shop-data"], sleep_after_seconds=0,
            )
        ],
        volumes=[stream_pb2.Volume(claim="shop-data", volume="data", size="5Gi", services=["my-db"])],
        bindings=[stream_pb2.Binding(service="my_db", kind="postgres", reason="plain", available=True)],
        public_service="my-db",
        public_service_reason="the only one",
        public_port=80,
    )  # fmt: skip
    worker = Worker(check=result)
    async with control_plane(data_dir) as plane, agent(plane, worker, tmp_path / "agent"):
        await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        found = await apps.CheckApp(request(app_id="web", profiles=["debug"]))
        unnamed = await apps.CheckApp(request())
        listed = await apps.ListApps(app_pb2.ListAppsRequest(parent=PROD))
    assert unnamed == found
    assert not listed.apps, "nothing is kept"
    first, second = worker.checked
    assert list(first.profiles) == ["debug"]
    assert (first.deploy.app, second.deploy.app) == ("web", "app")
    assert first.deploy.environment.project == "shop"
    assert first.deploy.files[0].content == bundle().files[0].content
    assert found.rejected
    (diagnostic,) = found.diagnostics
    assert diagnostic.severity == state_pb2.SEVERITY_ERROR
    assert (diagnostic.line, diagnostic.column, diagnostic.end_column) == (3, 5, 9)
    assert (diagnostic.path, diagnostic.hint) == ("services.web.privileged", "Remove it.")
    (service,) = found.services
    assert (service.service, service.host_name, service.replicas) == ("my_db", "my-db", 2)
    assert (service.ports[0].port, service.ports[0].source) == (80, "image")
    assert (service.depends_on, service.volumes) == (["cache"], ["shop-data"])
    assert (found.public_service, found.public_port) == ("my-db", 80)
    assert diagnostic.via == "extends at base.yml:1:2"
    assert service.HasField("sleep_after_seconds")
    assert (found.volumes[0].size, found.volumes[0].services) == ("5Gi", ["my-db"])
    (binding,) = found.bindings
    assert (binding.service, binding.reason, binding.available) == ("my_db", "plain", True)


async def test_the_converter_s_facts_reach_the_caller(data_dir: Path, tmp_path: Path) -> None:
    files = {
        "compose.yml": b"""
services:
  web: {extends: {file: base.yml, service: b}, ports: ["80:80"], x-skerry: {sleep: 30m}}
  db:
    image: postgres
    environment: {POSTGRES_USER: u, POSTGRES_PASSWORD: geheim}
    volumes: [data:/var/lib/postgresql/data]
volumes: {data: {x-skerry: {size: 5Gi}}}
""",
        "base.yml": b"services: {b: {image: nginx, privileged: true}}",
    }
    context = Context("shop", "ns", files=files)
    found = plan([SourceFile("compose.yml", files["compose.yml"])], context)
    preview = Preview(
        found.rejected,
        found.diagnostics,
        services=found.services,
        volumes=found.volumes,
        public=found.public,
        bindings=found.bindings,
    )
    worker = Worker(check=check_result_to(found), plan=preview_to(preview))
    async with control_plane(data_dir) as plane, agent(plane, worker, tmp_path / "agent"):
        await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        checked = await apps.CheckApp(request())
        planned = await apps.PlanApp(
            app_pb2.PlanAppRequest(parent=PROD, app_id="shop", bundle=bundle())
        )
    for answer in (checked, planned):
        assert answer.rejected
        assert answer.diagnostics[0].file == "base.yml"
        assert answer.diagnostics[0].via == "extends at compose.yml:3:44"
        web, db = answer.services
        assert (web.sleep_after_seconds, web.ports[0].source) == (1800, "ports")
        assert (db.ports[0].port, db.ports[0].source) == (5432, "image")
        assert not db.HasField("sleep_after_seconds")
        assert [(v.volume, v.size) for v in answer.volumes] == [("data", "5Gi")]
        (binding,) = answer.bindings
        assert (binding.service, binding.user, binding.wanted) == ("db", "u", False)
        assert (answer.public_service, answer.public_port) == ("web", 80)
        assert b"geheim" not in answer.SerializeToString()


async def test_a_caller_that_goes_away_stops_the_agent(data_dir: Path, tmp_path: Path) -> None:
    worker = Worker(hold=asyncio.Event())
    async with control_plane(data_dir) as plane, agent(plane, worker, tmp_path / "agent"):
        await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        call = apps.CheckApp(request())
        await until(lambda: bool(worker.checked), "the check")
        call.cancel()
        await asyncio.wait_for(worker.check_cancelled.wait(), PATIENCE)


async def test_without_an_agent_a_check_fails_at_once(data_dir: Path, tmp_path: Path) -> None:
    async with control_plane(data_dir) as plane:
        async with agent(plane, Worker(), tmp_path / "agent"):
            await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        for call in (
            apps.CheckApp(request()),
            apps.GetComposeSchema(app_pb2.GetComposeSchemaRequest(parent=PROD)),
        ):
            failed = await failure(call)
            assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "AGENT_OFFLINE")
            assert "RetryInfo" in failed.details


async def test_an_agent_that_never_joined_is_told_apart(data_dir: Path) -> None:
    async with control_plane(data_dir) as plane:
        await join_token(plane)
        await environment(plane)
        failed = await failure(plane.stub(app_pb2_grpc.AppServiceStub).CheckApp(request()))
    assert failed.reason == "AGENT_NEVER_JOINED"


async def test_what_is_wrong_with_the_request_is_said(data_dir: Path, tmp_path: Path) -> None:
    async with control_plane(data_dir) as plane, agent(plane, Worker(), tmp_path / "agent"):
        await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        for wrong in (
            request(app_id="Web!"),
            request(bundle=app_pb2.Bundle()),
            request(profiles=["-x"]),
            request(profiles=[f"p{n}" for n in range(51)]),
        ):
            failed = await failure(apps.CheckApp(wrong))
            assert (failed.code, failed.reason) == (
                grpc.StatusCode.INVALID_ARGUMENT,
                "INVALID_FIELD",
            )
        large = await failure(apps.CheckApp(request(bundle=bundle("x" * 2_000_000))))
        assert large.reason == "REQUEST_TOO_LARGE"
        elsewhere = await failure(apps.CheckApp(request(parent=PROD.replace("prod", "none"))))
        assert elsewhere.code == grpc.StatusCode.NOT_FOUND


async def test_without_a_token_nothing_is_checked(data_dir: Path) -> None:
    async with control_plane(data_dir) as plane:
        stub = app_pb2_grpc.AppServiceStub(plane.channel)
        for call in (
            stub.CheckApp(request()),
            stub.GetComposeSchema(app_pb2.GetComposeSchemaRequest(parent=PROD)),
        ):
            assert (await failure(call)).code == grpc.StatusCode.UNAUTHENTICATED


async def test_the_schema_comes_from_the_agent(data_dir: Path, tmp_path: Path) -> None:
    async with control_plane(data_dir) as plane, agent(plane, Worker(), tmp_path / "agent"):
        await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        answer = await apps.GetComposeSchema(app_pb2.GetComposeSchemaRequest(parent=PROD))
    assert json.loads(answer.schema) == json_schema()
