"""Groups of users. Called by `api/members`, and by single sign-on, which puts people into groups."""

import dataclasses

from controlplane.domain.errors import NotFound
from controlplane.domain.fields import check_display_name
from controlplane.domain.ids import USER_ID_MAX, IdSource, check_id
from controlplane.domain.names import OrganizationName
from controlplane.domain.people import Group
from controlplane.domain.requests import IdempotencyKey, Page, PageRequest
from controlplane.domain.tokens import Principal
from controlplane.services.etags import check_etag
from controlplane.services.granting import check_covers, check_owner_left, grants_of, needs_owner
from controlplane.services.idempotency import once
from controlplane.services.organizations import existing_organization
from controlplane.services.users import existing_user
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction


class GroupService:
    """Use cases of groups."""

    def __init__(self, *, store: Store, ids: IdSource) -> None:
        self._store = store
        self._ids = ids

    async def create_group(
        self,
        parent: OrganizationName,
        group_id: str,
        display_name: str = "",
        *,
        key: IdempotencyKey | None = None,
    ) -> Group:
        """Make an empty group. Raises InvalidField, NotFound, AlreadyExists."""
        check_id("group_id", group_id, USER_ID_MAX)
        check_display_name(display_name)
        name = f"{parent}/groups/{group_id}"

        async def create() -> Group:
            await existing_organization(tx, parent)
            group = Group(self._ids.new(), name, display_name or group_id, 1, tx.now, tx.now)
            await tx.groups.add(group)
            return group

        async with self._store.transaction() as tx:
            return await once(tx, key, Group, create)

    async def get_group(self, name: str) -> Group:
        """Read one with its members. Raises NotFound."""
        async with self._store.reading() as tx:
            return await existing_group(tx, name)

    async def list_groups(self, parent: OrganizationName, page: PageRequest) -> Page[Group]:
        """By name. Raises NotFound, PageTokenInvalid."""
        async with self._store.reading() as tx:
            await existing_organization(tx, parent)
            found = await tx.groups.page(parent.organization, page)
            members = await tx.groups.members([group.name for group in found.items])
        return Page(
            tuple(dataclasses.replace(group, members=members[group.name]) for group in found.items),
            found.next_token,
        )

    async def add_member(
        self, granter: Principal, name: str, user: str, *, key: IdempotencyKey | None = None
    ) -> Group:
        """Put a user in. Raises NotFound, AlreadyExists, PermissionDenied (the group holds more than the granter)."""

        async def add() -> Group:
            await existing_group(tx, name)
            await existing_user(tx, user)
            check_covers(granter.grants, await grants_of(tx, name))
            await tx.groups.add_member(name, user)
            return await _touched(tx, name)

        async with self._store.transaction() as tx:
            return await once(tx, key, Group, add)

    async def remove_member(
        self, granter: Principal, name: str, user: str, *, key: IdempotencyKey | None = None
    ) -> Group:
        """Take a user out. Raises NotFound, LastOwner, PermissionDenied."""

        async def remove() -> Group:
            await existing_group(tx, name)
            check_covers(granter.grants, await grants_of(tx, name))
            if not await tx.groups.remove_member(name, user):
                raise NotFound(user, f"{user} is not in {name}")
            await _check_owners_of(tx, name)
            return await _touched(tx, name)

        async with self._store.transaction() as tx:
            return await once(tx, key, Group, remove)

    async def delete_group(
        self, granter: Principal, name: str, *, etag: str = "", key: IdempotencyKey | None = None
    ) -> None:
        """Delete a group and its roles. Raises NotFound, EtagMismatch, LastOwner, PermissionDenied."""

        async def delete() -> bool:
            group = await existing_group(tx, name)
            check_etag(etag, group.etag, name)
            check_covers(granter.grants, await grants_of(tx, name))
            await _check_owners_of(tx, name, without=name)
            await tx.bindings.forget_subject(name)
            await tx.groups.delete(group)
            return True

        async with self._store.transaction() as tx:
            await once(tx, key, bool, delete)


async def existing_group(tx: Transaction, name: str) -> Group:
    """The group with its members, or NotFound."""
    group = await tx.groups.get(name)
    if group is None:
        raise NotFound(name)
    return dataclasses.replace(group, members=(await tx.groups.members([name]))[name])


async def _touched(tx: Transaction, name: str) -> Group:
    group = await existing_group(tx, name)
    changed = dataclasses.replace(group, generation=group.generation + 1, update_time=tx.now)
    await tx.groups.save(changed)
    return changed


async def _check_owners_of(tx: Transaction, group: str, *, without: str = "") -> None:
    for binding in await tx.bindings.of([group]):
        if needs_owner(binding):
            await check_owner_left(tx, binding.scope, without=[without])
