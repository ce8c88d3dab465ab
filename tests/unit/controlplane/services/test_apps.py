"""Deploying, rolling back and deleting apps, with the agent there and away."""

import pytest

from controlplane.domain.apps import Bundle
from controlplane.domain.commands import DeleteApp, DeployApp
from controlplane.domain.deployments import DeploymentPhase
from controlplane.domain.errors import (
    AgentNeverJoined,
    AgentOffline,
    EtagMismatch,
    InvalidField,
    NotFound,
    RequestIdReused,
    ResourceInUse,
    StatusCode,
)
from controlplane.domain.names import RevisionName
from controlplane.domain.requests import PageRequest
from controlplane.domain.workloads import State
from tests.unit.controlplane.services.world import HOME, PROD, WEB, World, bundle, key


async def test_deploy_records_revision_deployment_operation_and_command(world: World) -> None:
    agent, started = await world.deployed()
    deployment = await world.deployments.get_deployment(started.deployment)
    assert (deployment.phase, deployment.revision) == (DeploymentPhase.QUEUED, 1)
    operation = await world.operations.get_operation(started.operation.name)
    assert (operation.target, operation.kind, operation.done) == (str(WEB), "deploy", False)
    assert operation.deployment == str(started.deployment)
    [command] = await agent.take()
    assert isinstance(command.body, DeployApp)
    assert command.body.files == bundle().files
    assert command.body.compose_files == bundle().compose_files
    assert command.body.deployment == started.deployment.deployment
    assert agent.uid in world.agents.woken


async def test_variables_go_to_the_agent_and_not_into_revisions_shown(world: World) -> None:
    agent, _ = await world.deployed()
    await world.apps.deploy_app(PROD, "web", bundle(PASSWORD="hunter2"))
    *_, command = await agent.take()
    assert isinstance(command.body, DeployApp)
    assert dict(command.body.variables) == {"PASSWORD": "hunter2"}
    revision = await world.deployments.get_revision(RevisionName(WEB, 2))
    assert [source.key for source in revision.variables] == ["PASSWORD"]
    assert "hunter2" not in repr(revision) + repr(command)


async def test_a_deploy_that_succeeds_serves(world: World) -> None:
    agent, started = await world.deployed()
    [command] = await agent.take()
    await agent.progress(command, DeploymentPhase.ROLLING_OUT)
    assert (await world.apps.get_app(WEB)).state is State.PROGRESSING
    await agent.finish(command)
    app = await world.apps.get_app(WEB)
    assert (app.state, app.serving_revision) == (State.READY, 1)
    deployment = await world.deployments.get_deployment(started.deployment)
    assert deployment.phase is DeploymentPhase.READY
    assert (await world.deployments.get_revision(RevisionName(WEB, 1))).was_ready
    operation = await world.operations.get_operation(started.operation.name)
    assert operation.done
    assert operation.error is None


async def test_a_first_deploy_that_fails_leaves_the_app_failed(world: World) -> None:
    agent, started = await world.deployed()
    [command] = await agent.take()
    await agent.finish(command, StatusCode.ABORTED, "ImageNotFound", "no image nginx:typo")
    app = await world.apps.get_app(WEB)
    assert (app.state, app.serving_revision) == (State.FAILED, 0)
    deployment = await world.deployments.get_deployment(started.deployment)
    assert (deployment.phase, deployment.reason) == (DeploymentPhase.FAILED, "ImageNotFound")
    operation = await world.operations.get_operation(started.operation.name)
    assert operation.error is not None
    assert operation.error.reason == "ROLLOUT_FAILED"
    assert operation.error.message == "no image nginx:typo"


