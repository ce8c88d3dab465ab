"""Environments, apps, deployments, revisions and operations, with an agent and without one."""

import asyncio
import uuid
from pathlib import Path

import grpc
import pytest
from skerry.agent.v1 import command_pb2, stream_pb2
from skerry.platform.v1 import (
    app_pb2,
    app_pb2_grpc,
    deployment_pb2,
    deployment_pb2_grpc,
    environment_pb2,
    environment_pb2_grpc,
    error_pb2,
    operation_pb2,
    operation_pb2_grpc,
    state_pb2,
)

from tests.integration.controlplane.harness import (
    ORGANIZATION,
    PATIENCE,
    Plane,
    Worker,
    agent,
    bundle,
    control_plane,
    environment,
    failure,
    join_token,
)

PROD = f"{ORGANIZATION}/projects/shop/environments/prod"
WEB = f"{PROD}/apps/web"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


def deploy(**fields: object) -> app_pb2.DeployAppRequest:
    return app_pb2.DeployAppRequest(
        **{"parent": PROD, "app_id": "web", "bundle": bundle(), **fields}
    )


async def done(plane: Plane, name: str) -> operation_pb2.Operation:
    """Watches an operation to its end."""
    operations = plane.stub(operation_pb2_grpc.OperationServiceStub)
    last = operation_pb2.Operation()
    async for event in operations.WatchOperation(operation_pb2.WatchOperationRequest(name=name)):
        if event.HasField("operation"):
            last = event.operation
    assert last.done
    return last


async def test_an_environment_waits_for_its_agent(data_dir: Path, tmp_path: Path) -> None:
    worker = Worker()
    async with control_plane(data_dir) as plane, agent(plane, worker, tmp_path / "agent"):
        environments = plane.stub(environment_pb2_grpc.EnvironmentServiceStub)
        name = await environment(plane)
        assert name == PROD
        operations = plane.stub(operation_pb2_grpc.OperationServiceStub)
        listed = await operations.ListOperations(operation_pb2.ListOperationsRequest(target=PROD))
        assert [item.kind for item in listed.operations] == ["ensure-environment"]
        assert not (await done(plane, listed.operations[0].name)).HasField("error")
        got = await environments.GetEnvironment(environment_pb2.GetEnvironmentRequest(name=PROD))
        assert got.environment.state == state_pb2.STATE_READY
        spec = worker.commands[0].ensure_environment.environment
        assert spec.namespace == got.environment.namespace
        everywhere = environment_pb2.ListEnvironmentsRequest(parent=f"{ORGANIZATION}/projects/-")
        assert len((await environments.ListEnvironments(everywhere)).environments) == 1


async def test_an_app_is_deployed_and_becomes_ready(data_dir: Path, tmp_path: Path) -> None:
    async with control_plane(data_dir) as plane, agent(plane, Worker(), tmp_path / "agent"):
        await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        started = await apps.DeployApp(deploy())
        assert started.revision == 1
        assert not (await done(plane, started.operation.name)).HasField("error")
        deployments = plane.stub(deployment_pb2_grpc.DeploymentServiceStub)
        got = await deployments.GetDeployment(
            deployment_pb2.GetDeploymentRequest(name=started.deployment)
        )
        assert got.deployment.phase == deployment_pb2.DEPLOYMENT_PHASE_READY
        assert got.deployment.services[0].state == state_pb2.STATE_READY
        app = (await apps.GetApp(app_pb2.GetAppRequest(name=WEB))).app
        assert (app.wanted_revision, app.serving_revision) == (1, 1)


async def test_a_deployment_is_watched_to_its_end(data_dir: Path, tmp_path: Path) -> None:
    worker = Worker(hold=asyncio.Event())
    async with control_plane(data_dir) as plane, agent(plane, worker, tmp_path / "agent"):
        await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        started = await apps.DeployApp(deploy())
        deployments = plane.stub(deployment_pb2_grpc.DeploymentServiceStub)
        phases = []
        assert worker.hold is not None
        async for event in deployments.WatchDeployment(
            deployment_pb2.WatchDeploymentRequest(name=started.deployment)
        ):
            phases.append(deployment_pb2.DeploymentPhase.Name(event.deployment.phase)[17:])
            if phases[-1] == "ROLLING_OUT":
                worker.hold.set()
        assert phases[-2:] == ["ROLLING_OUT", "READY"]


