"""Whether a caller may do something to a resource, and how a refusal is worded. Called by the authorisation stage for each call.

A resource of which the caller may see nothing is NOT_FOUND, in the words of one that does not exist. One that they see but may
not touch is PERMISSION_DENIED, with what is missing.
"""

from collections.abc import Callable

from controlplane.domain.access import (
    PLATFORM,
    Permission,
    environment_of,
    fixed_part,
)
from controlplane.domain.errors import InvalidField, NotFound, PermissionDenied, TerminalGone
from controlplane.domain.ids import is_ulid
from controlplane.domain.names import EnvironmentName
from controlplane.domain.tokens import Principal
from controlplane.store.database import Store

_ROOTS = ("organizations", "clusters", "users", "serviceAccounts")
_NAME_MAX = 512


class Authorizer:
    """Decides; knows where operations and terminals belong, and which environments are protected."""

    def __init__(self, *, store: Store, terminal_app: Callable[[str], str | None]) -> None:
        self._store = store
        self._terminal_app = terminal_app

    async def check(
        self,
        principal: Principal,
        permission: Permission,
        resource: str | None,
        *,
        field: str = "name",
        protected: Permission | None = None,
        filtered: bool = False,
    ) -> str:
        """Where the resource lies: an operation where its target does. `resource` None is the whole platform. Raises NotFound, PermissionDenied, TerminalGone, InvalidField (no name at all)."""
        if filtered:
            self._check_filtered(principal, permission, resource or PLATFORM, field)
            return resource or PLATFORM
        place = PLATFORM if resource is None else await self._place(principal, resource, field)
        grants = principal.grants
        if not grants.allows(permission, place):
            # An environment's viewer sees the project and organization that it lies in, but may do nothing there.
            if place != PLATFORM and not grants.visible().shows(place):
                raise NotFound(place)
            if permission is not Permission.RESOURCES_READ or place == PLATFORM:
                raise _denied(permission, place)
        if protected and not grants.allows(protected, place) and await self._is_protected(place):
            raise _denied(protected, place, "the environment is protected: ")
        return place

    @staticmethod
    def _check_filtered(
        principal: Principal, permission: Permission, resource: str, field: str
    ) -> None:
        if not resource:
            return
        _check_shape(resource, field)
        if not principal.grants.visible(permission).shows(fixed_part(resource)):
            if not principal.grants.visible().shows(fixed_part(resource)):
                raise NotFound(resource)
            raise _denied(permission, fixed_part(resource))

    async def _place(self, principal: Principal, resource: str, field: str) -> str:
        """Where the resource lies in the tree of scopes."""
        collection, _, uid = resource.partition("/")
        if collection == "operations":
            return await self._of_operation(principal, resource, uid)
        if collection == "terminals" and is_ulid(uid):
            app = self._terminal_app(uid)
            if app is None or not principal.grants.visible().shows(app):
                raise TerminalGone(f"{resource} has ended or never was: open a new one")
            return app
        # Whoever holds the whole platform hears from the service, more exactly, what is wrong with a name.
        if not principal.grants.visible().everything:
            _check_shape(resource, field)
        return resource

    async def _of_operation(self, principal: Principal, resource: str, uid: str) -> str:
        if is_ulid(uid):
            async with self._store.reading() as tx:
                operation = await tx.operations.get(uid)
            if operation is not None:
                if not principal.grants.visible().shows(operation.target):
                    raise NotFound(resource)
                return operation.target
        if principal.grants.visible().everything:
            return PLATFORM
        raise NotFound(resource)

    async def _is_protected(self, resource: str) -> bool:
        environment = environment_of(resource)
        if environment is None:
            return False
        async with self._store.reading() as tx:
            found = await tx.environments.get(EnvironmentName.parse(environment))
        return found is not None and found.protected


def _check_shape(resource: str, field: str) -> None:
    segments = resource.split("/")
    if not resource:
        raise InvalidField.of(field, "is required: it names the resource")
    if (
        len(resource) > _NAME_MAX
        or segments[0] not in _ROOTS
        or len(segments) % 2
        or not all(segments)
    ):
        raise InvalidField.of(field, "is not a resource name such as organizations/acme")


def _denied(permission: Permission, place: str, why: str = "") -> PermissionDenied:
    where = place or "the whole platform"
    return PermissionDenied(
        f"{why}this needs {permission} on {where}: ask an owner of it for a role that has it",
        metadata={"permission": permission, "resource": place},
    )
