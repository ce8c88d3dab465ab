"""Setup links: one first owner, once, and nobody else."""

import pytest

from controlplane.domain.access import PLATFORM, Permission
from controlplane.domain.errors import CredentialsInvalid, InvalidField, SetupCodeInvalid
from controlplane.services.setup import FIRST_TTL, TTL
from tests.unit.controlplane.services.world import World

PASSWORD = "a long enough passphrase"
HERE = "192.0.2.1"


async def first_code(world: World) -> str:
    code = await world.setup.first_code()
    assert code is not None
    return code


async def test_the_link_makes_an_owner_who_has_a_password(world: World) -> None:
    issued = await world.setup.complete(await first_code(world), PASSWORD, user_id="anne")
    principal = await world.access.authenticate(issued.secret)
    assert principal.name == "users/anne"
    assert principal.grants.allows(Permission.USERS_MANAGE, PLATFORM)
    await world.logins.login("anne", PASSWORD, address=HERE)


async def test_without_a_name_it_is_the_administrator(world: World) -> None:
    issued = await world.setup.complete(await first_code(world), PASSWORD)
    assert issued.token.subject == "users/admin"
    await world.logins.login("admin", PASSWORD, address=HERE)


async def test_a_code_works_once(world: World) -> None:
    code = await first_code(world)
    await world.setup.complete(code, PASSWORD)
    with pytest.raises(SetupCodeInvalid):
        await world.setup.complete(code, PASSWORD, user_id="mallory")


async def test_codes_expire(world: World) -> None:
    code = await first_code(world)
    world.clock.advance(FIRST_TTL.total_seconds())
    with pytest.raises(SetupCodeInvalid):
        await world.setup.complete(code, PASSWORD)


@pytest.mark.parametrize("code", ["", "sks_" + "a" * 43])
async def test_other_codes_are_refused(world: World, code: str) -> None:
    await first_code(world)
    with pytest.raises(SetupCodeInvalid):
        await world.setup.complete(code, PASSWORD)


async def test_a_poor_password_leaves_the_code(world: World) -> None:
    code = await first_code(world)
    with pytest.raises(InvalidField):
        await world.setup.complete(code, "short")
    await world.setup.complete(code, PASSWORD)


async def test_each_start_makes_one_until_somebody_is_in(world: World) -> None:
    before = await first_code(world)
    code = await first_code(world)
    with pytest.raises(SetupCodeInvalid):
        await world.setup.complete(before, PASSWORD)
    await world.setup.complete(code, PASSWORD)
    assert await world.setup.first_code() is None


async def test_nobody_is_made_owner_by_a_start_after_the_sessions_are_pruned(world: World) -> None:
    await world.setup.complete(await first_code(world), PASSWORD)
    world.clock.advance(86400 * 365)
    await world.housekeeping.round()
    assert await world.setup.first_code() is None


@pytest.mark.parametrize("way", ["token", "password"])
async def test_whoever_is_in_already_needs_no_link(world: World, way: str) -> None:
    if way == "token":
        await world.access.ensure_admin_token()
    else:
        await world.users.create_user("anne", password=PASSWORD)
    assert await world.setup.first_code() is None


async def test_a_new_link_lets_a_locked_out_owner_in_again(world: World) -> None:
    issued = await world.setup.complete(await first_code(world), PASSWORD, user_id="anne")
    await world.users.update_user("users/anne", disabled=True)
    code = await world.setup.new_code()
    await world.setup.complete(code, "another passphrase", user_id="anne")
    await world.logins.login("anne", "another passphrase", address=HERE)
    with pytest.raises(CredentialsInvalid):
        await world.access.authenticate(issued.secret)
    late = await world.setup.new_code()
    world.clock.advance(TTL.total_seconds())
    with pytest.raises(SetupCodeInvalid):
        await world.setup.complete(late, PASSWORD)


async def test_no_code_is_kept(world: World) -> None:
    code = await first_code(world)
    assert code.encode() not in world.path.read_bytes()


async def test_codes_that_ended_are_forgotten(world: World) -> None:
    await first_code(world)
    world.clock.advance(FIRST_TTL.total_seconds() + 1)
    async with world.store.transaction() as tx:
        assert await tx.setup_codes.prune(tx.now) == 1