async def test_a_failed_rollout_says_why(data_dir: Path, tmp_path: Path) -> None:
    outcome = command_pb2.CommandResult(
        code=grpc.StatusCode.ABORTED.value[0], reason="ROLLOUT_FAILED", message="web: no such image"
    )
    async with control_plane(data_dir) as plane, agent(plane, Worker(), tmp_path / "agent") as _:
        await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        started = await apps.DeployApp(deploy())
        await done(plane, started.operation.name)
    worker = Worker(outcome=outcome)
    async with control_plane(tmp_path / "other") as plane, agent(plane, worker, tmp_path / "b"):
        await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        started = await apps.DeployApp(deploy())
        ended = await done(plane, started.operation.name)
        assert ended.error.reason == error_pb2.ERROR_REASON_ROLLOUT_FAILED
        assert "no such image" in ended.error.message


async def test_revisions_keep_files_and_hide_variables(data_dir: Path, tmp_path: Path) -> None:
    async with control_plane(data_dir) as plane, agent(plane, Worker(), tmp_path / "agent"):
        await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        wanted = bundle()
        wanted.variables["PASSWORD"] = "hunter2"
        started = await apps.DeployApp(deploy(bundle=wanted))
        await done(plane, started.operation.name)
        deployments = plane.stub(deployment_pb2_grpc.DeploymentServiceStub)
        one = await deployments.GetRevision(
            deployment_pb2.GetRevisionRequest(name=f"{WEB}/revisions/1")
        )
        assert one.revision.files == wanted.files
        assert list(one.revision.variable_names) == ["PASSWORD"]
        assert one.revision.was_ready
        assert b"hunter2" not in one.SerializeToString()
        many = await deployments.ListRevisions(deployment_pb2.ListRevisionsRequest(parent=WEB))
        assert [len(item.files) for item in many.revisions] == [0]


async def test_a_rollback_deploys_an_earlier_revision(data_dir: Path, tmp_path: Path) -> None:
    async with control_plane(data_dir) as plane, agent(plane, Worker(), tmp_path / "agent"):
        await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        for image in ("nginx:1", "nginx:2"):
            text = f"services: {{web: {{image: '{image}'}}}}\n"
            started = await apps.DeployApp(deploy(bundle=bundle(text)))
            await done(plane, started.operation.name)
        back = await apps.RollbackApp(
            app_pb2.RollbackAppRequest(name=WEB, request_id=str(uuid.uuid4()))
        )
        assert back.revision == 1
        await done(plane, back.operation.name)
        app = (await apps.GetApp(app_pb2.GetAppRequest(name=WEB))).app
        assert app.serving_revision == 1
        deployments = plane.stub(deployment_pb2_grpc.DeploymentServiceStub)
        listed = await deployments.ListDeployments(
            deployment_pb2.ListDeploymentsRequest(parent=WEB)
        )
        assert [item.revision for item in listed.deployments] == [1, 2, 1]


async def test_a_deploy_is_not_doubled_by_a_repeat(data_dir: Path, tmp_path: Path) -> None:
    worker = Worker()
    async with control_plane(data_dir) as plane, agent(plane, worker, tmp_path / "agent"):
        await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        wanted = bundle()
        for name in "abcdefgh":
            wanted.variables[name] = name
        request = deploy(bundle=wanted, request_id=str(uuid.uuid4()))
        first = await apps.DeployApp(request)
        # Parsed anew, as a retry of another process would send it: maps may come in another order.
        again = await apps.DeployApp(
            app_pb2.DeployAppRequest.FromString(request.SerializeToString())
        )
        assert (again.deployment, again.revision) == (first.deployment, first.revision)
        await done(plane, first.operation.name)
        deploys = [item for item in worker.commands if item.WhichOneof("kind") == "deploy_app"]
        assert len(deploys) == 1


async def test_a_plan_comes_from_the_agent(data_dir: Path, tmp_path: Path) -> None:
    result = stream_pb2.PlanResult(
        rejected=True,
        diagnostics=[
            command_pb2.Diagnostic(file="compose.yml", line=3, severity="error", code="CMP311")
        ],
        changes=[stream_pb2.ObjectChange(kind="Deployment", object_name="web", action="create")],
        manifests="kind: Deployment\n" * 5000,
    )
    async with control_plane(data_dir) as plane, agent(plane, Worker(plan=result), tmp_path / "a"):
        await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        request = app_pb2.PlanAppRequest(parent=PROD, app_id="web", bundle=bundle())
        plan = await apps.PlanApp(request)
    assert plan.rejected
    assert plan.diagnostics[0].severity == state_pb2.SEVERITY_ERROR
    assert plan.changes[0].action == app_pb2.CHANGE_ACTION_CREATE
    assert plan.manifests == result.manifests


