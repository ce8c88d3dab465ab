"""Cancelling and listing operations."""

import pytest

from controlplane.domain.deployments import DeploymentPhase
from controlplane.domain.errors import InvalidField, NotFound, PageTokenInvalid, StatusCode
from controlplane.domain.names import OperationName
from controlplane.domain.requests import PageRequest
from controlplane.domain.workloads import State
from tests.unit.controlplane.services.world import PROD, WEB, World, bundle, key


async def test_cancel_before_any_agent_saw_it_ends_it_at_once(world: World) -> None:
    agent, started = await world.deployed()
    operation = await world.operations.cancel_operation(started.operation.name)
    assert (operation.done, operation.cancel_requested) == (True, True)
    assert operation.error is not None
    assert operation.error.reason == "CANCELLED"
    deployment = await world.deployments.get_deployment(started.deployment)
    assert deployment.phase is DeploymentPhase.CANCELLED
    assert await agent.take() == []
    assert (await world.apps.get_app(WEB)).state is State.FAILED


async def test_cancel_of_work_under_way_asks_the_agent_until_it_answers(world: World) -> None:
    agent, started = await world.deployed()
    [command] = await agent.take()
    operation = await world.operations.cancel_operation(started.operation.name)
    assert (operation.done, operation.cancel_requested) == (False, True)
    assert world.agents.cancelled == [(agent.uid, command.seq)]
    await agent.disconnect()
    await agent.connect()
    assert await world.sessions.pending_cancels(agent.uid) == [command.seq]
    await agent.finish(command, StatusCode.CANCELLED, "CANCELLED", "stopped")
    assert await world.sessions.pending_cancels(agent.uid) == []
    assert (await world.operations.get_operation(started.operation.name)).done


async def test_work_that_was_quicker_than_its_cancel_succeeded(world: World) -> None:
    agent, started = await world.deployed()
    [command] = await agent.take()
    await world.operations.cancel_operation(started.operation.name)
    await agent.finish(command)
    operation = await world.operations.get_operation(started.operation.name)
    assert (operation.error, operation.cancel_requested) == (None, True)
    assert (await world.apps.get_app(WEB)).state is State.READY


async def test_cancel_of_a_finished_operation_changes_nothing(world: World) -> None:
    agent, started = await world.deployed()
    [command] = await agent.take()
    await agent.finish(command)
    before = await world.operations.get_operation(started.operation.name)
    assert await world.operations.cancel_operation(before.name, key=key()) == before
    with pytest.raises(NotFound):
        await world.operations.cancel_operation(OperationName(world.ids.new()))


async def test_lists_are_newest_first_and_below_a_target(world: World) -> None:
    _, first = await world.deployed()
    second = await world.apps.deploy_app(PROD, "web", bundle("two"))
    other = await world.apps.deploy_app(PROD, "web2", bundle())
    page = await world.operations.list_operations(PageRequest(), target=str(WEB))
    assert [o.name for o in page.items] == [second.operation.name, first.operation.name]
    page = await world.operations.list_operations(PageRequest(), target=str(PROD))
    assert len(page.items) == 4
    page = await world.operations.list_operations(PageRequest(), active_only=True)
    assert [o.name for o in page.items] == [other.operation.name, second.operation.name]


async def test_a_page_token_belongs_to_its_list(world: World) -> None:
    await world.deployed()
    await world.apps.deploy_app(PROD, "web", bundle("two"))
    page = await world.operations.list_operations(PageRequest(1))
    assert page.next_token
    assert (await world.operations.list_operations(PageRequest(1, page.next_token))).items
    with pytest.raises(PageTokenInvalid):
        await world.operations.list_operations(PageRequest(1, page.next_token), target=str(PROD))
    with pytest.raises(PageTokenInvalid):
        await world.operations.list_operations(PageRequest(1, "bm9uc2Vuc2U"))
    with pytest.raises(InvalidField):
        await world.operations.list_operations(PageRequest(-1))