async def test_a_failed_deploy_leaves_the_revision_before_serving(world: World) -> None:
    agent, _ = await world.deployed()
    [command] = await agent.take()
    await agent.finish(command)
    await world.apps.deploy_app(PROD, "web", bundle("broken"))
    [command] = await agent.take()
    await agent.finish(command, StatusCode.ABORTED, "CrashLoop", "it crashes")
    app = await world.apps.get_app(WEB)
    assert (app.state, app.serving_revision, app.wanted_revision) == (State.READY, 1, 2)
    [deployed] = [c for c in app.conditions if c.type == "Deployed"]
    assert (deployed.status, deployed.reason) == (False, "CrashLoop")


async def test_a_newer_deploy_supersedes_one_that_no_agent_has_seen(world: World) -> None:
    agent, first = await world.deployed()
    second = await world.apps.deploy_app(PROD, "web", bundle("two"))
    old = await world.deployments.get_deployment(first.deployment)
    assert old.phase is DeploymentPhase.SUPERSEDED
    operation = await world.operations.get_operation(first.operation.name)
    assert operation.done
    assert operation.error is not None
    assert operation.error.code is StatusCode.CANCELLED
    [command] = await agent.take()
    assert isinstance(command.body, DeployApp)
    assert command.body.revision == second.revision == 2
    assert world.agents.cancelled == []


async def test_a_newer_deploy_asks_the_agent_to_stop_the_older(world: World) -> None:
    agent, first = await world.deployed()
    [old] = await agent.take()
    await agent.progress(old, DeploymentPhase.ROLLING_OUT)
    await world.apps.deploy_app(PROD, "web", bundle("two"))
    assert world.agents.cancelled == [(agent.uid, old.seq)]
    assert await world.sessions.pending_cancels(agent.uid) == [old.seq]
    await agent.finish(old, StatusCode.OK)
    deployment = await world.deployments.get_deployment(first.deployment)
    assert deployment.phase is DeploymentPhase.SUPERSEDED
    assert (await world.apps.get_app(WEB)).serving_revision == 0
    assert await world.sessions.pending_cancels(agent.uid) == []


async def test_deploy_waits_for_an_agent_that_is_away(world: World) -> None:
    agent, _ = await world.deployed()
    await agent.disconnect()
    started = await world.apps.deploy_app(PROD, "web", bundle("two"))
    assert started.operation.message == "waiting for the agent of clusters/home"
    commands = await agent.connect(after_seq=agent.taken)
    assert [c.body.revision for c in commands if isinstance(c.body, DeployApp)] == [2]


async def test_deploy_to_a_cluster_that_nobody_joined_fails(world: World) -> None:
    await world.clusters.create_cluster(HOME.cluster)
    await world.environment()
    with pytest.raises(AgentNeverJoined, match="skerry cluster join-token home"):
        await world.apps.deploy_app(PROD, "web", bundle())
    with pytest.raises(NotFound):
        await world.apps.get_app(WEB)


async def test_repeated_deploy_gives_the_same_answer_once(world: World) -> None:
    await world.deployed()
    first = await world.apps.deploy_app(PROD, "web", bundle("two"), key=key())
    again = await world.apps.deploy_app(PROD, "web", bundle("two"), key=key())
    assert again == first
    page = await world.deployments.list_deployments(WEB, PageRequest())
    assert len(page.items) == 2
    with pytest.raises(RequestIdReused):
        await world.apps.deploy_app(PROD, "web", bundle("three"), key=key(request="other"))


async def test_etag_guards_against_somebody_elses_deploy(world: World) -> None:
    agent, _ = await world.deployed()
    seen = (await world.apps.get_app(WEB)).etag
    [command] = await agent.take()
    await agent.finish(command)
    assert (await world.apps.get_app(WEB)).etag == seen, "an observation is not a change"
    await world.apps.deploy_app(PROD, "web", bundle("two"), etag=seen)
    with pytest.raises(EtagMismatch):
        await world.apps.deploy_app(PROD, "web", bundle("three"), etag=seen)
    with pytest.raises(EtagMismatch):
        await world.apps.deploy_app(PROD, "new", bundle(), etag=seen)