async def test_without_an_agent_a_plan_fails_and_a_deploy_waits(
    data_dir: Path, tmp_path: Path
) -> None:
    async with control_plane(data_dir) as plane:
        async with agent(plane, Worker(), tmp_path / "agent"):
            await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        request = app_pb2.PlanAppRequest(parent=PROD, app_id="web", bundle=bundle())
        failed = await failure(apps.PlanApp(request))
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAVAILABLE, "AGENT_OFFLINE")
        assert "RetryInfo" in failed.details
        started = await apps.DeployApp(deploy())
        assert not started.operation.done
        operations = plane.stub(operation_pb2_grpc.OperationServiceStub)
        cancelled = await operations.CancelOperation(
            operation_pb2.CancelOperationRequest(name=started.operation.name)
        )
        assert cancelled.operation.cancel_requested
        ended = await done(plane, started.operation.name)
        assert ended.error.reason == error_pb2.ERROR_REASON_CANCELLED


async def test_an_agent_that_never_joined_is_told_apart(data_dir: Path) -> None:
    async with control_plane(data_dir) as plane:
        await join_token(plane)
        await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        request = app_pb2.PlanAppRequest(parent=PROD, app_id="web", bundle=bundle())
        failed = await failure(apps.PlanApp(request))
    assert (failed.code, failed.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "AGENT_NEVER_JOINED",
    )


async def test_apps_are_watched(data_dir: Path, tmp_path: Path) -> None:
    async with control_plane(data_dir) as plane, agent(plane, Worker(), tmp_path / "agent"):
        await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        anywhere = f"{ORGANIZATION}/projects/-/environments/-"
        watch = apps.WatchApps(app_pb2.WatchAppsRequest(parent=anywhere))
        await asyncio.wait_for(watch.read(), PATIENCE)
        started = await apps.DeployApp(deploy())
        event = await asyncio.wait_for(watch.read(), PATIENCE)
        assert event.app.name == WEB
        await done(plane, started.operation.name)
        deleted = await apps.DeleteApp(app_pb2.DeleteAppRequest(name=WEB))
        await done(plane, deleted.operation.name)
        while event.type != 4:
            event = await asyncio.wait_for(watch.read(), PATIENCE)
        assert event.app.name == WEB
        watch.cancel()
        listed = await apps.ListApps(app_pb2.ListAppsRequest(parent=PROD))
        assert not listed.apps


async def test_an_environment_with_apps_is_kept(data_dir: Path, tmp_path: Path) -> None:
    async with control_plane(data_dir) as plane, agent(plane, Worker(), tmp_path / "agent"):
        await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        started = await apps.DeployApp(deploy())
        await done(plane, started.operation.name)
        environments = plane.stub(environment_pb2_grpc.EnvironmentServiceStub)
        request = environment_pb2.DeleteEnvironmentRequest(name=PROD)
        failed = await failure(environments.DeleteEnvironment(request))
        assert (failed.code, failed.reason) == (
            grpc.StatusCode.FAILED_PRECONDITION,
            "RESOURCE_IN_USE",
        )
        request.force = True
        begun = await environments.DeleteEnvironment(request)
        await done(plane, begun.operation.name)
        gone = environment_pb2.GetEnvironmentRequest(name=PROD)
        assert (await failure(environments.GetEnvironment(gone))).reason == "RESOURCE_NOT_FOUND"


async def test_a_bundle_beyond_a_mebibyte_is_refused(data_dir: Path, tmp_path: Path) -> None:
    async with control_plane(data_dir) as plane, agent(plane, Worker(), tmp_path / "agent"):
        await environment(plane)
        apps = plane.stub(app_pb2_grpc.AppServiceStub)
        for size in (2_000_000, 10_000_000):
            failed = await failure(apps.DeployApp(deploy(bundle=bundle("x" * size))))
            assert (failed.code, failed.reason) == (
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                "REQUEST_TOO_LARGE",
            )
