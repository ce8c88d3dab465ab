"""Who may do what: permissions, built-in roles, and the grants of a caller. Pure; read by `auth`, `services/authorization` and the store.

A grant is a set of permissions at a scope, and holds for everything below. A scope is a resource name: `organizations/acme`,
`organizations/acme/projects/shop`, …, `clusters/home`; the empty one is the whole platform.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from controlplane.domain.names import ANY

PLATFORM = ""


class Permission(StrEnum):
    """One thing that a role allows; the values are `platform.v1.Permission` in lower case, with a point."""

    RESOURCES_READ = "resources.read"
    LOGS_READ = "logs.read"
    APPS_DEPLOY = "apps.deploy"
    APPS_DEPLOY_PROTECTED = "apps.deploy_protected"
    CONTAINERS_EXEC = "containers.exec"
    CONTAINERS_EXEC_PROTECTED = "containers.exec_protected"
    SECRETS_WRITE = "secrets.write"
    ENVIRONMENTS_MANAGE = "environments.manage"
    PROJECTS_MANAGE = "projects.manage"
    ORGANIZATIONS_MANAGE = "organizations.manage"
    MEMBERS_MANAGE = "members.manage"
    AUDIT_READ = "audit.read"
    CLUSTERS_MANAGE = "clusters.manage"
    USERS_MANAGE = "users.manage"
    MEMBERS_READ = "members.read"
    VARIABLES_READ = "variables.read"
    VARIABLES_WRITE = "variables.write"

    @classmethod
    def known(cls, words: Iterable[str]) -> "frozenset[Permission]":
        """Those of the words that are permissions; a word of another version allows nothing."""
        return frozenset(item for item in cls if item.value in frozenset(words))


Permissions = frozenset[Permission]

_VIEWER = frozenset(
    {
        Permission.RESOURCES_READ,
        Permission.LOGS_READ,
        Permission.MEMBERS_READ,
        Permission.VARIABLES_READ,
    }
)
_DEVELOPER = _VIEWER | {
    Permission.APPS_DEPLOY,
    Permission.CONTAINERS_EXEC,
    Permission.VARIABLES_WRITE,
    Permission.SECRETS_WRITE,
}
_MAINTAINER = _DEVELOPER | {
    Permission.APPS_DEPLOY_PROTECTED,
    Permission.CONTAINERS_EXEC_PROTECTED,
    Permission.ENVIRONMENTS_MANAGE,
    Permission.PROJECTS_MANAGE,
}
OWNER = "owner"
BUILT_IN_ROLES: Mapping[str, Permissions] = {
    "viewer": _VIEWER,
    "developer": _DEVELOPER,
    "maintainer": _MAINTAINER,
    OWNER: frozenset(Permission),
}


def covers(scope: str, resource: str) -> bool:
    """Whether the resource is the scope or lies below it."""
    return scope in (PLATFORM, resource) or resource.startswith(scope + "/")


def fixed_part(resource: str) -> str:
    """The name up to the first `-`, which stands for any: `organizations/acme/projects/-` is `organizations/acme`."""
    segments = resource.split("/")
    if ANY not in segments:
        return resource
    return "/".join(segments[: segments.index(ANY) - 1])


def scope_of(resource: str) -> str:
    """Where roles can be granted at or above it: the environment of an app, the cluster of an add-on."""
    segments = resource.split("/")
    return "/".join(segments[: 6 if segments[0] == "organizations" else 2])


def environment_of(resource: str) -> str | None:
    """The environment that a resource is or lies in."""
    segments = resource.split("/")
    if len(segments) < 6 or segments[4] != "environments":
        return None
    return "/".join(segments[:6])


@dataclass(frozen=True, slots=True)
class Grant:
    """These permissions at this scope and below."""

    scope: str
    permissions: Permissions


@dataclass(frozen=True, slots=True)
class Visible:
    """What lists show to a caller: all, or what lies at or below these scopes, and the resources that those lie in."""

    everything: bool
    scopes: frozenset[str] = frozenset()

    def shows(self, resource: str) -> bool:
        """Whether the caller may know that the resource exists."""
        return self.everything or any(
            covers(scope, resource) or covers(resource, scope) for scope in self.scopes
        )

    def contains(self, resource: str) -> bool:
        """Whether the resource itself may be read, and not only known to hold something that may."""
        return self.everything or any(covers(scope, resource) for scope in self.scopes)


EVERYTHING = Visible(everything=True)


@dataclass(frozen=True, slots=True)
class Grants:
    """Everything that a caller holds."""

    grants: tuple[Grant, ...] = ()

    @classmethod
    def of(cls, grants: Iterable[Grant]) -> Self:
        return cls(tuple(grants))

    def allows(self, permission: Permission, resource: str) -> bool:
        """Whether the caller holds the permission at the resource."""
        return any(
            permission in grant.permissions and covers(grant.scope, resource)
            for grant in self.grants
        )

    def at(self, resource: str) -> Permissions:
        """Everything that the caller holds at the resource."""
        held: Permissions = frozenset()
        for grant in self.grants:
            if covers(grant.scope, resource):
                held |= grant.permissions
        return held

    def visible(self, permission: Permission = Permission.RESOURCES_READ) -> Visible:
        """Where the caller holds the permission."""
        scopes = frozenset(grant.scope for grant in self.grants if permission in grant.permissions)
        return EVERYTHING if PLATFORM in scopes else Visible(everything=False, scopes=scopes)

    def restricted(self, scope: str, permissions: Permissions | None) -> "Grants":
        """What is left with a token that is good for this scope and these permissions only; None means all."""
        left = []
        for grant in self.grants:
            allowed = grant.permissions if permissions is None else grant.permissions & permissions
            narrowed = (
                grant.scope
                if covers(scope, grant.scope)
                else scope
                if covers(grant.scope, scope)
                else None
            )
            if narrowed is not None and allowed:
                left.append(Grant(narrowed, allowed))
        return Grants(tuple(left))
