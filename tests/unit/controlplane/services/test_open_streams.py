"""Open streams are checked when the bus says that access changed: not one tick of the clock is waited for."""

import asyncio
import contextlib

import pytest

from controlplane.api.interceptors.authorization import Authorization
from controlplane.api.interceptors.call import Call
from controlplane.api.interceptors.interrupts import Interrupt
from controlplane.auth.rules import Access, Rule
from controlplane.domain.access import BUILT_IN_ROLES, Grant, Grants, Permission
from controlplane.domain.errors import NotFound
from controlplane.domain.names import OrganizationName
from controlplane.domain.people import RoleBinding
from controlplane.domain.tokens import Principal
from controlplane.services.authorization import Authorizer
from tests.unit.controlplane.services.world import World

SHOP = "organizations/default/projects/shop"


async def test_the_bus_ends_a_stream_without_the_clock(world: World) -> None:
    await world.projects.create_project(OrganizationName("default"), "shop")
    await world.users.create_user("anne")
    async with world.store.transaction() as tx:
        await tx.bindings.add(RoleBinding("b1", SHOP, "users/anne", "viewer", tx.now))

    async def again(principal: Principal) -> Principal:
        async with world.store.reading() as tx:
            grants = [
                Grant(binding.scope, BUILT_IN_ROLES[binding.role])
                for binding in await tx.bindings.of([principal.name])
            ]
        return Principal(principal.name, "Anne", Grants.of(grants))

    authorization = Authorization(
        Authorizer(store=world.store, terminal_app=world.terminals.app_of),
        again=again,
        hub=world.hub,
        clock=world.clock,
    )
    call = Call("/x/Watch", "server_stream", {}, "r")
    call.rule = Rule(Access.PERMISSION, Permission.RESOURCES_READ, ("name",))
    call.principal, call.resource = await again(Principal("users/anne", "Anne")), SHOP
    watching = asyncio.create_task(authorization.watch(), name="open-streams")
    await asyncio.sleep(0)
    interrupt = Interrupt()
    with authorization.watching(call, interrupt):
        waiting = asyncio.create_task(interrupt.within(asyncio.Event().wait()))
        async with world.store.transaction() as tx:
            await tx.bindings.delete("b1")
        with pytest.raises(NotFound):
            await asyncio.wait_for(waiting, 30)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
