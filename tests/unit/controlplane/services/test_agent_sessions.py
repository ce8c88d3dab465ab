"""What agents say on the link, and that saying it twice or late changes nothing."""

import dataclasses

import pytest

from controlplane.domain.addons import AddOnState
from controlplane.domain.clusters import ClusterFacts
from controlplane.domain.commands import CommandOutcome, DeployApp
from controlplane.domain.deployments import DeploymentPhase
from controlplane.domain.errors import CredentialsInvalid, NotFound, StatusCode
from controlplane.domain.names import ClusterName
from controlplane.domain.reports import AddOnStatus, AppStatus, EnvironmentStatus, Report
from controlplane.domain.requests import PageRequest
from controlplane.domain.workloads import Condition, ServiceStatus, State
from tests.unit.controlplane.services.world import (
    HOME,
    PROD,
    WEB,
    World,
    bundle,
)

FACTS = ClusterFacts("v1.35.4", "k3s", (), (), True, None, "could not probe", None)


def app_status(uid: str, state: State, message: str = "") -> AppStatus:
    service = ServiceStatus("web", state, "", message, 1, 1, (), "nginx", "Deployment")
    return AppStatus("ns", "web", uid, 1, state, "", message, (service,), None)


async def test_a_certificate_of_another_ca_is_nobody(world: World) -> None:
    with pytest.raises(CredentialsInvalid):
        await world.sessions.authenticate(b"made up")


async def test_commands_are_resent_until_they_end(world: World) -> None:
    agent, _ = await world.deployed()
    [command] = await agent.take()
    again = await agent.connect(after_seq=command.seq - 1)
    assert again == [command]
    assert await agent.connect(after_seq=command.seq) == []
    await agent.finish(command)
    assert await agent.connect(after_seq=0) == []


async def test_sequence_numbers_have_no_holes(world: World) -> None:
    agent, _ = await world.deployed()
    for n in range(3):
        with pytest.raises(NotFound):
            await world.apps.rollback_app(WEB, 99)
        await world.apps.deploy_app(PROD, f"app{n}", bundle())
    assert [command.seq for command in await agent.take()] == [2, 3, 4, 5]


async def test_a_repeated_result_changes_nothing(world: World) -> None:
    agent, started = await world.deployed()
    [command] = await agent.take()
    await agent.finish(command, StatusCode.ABORTED, "CrashLoop", "first")
    before = await world.deployments.get_deployment(started.deployment)
    world.clock.advance(5)
    await agent.finish(command, StatusCode.OK)
    assert await world.deployments.get_deployment(started.deployment) == before
    assert (await world.apps.get_app(WEB)).serving_revision == 0


async def test_a_result_over_a_superseded_connection_counts(world: World) -> None:
    agent, started = await world.deployed()
    [command] = await agent.take()
    old = agent.epoch
    await agent.connect()
    agent.epoch = old
    await agent.finish(command)
    deployment = await world.deployments.get_deployment(started.deployment)
    assert deployment.phase is DeploymentPhase.READY


async def test_a_result_of_a_command_of_another_cluster_counts_for_nothing(world: World) -> None:
    agent, started = await world.deployed()
    [command] = await agent.take()
    stranger = await world.joined_cluster(ClusterName("other"))
    await stranger.connect()
    await stranger.finish(command)
    deployment = await world.deployments.get_deployment(started.deployment)
    assert deployment.phase is DeploymentPhase.QUEUED


