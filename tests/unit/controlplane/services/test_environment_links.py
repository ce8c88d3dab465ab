"""Links open exactly two environments to each other, and leave nothing behind."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from controlplane.domain.access import BUILT_IN_ROLES, PLATFORM, Grant, Grants
from controlplane.domain.commands import Command, DeployApp, EnsureEnvironment
from controlplane.domain.errors import (
    AlreadyExists,
    EtagMismatch,
    InvalidField,
    NotFound,
    PermissionDenied,
    ResourceInUse,
)
from controlplane.domain.names import (
    ClusterName,
    EnvironmentLinkName,
    EnvironmentName,
    OrganizationName,
    ProjectName,
)
from controlplane.domain.requests import PageRequest
from tests.unit.controlplane.services.world import PROD, Agent, World, bundle, key

OWNER = Grants.of([Grant(PLATFORM, BUILT_IN_ROLES["owner"])])
BLOG = EnvironmentName("default", "blog", "prod")
WIKI = EnvironmentName("default", "wiki", "prod")


@pytest.fixture
async def agent(world: World) -> Agent:
    """Environments PROD, BLOG and WIKI stand on one cluster."""
    agent = await world.joined_cluster()
    await agent.connect()
    for name in (PROD, BLOG, WIKI):
        await world.environment(name)
    for command in await agent.take():
        await agent.finish(command)
    return agent


async def wanted(commands: Sequence[Command]) -> dict[str, list[str]]:
    """Which environments each ensured one is open to, by project."""
    found = {}
    for command in commands:
        assert isinstance(command.body, EnsureEnvironment)
        spec = command.body.environment
        found[spec.project] = [link.namespace.split("-")[0] for link in spec.links]
    return found


async def test_a_link_opens_both_sides(world: World, agent: Agent) -> None:
    created = await world.environment_links.create_link(PROD, BLOG, grants=OWNER)
    commands = await agent.take()
    assert await wanted(commands) == {"shop": ["blog"], "blog": ["shop"]}
    assert len(created.operations) == 2
    for command in commands:
        await agent.finish(command)
    for operation in created.operations:
        assert (await world.operations.get_operation(operation.name)).done


async def test_both_sides_list_it_and_others_do_not(world: World, agent: Agent) -> None:
    created = await world.environment_links.create_link(PROD, BLOG, grants=OWNER)
    assert (await world.environment_links.list_links(PROD, PageRequest())).items == (created.link,)
    (seen,) = (await world.environment_links.list_links(BLOG, PageRequest())).items
    assert (seen.name.parent, seen.peer, seen.uid) == (BLOG, PROD, created.link.uid)
    assert (await world.environment_links.list_links(WIKI, PageRequest())).items == ()


async def test_later_commands_have_a_higher_generation(world: World, agent: Agent) -> None:
    await world.environment_links.create_link(PROD, BLOG, grants=OWNER)
    await world.environment_links.create_link(PROD, WIKI, grants=OWNER)
    specs = [
        command.body.environment
        for command in await agent.take()
        if isinstance(command.body, EnsureEnvironment)
        and command.body.environment.project == "shop"
    ]
    assert [len(spec.links) for spec in specs] == [1, 2]
    assert specs[0].generation < specs[1].generation


async def test_a_deploy_knows_the_links(world: World, agent: Agent) -> None:
    await world.environment_links.create_link(PROD, BLOG, grants=OWNER)
    await agent.take()
    await world.apps.deploy_app(PROD, "web", bundle())
    (command,) = await agent.take()
    assert isinstance(command.body, DeployApp)
    assert len(command.body.environment.links) == 1


async def test_the_end_of_a_link_closes_both_sides(world: World, agent: Agent) -> None:
    created = await world.environment_links.create_link(PROD, BLOG, grants=OWNER)
    await agent.take()
    with pytest.raises(EtagMismatch):
        await world.environment_links.delete_link(created.link.name, etag="other")
    await world.environment_links.delete_link(created.link.name, etag=created.link.etag)
    assert await wanted(await agent.take()) == {"shop": [], "blog": []}
    with pytest.raises(NotFound):
        await world.environment_links.delete_link(created.link.name)


async def test_the_other_side_may_end_it_too(world: World, agent: Agent) -> None:
    created = await world.environment_links.create_link(PROD, BLOG, grants=OWNER)
    with pytest.raises(NotFound):
        await world.environment_links.delete_link(EnvironmentLinkName(WIKI, created.link.uid))
    await world.environment_links.delete_link(EnvironmentLinkName(BLOG, created.link.uid))
    assert (await world.environment_links.list_links(PROD, PageRequest())).items == ()


async def test_who_may_not_manage_the_other_side_cannot_open_it(world: World, agent: Agent) -> None:
    own = Grant(str(PROD), BUILT_IN_ROLES["owner"])
    seen = Grant(str(BLOG), BUILT_IN_ROLES["viewer"])
    with pytest.raises(NotFound):
        await world.environment_links.create_link(PROD, BLOG, grants=Grants.of([own]))
    with pytest.raises(PermissionDenied, match=r"needs environments\.manage on .*blog"):
        await world.environment_links.create_link(PROD, BLOG, grants=Grants.of([own, seen]))
    assert await agent.take() == []


async def test_a_deleted_environment_takes_its_links_along(world: World, agent: Agent) -> None:
    await world.environment_links.create_link(BLOG, PROD, grants=OWNER)
    await agent.take()
    await world.environments.delete_environment(PROD)
    ensured = [c for c in await agent.take() if isinstance(c.body, EnsureEnvironment)]
    assert await wanted(ensured) == {"blog": []}
    assert (await world.environment_links.list_links(BLOG, PageRequest())).items == ()
    with pytest.raises(ResourceInUse):
        await world.environment_links.create_link(BLOG, PROD, grants=OWNER)


async def test_two_are_linked_once_whichever_side_asks(world: World, agent: Agent) -> None:
    await world.environment_links.create_link(PROD, BLOG, grants=OWNER)
    with pytest.raises(AlreadyExists):
        await world.environment_links.create_link(BLOG, PROD, grants=OWNER)


async def test_a_repeated_call_makes_one_link(world: World, agent: Agent) -> None:
    first = await world.environment_links.create_link(PROD, BLOG, grants=OWNER, key=key())
    assert await world.environment_links.create_link(PROD, BLOG, grants=OWNER, key=key()) == first
    assert len(await agent.take()) == 2


async def test_what_cannot_be_linked_is_refused_with_the_reason(world: World, agent: Agent) -> None:
    await world.clusters.create_cluster("away")
    await world.projects.create_project(OrganizationName("default"), "far")
    far = EnvironmentName("default", "far", "prod")
    await world.environments.create_environment(
        ProjectName("default", "far"), "prod", cluster=ClusterName("away")
    )
    with pytest.raises(InvalidField, match="only environments of one cluster"):
        await world.environment_links.create_link(PROD, far, grants=OWNER)
    with pytest.raises(InvalidField, match="is the environment itself"):
        await world.environment_links.create_link(PROD, PROD, grants=OWNER)
    with pytest.raises(InvalidField, match="another organization"):
        await world.environment_links.create_link(
            PROD, EnvironmentName("other", "shop", "prod"), grants=OWNER
        )
    with pytest.raises(NotFound):
        await world.environment_links.create_link(
            PROD, EnvironmentName("default", "no", "prod"), grants=OWNER
        )
    assert await agent.take() == []
