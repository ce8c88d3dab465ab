"""Checks are passed to the agent of the environment, and nothing is kept."""

import pytest

from controlplane.domain.errors import AgentOffline, InvalidField, NotFound
from controlplane.domain.names import EnvironmentName
from controlplane.domain.requests import PageRequest
from controlplane.services.checks import PROFILES_MAX, CheckService
from tests.unit.controlplane.services.world import PROD, World, bundle


@pytest.fixture
def checks(world: World) -> CheckService:
    return CheckService(
        store=world.store, presence=world.presence, agents=world.agents, cipher=world.keyring
    )


async def test_a_check_asks_the_agent_and_keeps_nothing(world: World, checks: CheckService) -> None:
    agent, _ = await world.deployed()
    result = await checks.check_app(PROD, "other", bundle("two"), ["debug"])
    assert result is world.agents.check_result
    [(asked, profiles)] = world.agents.checked
    assert (asked.app, asked.revision, asked.files[0].content) == ("other", 0, b"two")
    assert profiles == ("debug",)
    assert len((await world.apps.list_apps(PROD, PageRequest())).items) == 1
    assert await checks.compose_schema(PROD) == world.agents.schema
    await agent.disconnect()
    with pytest.raises(AgentOffline):
        await checks.check_app(PROD, "other", bundle("two"), ())
    with pytest.raises(AgentOffline):
        await checks.compose_schema(PROD)


async def test_an_app_without_an_id_yet_can_be_checked(world: World, checks: CheckService) -> None:
    await world.deployed()
    await checks.check_app(PROD, "", bundle("x"), ())
    assert [deploy.app for deploy, _ in world.agents.checked] == ["app"]


@pytest.mark.parametrize(
    "profiles", [["-x"], [""], ["a b"], ["x" * 129], [f"p{n}" for n in range(PROFILES_MAX + 1)]]
)
async def test_bad_profiles_are_refused_before_the_agent_is_asked(
    world: World, checks: CheckService, profiles: list[str]
) -> None:
    await world.deployed()
    with pytest.raises(InvalidField, match="profiles"):
        await checks.check_app(PROD, "web", bundle("x"), profiles)
    assert world.agents.checked == []


async def test_an_environment_that_is_not_there(world: World, checks: CheckService) -> None:
    with pytest.raises(NotFound):
        await checks.check_app(EnvironmentName("default", "shop", "none"), "", bundle("x"), ())