async def test_a_result_of_an_unknown_command_is_taken_and_forgotten(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    outcome = CommandOutcome(7, world.ids.new(), StatusCode.OK, "", "", None)
    await world.sessions.finished(agent.uid, agent.epoch, outcome)


async def test_older_progress_does_not_replace_newer(world: World) -> None:
    agent, started = await world.deployed()
    [command] = await agent.take()
    await agent.progress(command, DeploymentPhase.ROLLING_OUT, version=5)
    await agent.progress(command, DeploymentPhase.PLANNING, version=4)
    deployment = await world.deployments.get_deployment(started.deployment)
    assert (deployment.phase, deployment.objects_applied) == (DeploymentPhase.ROLLING_OUT, 5)


async def test_a_restarted_agent_counts_progress_from_one_again(world: World) -> None:
    agent, started = await world.deployed()
    [command] = await agent.take()
    await agent.progress(command, DeploymentPhase.ROLLING_OUT, version=5)
    await agent.connect()
    await agent.progress(command, DeploymentPhase.PLANNING, version=1)
    deployment = await world.deployments.get_deployment(started.deployment)
    assert deployment.phase is DeploymentPhase.PLANNING


async def test_progress_is_not_the_end(world: World) -> None:
    agent, started = await world.deployed()
    [command] = await agent.take()
    await agent.progress(command, DeploymentPhase.READY)
    deployment = await world.deployments.get_deployment(started.deployment)
    assert not deployment.phase.ended
    await agent.finish(command)
    await agent.progress(command, DeploymentPhase.APPLYING, version=9)
    deployment = await world.deployments.get_deployment(started.deployment)
    assert deployment.phase is DeploymentPhase.READY


async def test_everything_goes_on_after_a_restart(world: World) -> None:
    agent, started = await world.deployed()
    [command] = await agent.take()
    await agent.progress(command, DeploymentPhase.APPLYING)
    again = await world.restarted()
    try:
        deployment = await again.deployments.get_deployment(started.deployment)
        assert deployment.phase is DeploymentPhase.APPLYING
        assert (await again.apps.get_app(WEB)).state is State.UNKNOWN
        agent.world = again
        assert await agent.connect(after_seq=0) == [command]
        await agent.finish(command)
        assert (await again.apps.get_app(WEB)).state is State.READY
    finally:
        await again.stop()
        await world.store.open()


async def test_facts_are_kept_with_the_cluster(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    assert await world.sessions.reported(agent.uid, agent.epoch, Report("facts", 1, False, FACTS))
    assert (await world.clusters.get_cluster(HOME)).facts == FACTS


async def test_reports_of_a_superseded_connection_are_refused(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    old = agent.epoch
    await agent.connect()
    assert not await world.sessions.reported(agent.uid, old, Report("facts", 9, False, FACTS))
    assert (await world.clusters.get_cluster(HOME)).facts is None


async def test_an_older_report_is_taken_and_ignored(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    for version, state in ((2, AddOnState.READY), (1, AddOnState.FAILED)):
        status = AddOnStatus("garage", "1", state, "", "", 1, None, None, ("db",))
        assert await world.sessions.reported(
            agent.uid, agent.epoch, Report("addons/garage", version, False, status)
        )
    [add_on] = (await world.add_ons.list_add_ons(HOME, PageRequest())).items
    assert (add_on.state, add_on.depends_on) == (AddOnState.READY, ("db",))


async def test_an_app_shows_what_its_agent_observes(world: World) -> None:
    agent, _ = await world.deployed()
    uid = (await world.apps.get_app(WEB)).uid
    status = app_status(uid, State.DEGRADED, "one of two pods crashes")
    await world.sessions.reported(agent.uid, agent.epoch, Report(f"apps/{uid}", 1, False, status))
    app = await world.apps.get_app(WEB)
    assert (app.state, app.services) == (State.DEGRADED, status.services)
    [available] = [c for c in app.conditions if c.type == "Available"]
    assert (available.status, available.message) == (True, "one of two pods crashes")
    await world.sessions.reported(agent.uid, agent.epoch, Report(f"apps/{uid}", 2, True, None))
    assert (await world.apps.get_app(WEB)).state is State.FAILED


async def test_an_agent_cannot_speak_for_another_clusters_app(world: World) -> None:
    await world.deployed()
    uid = (await world.apps.get_app(WEB)).uid
    stranger = await world.joined_cluster(ClusterName("other"))
    await stranger.connect()
    report = Report(f"apps/{uid}", 1, False, app_status(uid, State.READY))
    await world.sessions.reported(stranger.uid, stranger.epoch, report)
    assert (await world.apps.get_app(WEB)).state is State.PENDING


async def test_a_report_does_not_bring_back_an_app_that_is_being_deleted(world: World) -> None:
    agent, _ = await world.deployed()
    uid = (await world.apps.get_app(WEB)).uid
    await world.apps.delete_app(WEB)
    report = Report(f"apps/{uid}", 1, False, app_status(uid, State.READY))
    await world.sessions.reported(agent.uid, agent.epoch, report)
    assert (await world.apps.get_app(WEB)).state is State.DELETING


def guards(uid: str, message: str = "", *, ok: bool = True) -> EnvironmentStatus:
    return EnvironmentStatus(uid, ok, "Guarded" if ok else "ForeignPolicies", message)


async def isolation(world: World) -> Condition:
    environment = await world.environments.get_environment(PROD)
    (found,) = [one for one in environment.conditions if one.type == "Isolated"]
    return found


async def test_an_environment_shows_whether_its_walls_stand(world: World) -> None:
    agent, _ = await world.deployed()
    uid = (await world.environments.get_environment(PROD)).uid

    async def report(version: int, body: EnvironmentStatus | None) -> Condition:
        told = Report(f"environments/{uid}", version, body is None, body)
        await world.sessions.reported(agent.uid, agent.epoch, told)
        return await isolation(world)

    assert (await report(1, guards(uid))).status is True
    found = await report(2, guards(uid, "allow-all is not Skerry's", ok=False))
    assert (found.status, found.message) == (False, "allow-all is not Skerry's")
    found = await report(3, None)
    assert (found.status, found.reason) == (False, "NamespaceGone")


async def test_walls_that_nothing_enforces_do_not_count(world: World) -> None:
    agent, _ = await world.deployed()
    uid = (await world.environments.get_environment(PROD)).uid
    facts = dataclasses.replace(
        FACTS, network_policy_enforced=False, network_policy_message="no effect"
    )
    await world.sessions.reported(agent.uid, agent.epoch, Report("facts", 1, False, facts))
    told = Report(f"environments/{uid}", 1, False, guards(uid))
    await world.sessions.reported(agent.uid, agent.epoch, told)
    found = await isolation(world)
    assert (found.status, found.reason, found.message) == (
        *(False, "PoliciesNotEnforced"),
        "no effect",
    )


async def test_an_agent_cannot_speak_for_another_clusters_environment(world: World) -> None:
    await world.deployed()
    uid = (await world.environments.get_environment(PROD)).uid
    stranger = await world.joined_cluster(ClusterName("other"))
    await stranger.connect()
    told = Report(f"environments/{uid}", 1, False, guards(uid))
    await world.sessions.reported(stranger.uid, stranger.epoch, told)
    environment = await world.environments.get_environment(PROD)
    assert not [one for one in environment.conditions if one.type == "Isolated"]


async def test_journalled_commands_are_said_to_be_taken(world: World) -> None:
    agent, started = await world.deployed()
    [command] = await agent.take()
    assert isinstance(command.body, DeployApp)
    for _ in range(2):
        await world.sessions.acknowledged(agent.uid, agent.epoch, command.seq)
    operation = await world.operations.get_operation(started.operation.name)
    assert operation.message == "taken by the agent of clusters/home"
