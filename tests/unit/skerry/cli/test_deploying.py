"""plan, deploy and rollback: what is sent, what is shown, how it ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import grpc
import pytest
import yaml
from skerry.cli.deploying import diagnostics
from skerry.cli.program import parse, perform
from skerry.cli.surroundings import Surroundings
from skerry.platform.v1 import app_pb2, deployment_pb2, state_pb2

from tests.fakes.control_plane import FakeControlPlane
from tests.fakes.script import Fail, Hold
from tests.unit.skerry.cli.conftest import NOW, Cli

DIAGNOSTIC = state_pb2.Diagnostic(
    file="docker-compose.yml",
    line=4,
    column=7,
    severity=state_pb2.SEVERITY_WARNING,
    code="CMP311",
    path="services.web.ports",
    message="the host port is not used",
    hint="the service is reached by its name",
)
PRINTED = (
    "docker-compose.yml:4:7: warning CMP311 services.web.ports: the host port is not used."
    " the service is reached by its name"
)


@pytest.fixture(autouse=True)
def project(fake: FakeControlPlane, cli: Cli) -> None:
    fake.add_environment("shop", "prod")
    (cli.cwd / "docker-compose.yml").write_text("services: {web: {image: 'app:${TAG}'}}")


def step(phase: str, *services: app_pb2.ServiceStatus, **fields: Any) -> Any:
    number = deployment_pb2.DeploymentPhase.Value(f"DEPLOYMENT_PHASE_{phase}")
    return deployment_pb2.WatchDeploymentResponse(
        deployment=deployment_pb2.Deployment(
            name="organizations/default/projects/shop/environments/prod/apps/web-shop/deployments/d1",
            revision=1,
            phase=number,
            services=services,
            **fields,
        )
    )


def service(state: str, ready: int, message: str = "", pod: str = "") -> app_pb2.ServiceStatus:
    pods = [app_pb2.PodStatus(pod="web-7f", phase="Pending", message=pod)] if pod else []
    return app_pb2.ServiceStatus(
        service="web",
        state=state_pb2.State.Value(f"STATE_{state}"),
        desired=1,
        ready=ready,
        message=message,
        pods=pods,
    )


def test_a_diagnostic_on_one_line() -> None:
    assert diagnostics.line(DIAGNOSTIC) == PRINTED
    bare = state_pb2.Diagnostic(file="x.yml", severity=1, code="CMP001", message="empty\nfile")
    assert diagnostics.line(bare) == "x.yml: error CMP001: empty file"


async def test_a_deploy_sends_the_project(fake: FakeControlPlane, cli: Cli) -> None:
    cli.environ["TAG"] = "7"
    done = await cli("deploy")
    assert done.code == 0
    (request,) = fake.requests("DeployApp")
    assert request.parent == "organizations/default/projects/shop/environments/prod"
    assert request.app_id == "web-shop"
    assert [file.path for file in request.bundle.files] == ["docker-compose.yml"]
    assert dict(request.bundle.default_variables) == {"TAG": "7"}
    assert not request.bundle.variables
    assert request.request_id


@pytest.mark.parametrize(
    ("where", "expected"),
    [("flag", "a-flag"), ("file", "a-file"), ("compose", "a-compose"), ("folder", "web-shop")],
)
async def test_how_the_app_is_named(
    fake: FakeControlPlane, cli: Cli, where: str, expected: str
) -> None:
    if where != "folder":
        (cli.cwd / "docker-compose.yml").write_text("name: a-compose")
    if where in ("flag", "file"):
        (cli.cwd / "skerry.yaml").write_text("app: a-file")
    await cli("deploy", *(["--app", "a-flag"] if where == "flag" else []))
    assert fake.requests("DeployApp")[0].app_id == expected


async def test_progress_in_lines(fake: FakeControlPlane, cli: Cli) -> None:
    fake.script(
        "WatchDeployment",
        [
            step("QUEUED", message="waiting for the agent"),
            step("APPLYING", objects_applied=1, objects_total=3, diagnostics=[DIAGNOSTIC]),
            step("APPLYING", objects_applied=3, objects_total=3, diagnostics=[DIAGNOSTIC]),
            step("ROLLING_OUT", service("PROGRESSING", 0, pod="pulling app:7")),
            step("ROLLING_OUT", service("READY", 1)),
            step("READY", service("READY", 1)),
        ],
    )
    done = await cli("deploy")
    assert done.err.splitlines() == [
        "revision 1: queued: waiting for the agent",
        PRINTED,
        "revision 1: applying 1/3",
        "revision 1: applying 3/3",
        "revision 1: rolling-out",
        "web: progressing, 0/1 ready",
        "  web-7f: pulling app:7",
        "web: ready (1/1)",
        "revision 1: ready",
        "web-shop revision 1 is ready",
    ]
    assert done.out.splitlines()[1].split() == ["web", "ready", "1/1", "0"]


async def test_progress_on_a_terminal(fake: FakeControlPlane, cli: Cli) -> None:
    cli.terminals = {"stderr_is_terminal": True, "stdout_is_terminal": True}
    fake.script(
        "WatchDeployment",
        [
            step("ROLLING_OUT", service("PROGRESSING", 0, pod="pulling app:7")),
            step("READY", service("READY", 1)),
        ],
    )
    done = await cli("deploy")
    assert done.code == 0
    assert "web-7f: pulling app:7" in done.err
    assert "revision 1: ready" in done.err


async def test_a_failed_rollout(fake: FakeControlPlane, cli: Cli) -> None:
    fake.script(
        "WatchDeployment",
        [step("FAILED", service("FAILED", 0, "image app:7 not found"), message="web is not ready")],
    )
    failed = await cli("deploy")
    assert failed.code == 1
    assert "web: failed, 0/1 ready: image app:7 not found" in failed.err
    assert failed.err.splitlines()[-1] == "error: web-shop: web is not ready"


async def test_a_long_reason_is_said_once_and_on_one_line(fake: FakeControlPlane, cli: Cli) -> None:
    reason = "image app:7 cannot be pulled"
    bad = service("FAILED", 0, reason, pod=reason)
    fake.script(
        "WatchDeployment",
        [
            step("ROLLING_OUT", bad),
            step("FAILED", bad, message=f"revision 1 failed: {reason}\nit stays"),
        ],
    )
    failed = await cli("deploy")
    assert failed.err.splitlines() == [
        "revision 1: rolling-out",
        f"web: failed, 0/1 ready: {reason}",
        "revision 1: failed",
        f"error: web-shop: revision 1 failed: {reason}; it stays",
    ]


async def test_the_result_as_json(fake: FakeControlPlane, cli: Cli) -> None:
    fake.script("WatchDeployment", [step("READY", service("READY", 1))])
    deployment = json.loads((await cli("deploy", "-o", "json")).out)
    assert deployment["phase"] == "DEPLOYMENT_PHASE_READY"
    assert deployment["services"][0]["service"] == "web"
    begun = yaml.safe_load((await cli("deploy", "--detach", "-o", "yaml")).out)
    assert begun["deployment"].endswith("/deployments/d2")
    named = await cli("deploy", "--detach", "-o", "name", "--quiet")
    assert (named.out.strip()[-3:], named.err) == ("/d3", "")


async def test_detached_it_says_how_to_watch(cli: Cli) -> None:
    assert "watch: skerry operation wait op1" in (await cli("deploy", "--detach")).err


async def test_a_deploy_that_takes_too_long(fake: FakeControlPlane, cli: Cli) -> None:
    fake.script("WatchDeployment", [step("ROLLING_OUT"), Hold()])
    late = await cli("deploy", "--timeout", "100ms")
    assert late.code == 5
    assert "it goes on (watch: skerry operation wait op1, stop: skerry operation cancel op1)" in (
        late.err
    )


async def test_interrupted_it_detaches(
    fake: FakeControlPlane, cli: Cli, capfd: pytest.CaptureFixture[str]
) -> None:
    fake.script("WatchDeployment", [step("ROLLING_OUT"), Hold()])
    around = Surroundings(cli.environ, cli.cwd, False, False, False, now=lambda: NOW)
    job = parse(["deploy"], around)
    assert not isinstance(job, int)
    task = asyncio.create_task(perform(*job))
    said = ""
    while "rolling-out" not in said:
        await asyncio.sleep(0.01)
        said += capfd.readouterr().err
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (
        "Detached; the rollout goes on (watch: skerry operation wait op1" in capfd.readouterr().err
    )
    assert fake.requests("CancelOperation") == []


@pytest.mark.parametrize(
    ("arguments", "commands"),
    [
        (["--env", "dev"], "skerry env create dev --project shop, or"),
        (
            ["--project", "blog"],
            "skerry project create blog && skerry env create prod --project blog",
        ),
    ],
    ids=str,
)
async def test_a_missing_parent_is_an_error_with_the_commands(
    cli: Cli, arguments: list[str], commands: str
) -> None:
    for verb in ("deploy", "plan"):
        missing = await cli(verb, *arguments)
        assert missing.code == 3
        assert commands in missing.err


async def test_missing_parents_are_made_when_asked(fake: FakeControlPlane, cli: Cli) -> None:
    done = await cli("deploy", "--create", "--project", "blog", "--env", "dev")
    assert done.code == 0
    assert "organizations/default/projects/blog/environments/dev" in fake.environments
    assert (await cli("deploy", "--create", "--project", "blog", "--env", "dev")).code == 0


async def test_a_refused_project(fake: FakeControlPlane, cli: Cli) -> None:
    fake.fail(
        "DeployApp",
        Fail(grpc.StatusCode.FAILED_PRECONDITION, "COMPOSE_REJECTED", "web: privileged is refused"),
    )
    refused = await cli("deploy")
    assert refused.code == 1
    assert "(skerry plan shows every finding)" in refused.err


async def test_what_is_not_sent_is_said(fake: FakeControlPlane, cli: Cli) -> None:
    (cli.cwd / "docker-compose.yml").write_text("services: {web: {env_file: ../../etc/passwd}}")
    done = await cli("deploy")
    assert "not sent: ../../etc/passwd: is outside the project folder" in done.err
    assert len(fake.requests("DeployApp")[0].bundle.files) == 1


async def test_a_plan_in_every_form(fake: FakeControlPlane, cli: Cli) -> None:
    fake.plan = app_pb2.PlanAppResponse(
        diagnostics=[DIAGNOSTIC],
        manifests="kind: Deployment\n",
        changes=[
            app_pb2.ObjectChange(
                kind="Deployment",
                object_name="web",
                action=app_pb2.CHANGE_ACTION_UPDATE,
                diff="-old\n+new\n",
            )
        ],
        public_service="web",
        public_service_reason="it has a port",
    )
    shown = await cli("plan")
    assert shown.code == 0
    assert shown.out.splitlines()[1].split() == ["update", "Deployment", "web"]
    assert PRINTED in shown.err
    assert "Public service: web (it has a port)" in shown.err
    assert shown.out.endswith("\nDeployment web:\n-old\n+new\n")
    assert "+new" not in (await cli("plan", "--no-diff")).out
    fake.plan.services.add(service="web", kind="Deployment")
    below = (await cli("plan", "--no-diff")).out.splitlines()[2:]
    assert [line.split()[:2] for line in below] == [[], ["SERVICE", "KIND"], ["web", "Deployment"]]
    assert (await cli("plan", "--manifests")).out == "kind: Deployment\n"
    assert (await cli("plan", "-o", "name")).out == "deployment/web\n"
    assert json.loads((await cli("plan", "-o", "json")).out)["changes"][0]["objectName"] == "web"
    assert fake.requests("DeployApp") == []


async def test_a_rejected_plan(fake: FakeControlPlane, cli: Cli) -> None:
    wrong = state_pb2.Diagnostic(severity=1, file="a", code="CMP001", message="no services")
    fake.plan = app_pb2.PlanAppResponse(rejected=True, diagnostics=[wrong, DIAGNOSTIC])
    rejected = await cli("plan", "--quiet")
    assert rejected.code == 1
    assert rejected.err.splitlines() == [
        "a: error CMP001: no services",
        "A deploy of this would be refused",
    ]


async def test_a_plan_of_standard_input(fake: FakeControlPlane, cli: Cli) -> None:
    await cli("plan", "-f", "-", "--app", "piped", stdin=b"services: {}")
    (request,) = fake.requests("PlanApp")
    assert (request.app_id, request.bundle.files[0].content) == ("piped", b"services: {}")


async def test_a_check_in_every_form(fake: FakeControlPlane, cli: Cli) -> None:
    ports = [
        app_pb2.FoundPort(port=80, protocol="tcp", source="ports"),
        app_pb2.FoundPort(port=9000, protocol="tcp", source="image"),
    ]
    fake.check = app_pb2.CheckAppResponse(
        diagnostics=[DIAGNOSTIC],
        services=[
            app_pb2.CheckedService(
                service="web", host_name="web", kind="Deployment", image="app", ports=ports
            )
        ],
        public_service="web",
        public_service_reason="the only one",
        public_port=80,
    )
    shown = await cli("check", "--profile", "debug", "--profile", "more")
    assert shown.code == 0
    assert shown.err.splitlines() == [
        PRINTED,
        "Public service: web:80 (the only one)",
        "0 errors, 1 warning",
    ]
    assert shown.out.splitlines()[1].split() == [
        *("web", "Deployment", "web", "80/tcp", "9000/tcp", "(image)", "0", "app"),
    ]
    (request,) = fake.requests("CheckApp")
    assert request.parent == "organizations/default/projects/shop/environments/prod"
    assert (request.app_id, list(request.profiles)) == ("web-shop", ["debug", "more"])
    assert request.bundle.files[0].path == "docker-compose.yml"
    assert json.loads((await cli("check", "-o", "json")).out)["services"][0]["hostName"] == "web"
    assert (await cli("check", "-o", "name")).out == "web\n"
    assert (await cli("check", "-o", "github")).out == (
        "::warning file=docker-compose.yml,line=4,col=7,title=CMP311::services.web.ports: "
        "the host port is not used. the service is reached by its name\n"
    )
    assert (await cli("check", "--schema")).out == "{}\n"


FACTS: dict[str, Any] = {
    "services": [
        app_pb2.CheckedService(
            service="web",
            host_name="web",
            kind="Deployment",
            image="app",
            ports=[app_pb2.FoundPort(port=9000, protocol="tcp", source="image")],
            sleep_after_seconds=1800,
        ),
        app_pb2.CheckedService(service="db", host_name="db", sleep_after_seconds=0),
    ],
    "public_service": "web",
    "public_port": 9000,
    "public_host": "shop.example.com",
    "public_service_reason": "the only one",
    "volumes": [
        app_pb2.Volume(claim="shop-data", volume="data", size="5Gi", services=["db", "web"]),
        app_pb2.Volume(claim="media", volume="media", external=True),
    ],
    "bindings": [
        app_pb2.Binding(service="a", kind="s3", wanted=True, available=True, reason="x-skerry.use"),
        app_pb2.Binding(service="b", kind="s3", wanted=True, reason="x-skerry.use"),
        app_pb2.Binding(
            service="db", kind="postgres", available=True, reason="pg is a plain Postgres"
        ),
        app_pb2.Binding(service="s3", kind="s3", reason="minio is a plain S3"),
    ],
}


@pytest.mark.parametrize("verb", ["check", "plan"])
async def test_what_becomes_of_a_project(fake: FakeControlPlane, cli: Cli, verb: str) -> None:
    fake.check = app_pb2.CheckAppResponse(**FACTS)
    fake.plan = app_pb2.PlanAppResponse(**FACTS)
    shown = await cli(verb)
    assert [line.split() for line in shown.out.splitlines()] == [
        ["SERVICE", "KIND", "HOST", "NAME", "PORTS", "VOLUMES", "SLEEPS", "AFTER", "IMAGE"],
        ["web", "Deployment", "web", "9000/tcp", "(image)", "0", "30m", "app"],
        ["db", "db", "0", "never"],
        [],
        ["VOLUME", "SIZE", "CLAIM", "USED", "BY"],
        ["data", "5Gi", "shop-data", "db,", "web"],
        ["media", "as", "it", "is", "media"],
    ]
    assert shown.err.splitlines()[:4] == [
        "Public service: web:9000 as shop.example.com (the only one)",
        "a: the shared S3 takes its place (x-skerry.use)",
        "db: pg is a plain Postgres, so the shared one could take its place"
        " (x-skerry: {use: shared-postgres})",
        "s3: minio is a plain S3, but this cluster has no shared one to take its place",
    ]
    whole = json.loads((await cli(verb, "-o", "json")).out)
    assert whole["volumes"][0]["size"] == "5Gi"
    assert whole["bindings"][2]["reason"] == "pg is a plain Postgres"
    assert whole["services"][1]["sleepAfterSeconds"] == "0"


async def test_both_places_of_a_finding(fake: FakeControlPlane, cli: Cli) -> None:
    found = state_pb2.Diagnostic(
        severity=2,
        file="b.yml",
        line=1,
        column=2,
        code="CMP1",
        message="no",
        via="extends at a.yml:3:5",
    )
    fake.plan = app_pb2.PlanAppResponse(diagnostics=[found])
    fake.check = app_pb2.CheckAppResponse(diagnostics=[found])
    said = "b.yml:1:2 (via extends at a.yml:3:5): warning CMP1: no"
    assert said in (await cli("plan")).err
    assert said in (await cli("check")).err
    assert (await cli("check", "-o", "github")).out == (
        "::warning file=b.yml,line=1,col=2,title=CMP1::no (via extends at a.yml:3:5)\n"
    )


async def test_a_check_that_finds_errors(fake: FakeControlPlane, cli: Cli) -> None:
    wrong = state_pb2.Diagnostic(
        severity=1, file="a:b.yml", line=1, column=2, code="CMP001", message="100 %\nno"
    )
    fake.check = app_pb2.CheckAppResponse(rejected=True, diagnostics=[wrong])
    rejected = await cli("check", "--quiet")
    assert (rejected.code, rejected.out) == (1, "")
    assert rejected.err.splitlines() == ["a:b.yml:1:2: error CMP001: 100 % no"]
    github = await cli("check", "-o", "github")
    assert github.code == 1
    assert github.out == "::error file=a%3Ab.yml,line=1,col=2,title=CMP001::100 %25%0Ano\n"
    assert github.err == "1 error, 0 warnings\n"


async def test_a_check_of_a_file_that_is_not_there(fake: FakeControlPlane, cli: Cli) -> None:
    missing = await cli("check", "-f", "none.yml")
    assert missing.code == 2
    assert "none.yml" in missing.err
    assert fake.requests("CheckApp") == []


async def test_a_rollback(fake: FakeControlPlane, cli: Cli) -> None:
    fake.add_app("web")
    done = await cli("rollback", "web", "--to", "3")
    assert done.code == 0
    assert "Back to revision 3" in done.err
    assert "web revision 3 is ready" in done.err
    assert fake.requests("RollbackApp")[0].revision == 3
    assert (await cli("rollback", "web", "--detach", "-o", "json")).code == 0