async def test_rollback_goes_to_the_newest_ready_one(world: World) -> None:
    agent, _ = await world.deployed()
    for text, code in (("two", StatusCode.OK), ("three", StatusCode.ABORTED)):
        for command in await agent.take():
            await agent.finish(command)
        await world.apps.deploy_app(PROD, "web", bundle(text))
        [command] = await agent.take()
        await agent.finish(command, code)
    assert (await world.apps.get_app(WEB)).wanted_revision == 3
    started = await world.apps.rollback_app(WEB)
    assert (started.revision, started.operation.kind) == (2, "rollback")
    [command] = await agent.take()
    assert isinstance(command.body, DeployApp)
    assert command.body.files[0].content == b"two"


async def test_rollback_without_a_ready_revision_says_so(world: World) -> None:
    await world.deployed()
    with pytest.raises(NotFound, match="was ever READY"):
        await world.apps.rollback_app(WEB)
    with pytest.raises(NotFound, match="revisions/7"):
        await world.apps.rollback_app(WEB, 7)


async def test_delete_stops_the_rollout_and_forgets_the_app_when_the_agent_has(
    world: World,
) -> None:
    agent, started = await world.deployed()
    [rollout] = await agent.take()
    operation = await world.apps.delete_app(WEB, delete_volumes=True)
    assert world.agents.cancelled == [(agent.uid, rollout.seq)]
    assert (await world.apps.get_app(WEB)).state is State.DELETING
    with pytest.raises(ResourceInUse):
        await world.apps.deploy_app(PROD, "web", bundle())
    [command] = await agent.take()
    assert isinstance(command.body, DeleteApp)
    assert command.body.delete_volumes
    await agent.finish(command)
    with pytest.raises(NotFound):
        await world.apps.get_app(WEB)
    assert (await world.operations.get_operation(operation.name)).done
    with pytest.raises(NotFound):
        await world.deployments.get_deployment(started.deployment)


async def test_a_delete_that_fails_can_be_repeated(world: World) -> None:
    agent, _ = await world.deployed()
    await world.apps.delete_app(WEB)
    *_, command = await agent.take()
    await agent.finish(command, StatusCode.UNAVAILABLE, "CLUSTER_API_ERROR", "API server is down")
    assert (await world.apps.get_app(WEB)).state is State.FAILED
    operation = await world.apps.delete_app(WEB)
    assert not operation.done


async def test_plan_asks_the_agent_and_changes_nothing(world: World) -> None:
    agent, _ = await world.deployed()
    result = await world.apps.plan_app(PROD, "web", bundle("two"))
    assert result is world.agents.plan_result
    [asked] = world.agents.planned
    assert (asked.revision, asked.deployment, asked.files[0].content) == (2, "", b"two")
    assert len((await world.deployments.list_revisions(WEB, PageRequest())).items) == 1
    await agent.disconnect()
    with pytest.raises(AgentOffline):
        await world.apps.plan_app(PROD, "web", bundle("two"))


async def test_bad_bundles_are_refused_before_anything_happens(world: World) -> None:
    await world.deployed()
    with pytest.raises(InvalidField, match=r"bundle\.files"):
        await world.apps.deploy_app(PROD, "web", Bundle((), (), {}))
    with pytest.raises(InvalidField, match="app_id"):
        await world.apps.deploy_app(PROD, "Web!", bundle())


async def test_an_app_of_an_absent_agent_is_unknown(world: World) -> None:
    agent, _ = await world.deployed()
    [command] = await agent.take()
    await agent.finish(command)
    await agent.disconnect()
    app = await world.apps.get_app(WEB)
    assert app.state is State.UNKNOWN
    [connected] = [c for c in app.conditions if c.type == "AgentConnected"]
    assert connected.status is None
    await agent.connect()
    assert (await world.apps.get_app(WEB)).state is State.READY
