"""Logins by code: the rules of RFC 8628, and what they must not give away."""

import dataclasses
from datetime import timedelta

import pytest

from controlplane.domain.audit import AuditAction, AuditFilter
from controlplane.domain.devices import DeviceState, new_user_code, typed
from controlplane.domain.errors import (
    CredentialsInvalid,
    InvalidField,
    NotFound,
    PermissionDenied,
    RateLimited,
    TooManyAttempts,
)
from controlplane.domain.requests import PageRequest
from controlplane.domain.tokens import Principal
from controlplane.services.device_logins import INTERVAL, TTL, Polled, StartedLogin
from tests.unit.controlplane.services.world import World

PASSWORD = "a long enough passphrase"
HERE, THERE = "192.0.2.1", "192.0.2.2"


async def anne(world: World) -> Principal:
    await world.users.create_user("anne", password=PASSWORD)
    issued = await world.logins.login("anne", PASSWORD, address=HERE)
    return await world.access.authenticate(issued.secret)


async def poll(world: World, started: StartedLogin) -> Polled:
    return await world.device_logins.poll(started.secret, AuditAction("d/Poll", THERE, "c"))


async def start(world: World, address: str = THERE) -> StartedLogin:
    return await world.device_logins.start("skerry on laptop", address=address)


async def test_an_approved_program_gets_a_session_once(world: World) -> None:
    caller = await anne(world)
    started = await start(world)
    assert (await poll(world, started)).state is DeviceState.PENDING
    shown = await world.device_logins.get(caller, started.login.user_code, address=HERE)
    assert (shown.client, shown.address) == ("skerry on laptop", THERE)
    await world.device_logins.approve(caller, started.login.user_code.lower(), address=HERE)
    world.clock.advance(INTERVAL.total_seconds())
    polled = await poll(world, started)
    assert polled.state is DeviceState.APPROVED
    assert polled.issued is not None
    assert (await world.access.authenticate(polled.issued.secret)).name == "users/anne"
    with pytest.raises(CredentialsInvalid):
        await poll(world, started)
    async with world.store.reading() as tx:
        entries = (await tx.audit.page(AuditFilter(), PageRequest())).items
    assert [(entry.actor, entry.method) for entry, _ in entries] == [("users/anne", "d/Poll")]


async def test_who_asks_too_often_has_to_wait_longer(world: World) -> None:
    started = await start(world)
    assert (await poll(world, started)).interval == INTERVAL
    assert await poll(world, started) == Polled(DeviceState.SLOW_DOWN, timedelta(seconds=10))
    world.clock.advance(9)
    assert await poll(world, started) == Polled(DeviceState.SLOW_DOWN, timedelta(seconds=15))
    world.clock.advance(15)
    assert await poll(world, started) == Polled(DeviceState.PENDING, timedelta(seconds=15))


async def test_a_denied_program_stays_out(world: World) -> None:
    caller = await anne(world)
    started = await start(world)
    await world.device_logins.deny(caller, started.login.user_code, address=HERE)
    assert (await poll(world, started)).state is DeviceState.DENIED
    with pytest.raises(NotFound):
        await world.device_logins.approve(caller, started.login.user_code, address=HERE)


@pytest.mark.parametrize("approved", [False, True])
async def test_codes_expire(world: World, approved: bool) -> None:
    caller = await anne(world)
    started = await start(world)
    if approved:
        await world.device_logins.approve(caller, started.login.user_code, address=HERE)
    world.clock.advance(TTL.total_seconds())
    assert (await poll(world, started)).state is DeviceState.EXPIRED
    with pytest.raises(NotFound):
        await world.device_logins.get(caller, started.login.user_code, address=HERE)
    world.clock.advance(1)
    await world.housekeeping.round()
    with pytest.raises(CredentialsInvalid):
        await poll(world, started)


async def test_guessing_codes_is_slowed_and_locks_nobody_out(world: World) -> None:
    caller = await anne(world)
    with pytest.raises(InvalidField):
        await world.device_logins.get(caller, " ", address=HERE)
    for _ in range(5):
        with pytest.raises(NotFound):
            await world.device_logins.get(caller, "BBBB-BBBB", address=HERE)
    with pytest.raises(TooManyAttempts):
        await world.device_logins.approve(caller, "BBBB-BBBB", address=HERE)
    await world.logins.login("anne", PASSWORD, address=THERE)


async def test_a_session_outlives_its_approver_s_not(world: World) -> None:
    caller = await anne(world)
    end = world.clock.now() + timedelta(hours=1)
    started = await start(world)
    short = dataclasses.replace(caller, expire_time=end)
    await world.device_logins.approve(short, started.login.user_code, address=HERE)
    polled = await poll(world, started)
    assert polled.issued is not None
    assert polled.issued.token.expire_time == end


async def test_restricted_tokens_and_service_accounts_let_nobody_in(world: World) -> None:
    caller = await anne(world)
    started = await start(world)
    for other in (
        dataclasses.replace(caller, restricted=True),
        dataclasses.replace(caller, name="organizations/default/serviceAccounts/ci"),
    ):
        with pytest.raises(PermissionDenied):
            await world.device_logins.approve(other, started.login.user_code, address=HERE)
    assert (await poll(world, started)).state is DeviceState.PENDING


@pytest.mark.parametrize("fate", ["disabled", "deleted", "deleted and made again"])
async def test_whoever_is_out_has_let_nobody_in(world: World, fate: str) -> None:
    caller = await anne(world)
    started = await start(world)
    await world.device_logins.approve(caller, started.login.user_code, address=HERE)
    if fate == "disabled":
        await world.users.update_user(caller.name, disabled=True)
    else:
        await world.users.delete_user(caller.name)
    if fate == "deleted and made again":
        await world.users.create_user("anne", password=PASSWORD)
    with pytest.raises(CredentialsInvalid):
        await poll(world, started)


async def test_strangers_cannot_fill_the_database(world: World) -> None:
    for _ in range(20):
        await start(world)
    with pytest.raises(RateLimited):
        await start(world)
    await start(world, HERE)
    world.clock.advance(TTL.total_seconds() + 1)
    await start(world)
    with pytest.raises(InvalidField):
        await world.device_logins.start("x" * 101, address=HERE)


async def test_no_secret_is_kept(world: World) -> None:
    started = await start(world)
    assert started.secret.encode() not in world.path.read_bytes()
    assert started.secret not in repr(started)


def test_codes_are_read_as_people_type_them() -> None:
    code = new_user_code()
    assert typed(code.lower().replace("-", " ")) == code
