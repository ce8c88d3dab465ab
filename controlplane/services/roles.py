"""Roles: the built-in ones, and those that an organization makes for itself. Called by `api/members`."""

import dataclasses

from controlplane.domain.access import BUILT_IN_ROLES, Permissions
from controlplane.domain.errors import InvalidField, NotFound, ResourceInUse
from controlplane.domain.fields import check_display_name
from controlplane.domain.ids import USER_ID_MAX, IdSource, check_id
from controlplane.domain.names import OrganizationName
from controlplane.domain.people import CustomRole
from controlplane.domain.requests import IdempotencyKey, Page, PageRequest
from controlplane.domain.tokens import Principal
from controlplane.services.etags import check_etag
from controlplane.services.granting import check_not_more
from controlplane.services.idempotency import once
from controlplane.services.organizations import existing_organization
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction


class RoleService:
    """Use cases of custom roles. What one allows is never more than its maker holds in the whole organization."""

    def __init__(self, *, store: Store, ids: IdSource) -> None:
        self._store = store
        self._ids = ids

    async def create_role(
        self,
        granter: Principal,
        parent: OrganizationName,
        role_id: str,
        display_name: str,
        permissions: Permissions,
        *,
        key: IdempotencyKey | None = None,
    ) -> CustomRole:
        """Make a role. Raises InvalidField, NotFound, AlreadyExists, PermissionDenied."""
        check_id("role_id", role_id, USER_ID_MAX)
        check_display_name(display_name)
        if role_id in BUILT_IN_ROLES:
            raise InvalidField.of("role_id", f"{role_id} is a built-in role")
        _check_some(permissions)
        name = f"{parent}/roles/{role_id}"

        async def create() -> str:
            await existing_organization(tx, parent)
            check_not_more(granter.grants, str(parent), permissions)
            role = CustomRole(
                self._ids.new(), name, display_name or role_id, 1, tx.now, tx.now, permissions
            )
            await tx.roles.add(role)
            return name

        async with self._store.transaction() as tx:
            return await _existing(tx, await once(tx, key, str, create))

    async def list_roles(self, parent: OrganizationName, page: PageRequest) -> Page[CustomRole]:
        """An organization's own, by name. Raises NotFound, PageTokenInvalid."""
        async with self._store.reading() as tx:
            await existing_organization(tx, parent)
            return await tx.roles.page(parent.organization, page)

    async def update_role(
        self,
        granter: Principal,
        name: str,
        *,
        display_name: str | None = None,
        permissions: Permissions | None = None,
        etag: str = "",
        key: IdempotencyKey | None = None,
    ) -> CustomRole:
        """Change it for everybody who has it. Raises InvalidField, NotFound, EtagMismatch, PermissionDenied."""
        check_display_name(display_name or "")
        if permissions is not None:
            _check_some(permissions)

        async def change() -> str:
            role = await _existing(tx, name)
            check_etag(etag, role.etag, name)
            # Also what it allowed before: who lacks it must not take it from others.
            wanted = role.permissions if permissions is None else permissions
            home = f"organizations/{role.organization}"
            check_not_more(granter.grants, home, wanted | role.permissions)
            changed = dataclasses.replace(
                role,
                display_name=role.display_name if display_name is None else display_name,
                permissions=wanted,
                generation=role.generation + 1,
                update_time=tx.now,
            )
            await tx.roles.save(changed)
            return name

        async with self._store.transaction() as tx:
            return await _existing(tx, await once(tx, key, str, change))

    async def delete_role(
        self, name: str, *, etag: str = "", key: IdempotencyKey | None = None
    ) -> None:
        """Delete a role that nobody has. Raises NotFound, EtagMismatch, ResourceInUse."""

        async def delete() -> bool:
            role = await _existing(tx, name)
            check_etag(etag, role.etag, name)
            if count := await tx.bindings.count_of_role(name):
                raise ResourceInUse(f"{name} is granted {count} times: take it from those first")
            await tx.roles.delete(role)
            return True

        async with self._store.transaction() as tx:
            await once(tx, key, bool, delete)


async def _existing(tx: Transaction, name: str) -> CustomRole:
    role = await tx.roles.get(name)
    if role is None:
        raise NotFound(name)
    return role


def _check_some(permissions: Permissions) -> None:
    if not permissions:
        raise InvalidField.of("permissions", "is required: a role allows one thing at least")
