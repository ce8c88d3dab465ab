"""Roles, groups and service accounts: nobody grants more than they hold, and an owner is always left."""

import pytest

from controlplane.domain.access import BUILT_IN_ROLES, Grant, Grants, Permission
from controlplane.domain.errors import (
    CredentialsInvalid,
    InvalidField,
    LastOwner,
    NotFound,
    PermissionDenied,
    ResourceInUse,
)
from controlplane.domain.names import OrganizationName
from controlplane.domain.people import ADMIN_USER
from controlplane.domain.requests import PageRequest
from controlplane.domain.tokens import Principal
from controlplane.services.granting import grants_of
from tests.unit.controlplane.services.world import World

ACME = OrganizationName("acme")
GROUP = f"{ACME}/groups/ops"
ROLE = f"{ACME}/roles/deployer"
ACCOUNT = f"{ACME}/serviceAccounts/ci"
DEPLOY = Permission.APPS_DEPLOY
ADMIN = Principal(ADMIN_USER, "admin", Grants.of([Grant("", BUILT_IN_ROLES["owner"])]))
# May hand out roles, and holds little itself.
CLERK = Principal(
    "users/clerk",
    "Clerk",
    Grants.of(
        [Grant(str(ACME), frozenset({Permission.MEMBERS_MANAGE, Permission.RESOURCES_READ}))]
    ),
)


@pytest.fixture
async def acme(world: World) -> World:
    for user in ("anne", "bob", "clerk"):
        await world.users.create_user(user)
    await world.organizations.create_organization("acme", owner="users/anne")
    await world.groups.create_group(ACME, "ops")
    await world.accounts.create_account(ACME, "ci")
    return world


async def held(world: World, subject: str) -> Grants:
    async with world.store.reading() as tx:
        return await grants_of(tx, subject)


async def test_a_group_passes_its_roles_on(acme: World) -> None:
    await acme.members.grant_role(ADMIN, str(ACME), GROUP, "developer")
    await acme.groups.add_member(ADMIN, GROUP, "users/bob")
    assert (await acme.groups.get_group(GROUP)).members == ("users/bob",)
    assert (await held(acme, "users/bob")).allows(DEPLOY, f"{ACME}/projects/shop")
    await acme.groups.remove_member(ADMIN, GROUP, "users/bob")
    assert not (await held(acme, "users/bob")).grants


async def test_a_custom_role_allows_what_it_says_until_it_is_changed(acme: World) -> None:
    await acme.roles.create_role(ADMIN, ACME, "deployer", "", frozenset({DEPLOY}))
    await acme.members.grant_role(ADMIN, str(ACME), "users/bob", ROLE)
    assert (await held(acme, "users/bob")).at(str(ACME)) == {DEPLOY}
    await acme.roles.update_role(ADMIN, ROLE, permissions=frozenset({Permission.LOGS_READ}))
    assert (await held(acme, "users/bob")).at(str(ACME)) == {Permission.LOGS_READ}
    with pytest.raises(ResourceInUse):
        await acme.roles.delete_role(ROLE)
    await acme.members.revoke_role(ADMIN, str(ACME), "users/bob", ROLE)
    await acme.roles.delete_role(ROLE)


async def test_nobody_grants_more_than_they_hold(acme: World) -> None:
    with pytest.raises(PermissionDenied, match="nobody grants more"):
        await acme.members.grant_role(CLERK, str(ACME), "users/bob", "developer")
    with pytest.raises(PermissionDenied):
        await acme.roles.create_role(CLERK, ACME, "deployer", "", frozenset({DEPLOY}))
    await acme.roles.create_role(ADMIN, ACME, "deployer", "", frozenset({DEPLOY}))
    with pytest.raises(PermissionDenied):
        await acme.roles.update_role(
            CLERK, ROLE, permissions=frozenset({Permission.RESOURCES_READ})
        )
    await acme.members.grant_role(ADMIN, str(ACME), GROUP, "developer")
    await acme.members.grant_role(ADMIN, str(ACME), ACCOUNT, "developer")
    with pytest.raises(PermissionDenied):
        await acme.groups.add_member(CLERK, GROUP, "users/clerk")
    with pytest.raises(PermissionDenied):
        await acme.accounts.create_token(
            CLERK, ACCOUNT, "mine", permissions=None, scope="", ttl=None
        )
    with pytest.raises(PermissionDenied):
        await acme.members.revoke_role(CLERK, str(ACME), "users/anne", "owner")
    assert await held(acme, "users/bob") == Grants()


async def test_the_last_owner_of_an_organization_stays(acme: World) -> None:
    with pytest.raises(LastOwner):
        await acme.members.revoke_role(ADMIN, str(ACME), "users/anne", "owner")
    with pytest.raises(LastOwner):
        await acme.users.delete_user("users/anne")
    # A group of owners will do, as long as somebody is in it.
    await acme.members.grant_role(ADMIN, str(ACME), GROUP, "owner")
    with pytest.raises(LastOwner):
        await acme.members.revoke_role(ADMIN, str(ACME), "users/anne", "owner")
    await acme.groups.add_member(ADMIN, GROUP, "users/bob")
    await acme.members.revoke_role(ADMIN, str(ACME), "users/anne", "owner")
    with pytest.raises(LastOwner):
        await acme.groups.remove_member(ADMIN, GROUP, "users/bob")
    with pytest.raises(LastOwner):
        await acme.groups.delete_group(ADMIN, GROUP)


@pytest.mark.parametrize(
    ("scope", "subject", "role", "error"),
    [
        ("organizations/acme", "users/nobody", "viewer", NotFound),
        ("organizations/acme", "users/bob", "king", NotFound),
        ("organizations/nope", "users/bob", "viewer", NotFound),
        ("organizations/default", GROUP, "viewer", InvalidField),
        ("organizations/acme/groups/ops", "users/bob", "viewer", InvalidField),
        ("operations/x/y", "users/bob", "viewer", InvalidField),
        ("clusters/nope", "users/bob", "viewer", NotFound),
    ],
)
async def test_what_cannot_be_granted(
    acme: World, scope: str, subject: str, role: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await acme.members.grant_role(ADMIN, scope, subject, role)


async def test_a_service_account_has_its_own_tokens(acme: World) -> None:
    await acme.members.grant_role(ADMIN, str(ACME), ACCOUNT, "developer")
    issued = await acme.accounts.create_token(
        ADMIN, ACCOUNT, "ci", permissions=frozenset({DEPLOY}), scope="", ttl=None
    )
    principal = await acme.access.authenticate(issued.secret)
    assert principal.name == ACCOUNT
    assert principal.grants.at(f"{ACME}/projects/x") == {DEPLOY}
    assert [
        item.name for item in (await acme.accounts.list_tokens(ACCOUNT, PageRequest())).items
    ] == [issued.token.name]
    await acme.accounts.revoke_token(issued.token.name)
    with pytest.raises(CredentialsInvalid):
        await acme.access.again(principal)


async def test_who_is_deleted_leaves_nothing_to_a_namesake(acme: World) -> None:
    await acme.members.grant_role(ADMIN, str(ACME), "users/bob", "developer")
    await acme.members.grant_role(ADMIN, str(ACME), ACCOUNT, "developer")
    await acme.users.delete_user("users/bob")
    await acme.accounts.delete_account(ADMIN, ACCOUNT)
    await acme.users.create_user("bob")
    await acme.accounts.create_account(ACME, "ci")
    assert await held(acme, "users/bob") == Grants()
    assert await held(acme, ACCOUNT) == Grants()
