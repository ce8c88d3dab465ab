"""Environments come and go with their namespaces."""

import pytest

from controlplane.domain.commands import DeleteEnvironment, EnsureEnvironment
from controlplane.domain.errors import (
    AlreadyExists,
    InvalidField,
    NotFound,
    ResourceInUse,
    StatusCode,
)
from controlplane.domain.names import ClusterName
from controlplane.domain.requests import PageRequest
from controlplane.domain.workloads import State
from tests.unit.controlplane.services.world import (
    HOME,
    ORGANIZATION,
    PROD,
    PROJECT,
    WEB,
    World,
    bundle,
    key,
)


async def test_create_asks_for_a_namespace_made_of_stable_ids(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    await world.projects.create_project(ORGANIZATION, "shop")
    created = await world.environments.create_environment(PROJECT, "prod")
    environment = created.environment
    assert environment.namespace == f"shop-prod-{environment.uid[-6:]}"
    assert environment.state is State.PENDING
    [command] = await agent.take()
    assert isinstance(command.body, EnsureEnvironment)
    assert command.body.environment.namespace == environment.namespace
    await agent.finish(command)
    assert (await world.environments.get_environment(PROD)).state is State.READY
    assert (await world.operations.get_operation(created.operation.name)).done


async def test_create_waits_for_an_agent_that_never_joined(world: World) -> None:
    await world.clusters.create_cluster("home")
    await world.projects.create_project(ORGANIZATION, "shop")
    created = await world.environments.create_environment(PROJECT, "prod")
    assert "waiting for an agent to join clusters/home" in created.operation.message


async def test_the_cluster_may_be_left_out_only_when_there_is_one(world: World) -> None:
    await world.projects.create_project(ORGANIZATION, "shop")
    with pytest.raises(InvalidField, match="no cluster yet"):
        await world.environments.create_environment(PROJECT, "prod")
    await world.clusters.create_cluster("home")
    await world.clusters.create_cluster("away")
    with pytest.raises(InvalidField, match="several clusters"):
        await world.environments.create_environment(PROJECT, "prod")
    with pytest.raises(NotFound, match="clusters/moon"):
        await world.environments.create_environment(PROJECT, "prod", cluster=ClusterName("moon"))
    created = await world.environments.create_environment(PROJECT, "prod", cluster=HOME)
    assert created.environment.cluster == HOME


async def test_a_failed_namespace_says_why(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    await world.environment()
    [command] = await agent.take()
    await agent.finish(command, StatusCode.UNAVAILABLE, "CLUSTER_API_ERROR", "no answer")
    environment = await world.environments.get_environment(PROD)
    assert environment.state is State.FAILED
    assert "no answer" in [c.message for c in environment.conditions]


async def test_delete_needs_force_while_there_are_apps(world: World) -> None:
    agent, started = await world.deployed()
    with pytest.raises(ResourceInUse, match="holds 1 apps"):
        await world.environments.delete_environment(PROD)
    operation = await world.environments.delete_environment(PROD, force=True)
    assert (await world.apps.get_app(WEB)).state is State.DELETING
    assert (await world.operations.get_operation(started.operation.name)).done
    with pytest.raises(ResourceInUse, match="being deleted"):
        await world.environments.delete_environment(PROD, force=True)
    with pytest.raises(ResourceInUse):
        await world.apps.deploy_app(PROD, "other", bundle())
    [command] = await agent.take()
    assert isinstance(command.body, DeleteEnvironment)
    await agent.finish(command)
    for gone in (world.environments.get_environment(PROD), world.apps.get_app(WEB)):
        with pytest.raises(NotFound):
            await gone
    assert (await world.operations.get_operation(operation.name)).error is None
    await world.projects.delete_project(PROJECT)


async def test_delete_before_any_agent_joined_is_done_at_once(world: World) -> None:
    await world.clusters.create_cluster("home")
    await world.environment()
    operation = await world.environments.delete_environment(PROD)
    assert operation.done
    with pytest.raises(NotFound):
        await world.environments.get_environment(PROD)


async def test_a_name_is_taken_once_and_free_again_after_deletion(world: World) -> None:
    await world.clusters.create_cluster("home")
    await world.environment()
    with pytest.raises(AlreadyExists, match=str(PROD)):
        await world.environments.create_environment(PROJECT, "prod")
    await world.environments.delete_environment(PROD)
    await world.environments.create_environment(PROJECT, "prod")


async def test_repeated_create_gives_the_same_answer(world: World) -> None:
    await world.clusters.create_cluster("home")
    await world.projects.create_project(ORGANIZATION, "shop")
    first = await world.environments.create_environment(PROJECT, "prod", key=key())
    assert await world.environments.create_environment(PROJECT, "prod", key=key()) == first


async def test_environments_are_listed_over_all_projects(world: World) -> None:
    await world.clusters.create_cluster("home")
    for project in ("a", "b"):
        await world.projects.create_project(ORGANIZATION, project)
        name = PROJECT.__class__("default", project)
        await world.environments.create_environment(name, "prod")
    any_project = PROJECT.__class__("default", "-")
    page = await world.environments.list_environments(any_project, PageRequest())
    assert [item.name.project for item in page.items] == ["a", "b"]


async def test_a_project_with_environments_stays(world: World) -> None:
    await world.clusters.create_cluster("home")
    await world.environment()
    with pytest.raises(ResourceInUse):
        await world.projects.delete_project(PROJECT)


async def test_a_rollout_heals_a_namespace_that_could_not_be_made(world: World) -> None:
    agent = await world.joined_cluster()
    await agent.connect()
    await world.environment()
    [command] = await agent.take()
    await agent.finish(command, StatusCode.UNAVAILABLE, "CLUSTER_API_ERROR", "no answer")
    await world.apps.deploy_app(PROD, "web", bundle())
    [command] = await agent.take()
    await agent.finish(command)
    assert (await world.environments.get_environment(PROD)).state is State.READY
