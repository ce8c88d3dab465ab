"""Logging in, passwords, personal tokens."""

import dataclasses
from datetime import timedelta

import pytest
from argon2 import PasswordHasher

from controlplane.auth.passwords import Passwords
from controlplane.domain.access import Permission
from controlplane.domain.errors import (
    AlreadyExists,
    CredentialsInvalid,
    InvalidField,
    LastOwner,
    NotFound,
    PermissionDenied,
    TooManyAttempts,
)
from controlplane.domain.people import ADMIN_USER
from controlplane.domain.requests import IdempotencyKey, PageRequest
from controlplane.domain.tokens import Principal
from controlplane.services.sessions import SESSION_TTL, SessionService
from controlplane.services.token_maker import IssuedToken, TokenMaker
from tests.unit.controlplane.services.world import World

PASSWORD = "a long enough passphrase"
HERE = "192.0.2.1"


async def anne(world: World) -> Principal:
    await world.users.create_user("anne", password=PASSWORD)
    return await caller(world, await world.logins.login("anne", PASSWORD, address=HERE))


async def caller(world: World, issued: IssuedToken) -> Principal:
    return await world.access.authenticate(issued.secret)


async def token(world: World, owner: Principal, **limits: object) -> Principal:
    given = {"permissions": None, "scope": "", "ttl": None, **limits}
    issued = await world.logins.create_token(owner, "ci", **given)  # type: ignore[arg-type]
    return await caller(world, issued)


async def test_a_login_is_a_session_that_ends(world: World) -> None:
    principal = await anne(world)
    assert principal.name == "users/anne"
    assert principal.grants.grants == ()
    world.clock.advance(SESSION_TTL.total_seconds())
    with pytest.raises(CredentialsInvalid):
        await world.access.again(principal)


@pytest.mark.parametrize(("user", "password"), [("anne", "wrong"), ("nobody", PASSWORD)])
async def test_what_was_wrong_is_not_said(world: World, user: str, password: str) -> None:
    await anne(world)
    with pytest.raises(CredentialsInvalid, match="the user or the password is wrong"):
        await world.logins.login(user, password, address=HERE)


async def test_guessing_is_locked_out(world: World) -> None:
    await anne(world)
    for _ in range(5):
        with pytest.raises(CredentialsInvalid):
            await world.logins.login("anne", "wrong", address=HERE)
    with pytest.raises(TooManyAttempts):
        await world.logins.login("anne", PASSWORD, address=HERE)
    world.clock.advance(30)
    await world.logins.login("anne", PASSWORD, address=HERE)


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaa", "anneanneanne", "x" * 300])
async def test_poor_passwords_are_refused(world: World, password: str) -> None:
    with pytest.raises(InvalidField):
        await world.users.create_user("anne", password=password)


async def test_no_password_is_kept(world: World) -> None:
    await anne(world)
    assert PASSWORD.encode() not in world.path.read_bytes()


async def test_a_new_password_ends_the_other_sessions(world: World) -> None:
    first = await anne(world)
    second = await caller(world, await world.logins.login("anne", PASSWORD, address=HERE))
    with pytest.raises(CredentialsInvalid):
        await world.logins.change_password(first, "wrong", "another passphrase", address=HERE)
    await world.logins.change_password(first, PASSWORD, "another passphrase", address=HERE)
    await world.access.again(first)
    with pytest.raises(CredentialsInvalid):
        await world.access.again(second)
    await world.logins.login("anne", "another passphrase", address=HERE)


async def test_a_hash_with_old_parameters_is_made_again(world: World) -> None:
    await anne(world)
    stronger = SessionService(
        store=world.store,
        tokens=TokenMaker(world.ids),
        passwords=Passwords(PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)),
        guard=world.guard,
        second_factors=world.second_factors,
    )
    await stronger.login("anne", PASSWORD, address=HERE)
    assert "t=2" in ((await world.users.get_user("users/anne")).password_hash or "")


async def test_a_disabled_or_deleted_user_is_out_at_once(world: World) -> None:
    principal = await anne(world)
    await world.users.update_user("users/anne", disabled=True)
    with pytest.raises(CredentialsInvalid):
        await world.access.again(principal)
    with pytest.raises(CredentialsInvalid):
        await world.logins.login("anne", PASSWORD, address=HERE)
    await world.users.update_user("users/anne", disabled=False)
    await world.access.again(principal)
    await world.users.delete_user("users/anne")
    with pytest.raises(CredentialsInvalid):
        await world.access.again(principal)


async def test_a_restricted_token_gains_nothing(world: World) -> None:
    owner = await anne(world)
    await world.members.grant_role(await admin(world), "", owner.name, "owner")
    owner = await world.access.again(owner)
    limited = await token(world, owner, permissions=frozenset({Permission.RESOURCES_READ}))
    assert limited.grants.at("organizations/default") == {Permission.RESOURCES_READ}
    with pytest.raises(PermissionDenied):
        await token(world, limited)
    with pytest.raises(PermissionDenied):
        await world.logins.change_password(limited, PASSWORD, "another passphrase", address=HERE)
    with pytest.raises(PermissionDenied):
        await world.logins.revoke_token(limited, f"{owner.name}/tokens/{owner.credential}")
    await world.logins.revoke_token(limited, f"{owner.name}/tokens/{limited.credential}")
    with pytest.raises(CredentialsInvalid):
        await world.access.again(limited)


async def test_tokens_are_shown_once_listed_and_revoked(world: World) -> None:
    owner = await anne(world)
    key = IdempotencyKey(owner.name, "CreateToken", "0" * 8 + "-0000" * 3 + "-" + "0" * 12, b"x")
    arguments = {"permissions": None, "scope": "", "ttl": timedelta(days=1), "key": key}
    issued = await world.logins.create_token(owner, "ci", **arguments)  # type: ignore[arg-type]
    with pytest.raises(AlreadyExists, match="not shown twice"):
        await world.logins.create_token(owner, "ci", **arguments)  # type: ignore[arg-type]
    await caller(world, issued)
    names = [item.name for item in (await world.logins.list_tokens(owner, PageRequest())).items]
    assert names == [issued.token.name, f"{owner.name}/tokens/{owner.credential}"]
    assert issued.secret.encode() not in world.path.read_bytes()
    with pytest.raises(NotFound):
        await world.logins.revoke_token(await admin(world), issued.token.name)
    await world.logins.revoke_token(owner, issued.token.name)
    assert len((await world.logins.list_tokens(owner, PageRequest())).items) == 1


async def test_the_last_use_is_kept_to_the_minute(world: World) -> None:
    owner = await anne(world)
    issued = await world.logins.create_token(
        owner, "ci", permissions=None, scope="", ttl=timedelta(days=1)
    )
    await caller(world, issued)
    used = (await world.logins.list_tokens(owner, PageRequest())).items[0].last_use_time
    assert used == world.clock.now()
    world.clock.advance(30)
    await caller(world, issued)
    assert (await world.logins.list_tokens(owner, PageRequest())).items[0].last_use_time == used


async def test_the_last_owner_of_the_platform_stays(world: World) -> None:
    with pytest.raises(LastOwner):
        await world.users.delete_user(ADMIN_USER)
    with pytest.raises(LastOwner):
        await world.users.update_user(ADMIN_USER, disabled=True)


async def admin(world: World) -> Principal:
    secret = await world.access.create_token("admin")
    principal = await world.access.authenticate(secret)
    return dataclasses.replace(principal)
