"""What somebody holds, and the two limits on handing it out: nobody grants more than they hold, and an owner is always left.

Used by everything that changes who may do what, and by `services/access` for each call.
"""

from collections.abc import Iterable

from controlplane.domain.access import (
    BUILT_IN_ROLES,
    OWNER,
    PLATFORM,
    Grant,
    Grants,
    Permissions,
    scope_of,
)
from controlplane.domain.errors import InvalidField, LastOwner, NotFound, PermissionDenied
from controlplane.domain.names import (
    ClusterName,
    EnvironmentName,
    OrganizationName,
    ProjectName,
)
from controlplane.domain.people import RoleBinding
from controlplane.store.transaction import Transaction


async def grants_of(tx: Transaction, subject: str) -> Grants:
    """Everything that a user, group or service account holds, groups' roles included."""
    subjects = [subject]
    if subject.startswith("users/"):
        subjects += await tx.groups.of_user(subject)
    bindings = await tx.bindings.of(subjects)
    roles = await permissions_of(tx, {binding.role for binding in bindings})
    return Grants.of(
        Grant(binding.scope, roles[binding.role]) for binding in bindings if roles[binding.role]
    )


async def permissions_of(tx: Transaction, roles: Iterable[str]) -> dict[str, Permissions]:
    """What each of these roles allows; one that is gone allows nothing."""
    found: dict[str, Permissions] = {}
    custom = []
    for role in roles:
        if "/" in role:
            custom.append(role)
        found[role] = BUILT_IN_ROLES.get(role, frozenset())
    if custom:
        known = await tx.roles.get_many(custom)
        found.update({name: role.permissions for name, role in known.items()})
    return found


def check_not_more(granter: Grants, scope: str, permissions: Permissions) -> None:
    """Raises PermissionDenied unless the granter holds all of these at the scope."""
    missing = sorted(permissions - granter.at(scope))
    if missing:
        raise PermissionDenied(
            f"nobody grants more than they hold: on {scope or 'the whole platform'} you lack "
            f"{', '.join(missing)}",
            metadata={"permission": missing[0], "resource": scope},
        )


def check_covers(granter: Grants, held: Grants) -> None:
    """Raises PermissionDenied unless the granter holds everything that `held` does."""
    for grant in held.grants:
        check_not_more(granter, grant.scope, grant.permissions)


async def check_owner_left(tx: Transaction, scope: str, *, without: Iterable[str]) -> None:
    """Raises LastOwner when, without these subjects, nobody who can log in would own the platform or the organization."""
    gone = frozenset(without)
    for binding in await tx.bindings.with_role(scope, OWNER):
        if binding.subject not in gone and await _can_act(tx, binding.subject, gone):
            return
    raise LastOwner(
        f"{scope or 'the platform'} would have no owner left: make somebody else an owner first",
        metadata={"resource": scope},
    )


def needs_owner(binding: RoleBinding) -> bool:
    """Whether it is one of those of which one must be left."""
    return binding.role == OWNER and (binding.scope == PLATFORM or is_organization(binding.scope))


def is_organization(scope: str) -> bool:
    """Whether the scope is a whole organization."""
    return scope.startswith("organizations/") and scope.count("/") == 1


async def check_scope(tx: Transaction, scope: str) -> None:
    """Raises NotFound or InvalidField unless roles can be granted there."""
    if scope == PLATFORM:
        return
    found: object | None
    match len(scope.split("/")), scope.split("/")[0]:
        case 2, "organizations":
            found = await tx.organizations.get(OrganizationName.parse(scope, "resource"))
        case 4, "organizations":
            found = await tx.projects.get(ProjectName.parse(scope, "resource"))
        case 6, "organizations":
            found = await tx.environments.get(EnvironmentName.parse(scope, "resource"))
        case 2, "clusters":
            found = await tx.clusters.get(ClusterName.parse(scope, "resource"))
        case _:
            place = scope_of(scope)
            raise InvalidField.of(
                "resource",
                "roles are granted on an organization, a project, an environment or a cluster"
                + (f": on {place}" if place != scope else ""),
            )
    if found is None:
        raise NotFound(scope)


async def is_scope(tx: Transaction, scope: str) -> bool:
    """Whether roles can be granted there now."""
    try:
        await check_scope(tx, scope)
    except (InvalidField, NotFound):
        return False
    return True


async def existing_subject(tx: Transaction, subject: str) -> None:
    """Raises NotFound when there is no such user, group or service account."""
    known = (
        await tx.users.get(subject)
        or await tx.groups.get(subject)
        or await tx.accounts.get(subject)
    )
    if known is None:
        raise NotFound(subject)


async def _can_act(tx: Transaction, subject: str, gone: frozenset[str]) -> bool:
    if subject.startswith("users/"):
        user = await tx.users.get(subject)
        return user is not None and not user.disabled
    if "/groups/" in subject:
        members = (await tx.groups.members([subject]))[subject]
        return any([name not in gone and await _can_act(tx, name, gone) for name in members])
    # A program does not make somebody an owner when the last person has gone.
    return False
