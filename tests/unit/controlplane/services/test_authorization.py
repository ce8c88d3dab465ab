"""Who may see nothing of a resource hears that it is not there; who may see it hears what is missing."""

import pytest

from controlplane.domain.access import BUILT_IN_ROLES, Grant, Grants, Permission
from controlplane.domain.errors import (
    InvalidField,
    NotFound,
    PermissionDenied,
    SkerryError,
    TerminalGone,
)
from controlplane.domain.names import OrganizationName, ProjectName
from controlplane.domain.people import ADMIN_USER
from controlplane.domain.requests import PageRequest
from controlplane.domain.tokens import Principal
from controlplane.services.authorization import Authorizer
from tests.unit.controlplane.services.world import ORGANIZATION, PROD, World

READ, DEPLOY = Permission.RESOURCES_READ, Permission.APPS_DEPLOY
PROTECTED = Permission.APPS_DEPLOY_PROTECTED
NO_ULID = "terminals/nonsense"
SOME_ULID = "0" * 26


def caller(role: str, scope: str) -> Principal:
    return Principal("users/anne", "Anne", Grants.of([Grant(scope, BUILT_IN_ROLES[role])]))


def authorizer(world: World) -> Authorizer:
    return Authorizer(store=world.store, terminal_app=world.terminals.app_of)


@pytest.mark.parametrize(
    ("role", "scope", "permission", "resource", "refusal"),
    [
        ("developer", f"{PROD}", DEPLOY, f"{PROD}/apps/web", None),
        ("viewer", f"{PROD}", DEPLOY, f"{PROD}/apps/web", PermissionDenied),
        ("owner", "organizations/other", DEPLOY, f"{PROD}/apps/web", NotFound),
        ("owner", "organizations/other", READ, f"{PROD}", NotFound),
        # What one's environment lies in may be read, and nothing else.
        ("viewer", f"{PROD}", READ, f"{ORGANIZATION}", None),
        ("owner", f"{PROD}", Permission.PROJECTS_MANAGE, f"{ORGANIZATION}", PermissionDenied),
        ("owner", f"{ORGANIZATION}", Permission.CLUSTERS_MANAGE, None, PermissionDenied),
        ("owner", f"{ORGANIZATION}", READ, "clusters/home", NotFound),
        ("owner", f"{ORGANIZATION}", READ, "users/anne", NotFound),
        ("owner", f"{ORGANIZATION}", READ, "", InvalidField),
        ("owner", f"{ORGANIZATION}", READ, "organizations/default/projects", InvalidField),
        ("owner", f"{ORGANIZATION}", READ, "files/etc", InvalidField),
        ("owner", f"{ORGANIZATION}", READ, f"operations/{SOME_ULID}", NotFound),
        ("owner", "", DEPLOY, f"terminals/{SOME_ULID}", TerminalGone),
        ("viewer", "clusters/home", READ, "clusters/home", None),
    ],
)
async def test_decisions(
    world: World,
    role: str,
    scope: str,
    permission: Permission,
    resource: str | None,
    refusal: type[SkerryError] | None,
) -> None:
    check = authorizer(world).check(caller(role, scope), permission, resource)
    if refusal is None:
        await check
    else:
        with pytest.raises(refusal):
            await check


async def test_a_foreign_resource_and_a_missing_one_are_answered_alike(world: World) -> None:
    await world.joined_cluster()
    await world.environment()
    check = authorizer(world).check
    answers = []
    for name in (f"{PROD}", f"{PROD}".replace("prod", "nope")):
        with pytest.raises(NotFound) as refusal:
            await check(caller("owner", "organizations/other"), READ, name)
        answers.append(refusal.value.message.replace(name, ""))
    with pytest.raises(NotFound) as missing:
        await world.environments.get_environment(PROD.parse(f"{PROD}".replace("prod", "nope")))
    assert answers == [missing.value.message.replace(f"{PROD}".replace("prod", "nope"), "")] * 2


async def test_a_protected_environment_asks_for_more(world: World) -> None:
    await world.joined_cluster()
    await world.environment()
    check, anne = authorizer(world).check, caller("developer", f"{ORGANIZATION}")
    await check(anne, DEPLOY, f"{PROD}/apps/web", protected=PROTECTED)
    await world.environments.update_environment(PROD, protected=True)
    with pytest.raises(PermissionDenied, match="protected"):
        await check(anne, DEPLOY, f"{PROD}/apps/web", protected=PROTECTED)
    await check(
        caller("maintainer", f"{ORGANIZATION}"), DEPLOY, f"{PROD}/apps/web", protected=PROTECTED
    )


async def test_operations_belong_to_what_they_work_on(world: World) -> None:
    await world.joined_cluster()
    await world.environment()
    operation = (await world.operations.list_operations(PageRequest())).items[0]
    name = f"operations/{operation.uid}"
    await authorizer(world).check(caller("viewer", f"{PROD}"), READ, name)
    with pytest.raises(NotFound):
        await authorizer(world).check(caller("owner", "organizations/other"), READ, name)


async def test_pages_are_full_of_what_one_may_see(world: World) -> None:
    for number in range(6):
        await world.projects.create_project(ORGANIZATION, f"p{number}")
    wanted = [f"{ProjectName('default', f'p{number}')}" for number in (1, 3, 5)]
    visible = Grants.of(Grant(name, BUILT_IN_ROLES["viewer"]) for name in wanted).visible()
    seen, token = [], ""
    while True:
        page = await world.projects.list_projects(
            ORGANIZATION, PageRequest(2, token), visible=visible
        )
        seen += [f"{item.name}" for item in page.items]
        token = page.next_token
        if not token:
            break
        assert len(page.items) == 2
    assert seen == wanted


async def test_lists_show_nothing_of_others(world: World) -> None:
    await world.joined_cluster()
    await world.environment()
    foreign = caller("owner", "organizations/other").grants.visible()
    page = PageRequest()
    lists = [
        await world.projects.list_projects(ORGANIZATION, page, visible=foreign),
        await world.environments.list_environments(PROD.parent, page, visible=foreign),
        await world.apps.list_apps(PROD, page, visible=foreign),
        await world.clusters.list_clusters(page, visible=foreign),
        await world.operations.list_operations(page, visible=foreign),
        await world.organizations.list_organizations(page, visible=foreign),
    ]
    assert [found.items for found in lists] == [()] * 6


async def test_whoever_makes_an_organization_owns_it(world: World) -> None:
    await world.organizations.create_organization("acme", owner="users/anne")
    async with world.store.reading() as tx:
        assert [item.role for item in await tx.bindings.of(["users/anne"])] == ["owner"]
    await world.organizations.delete_organization(OrganizationName("acme"))
    async with world.store.reading() as tx:
        assert await tx.bindings.of(["users/anne"]) == []
        assert [item.scope for item in await tx.bindings.of([ADMIN_USER])] == [""]
