"""Groups, custom roles and service accounts in the database: what an organization makes for its members."""

from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

from sqlalchemy import Row, Table, delete, insert, select, update

from controlplane.domain.access import Permission
from controlplane.domain.people import CustomRole, Group, OrganizationItem, ServiceAccount
from controlplane.domain.requests import Page, PageRequest
from controlplane.store.people import AccessRepository
from controlplane.store.tables import custom_roles, group_members, groups, service_accounts

Item = TypeVar("Item", bound=OrganizationItem)


class _ItemRepository(AccessRepository, Generic[Item]):
    """Reads and writes one kind of item."""

    table: ClassVar[Table]

    async def get(self, name: str) -> Item | None:
        row = await self._row(select(self.table).where(self.table.c.name == name))
        return None if row is None else self._item(row)

    async def page(self, organization: str, request: PageRequest) -> Page[Item]:
        """An organization's, by name."""
        return await self._page(
            select(self.table).where(self.table.c.organization == organization),
            [self.table.c.name],
            request,
            self._item,
            bound_to=f"{self.table.name}:{organization}",
        )

    async def add(self, item: Item) -> None:
        """Raises AlreadyExists."""
        await self._insert(
            insert(self.table).values(
                uid=item.uid,
                organization=item.organization,
                name=item.name,
                create_time=item.create_time,
                **self._mutable(item),
            ),
            item.name,
        )

    async def save(self, item: Item) -> None:
        """Write what can change."""
        await self._run(
            update(self.table).where(self.table.c.uid == item.uid).values(**self._mutable(item))
        )
        self._access_changed()

    async def delete(self, item: Item) -> None:
        await self._run(delete(self.table).where(self.table.c.uid == item.uid))
        self._access_changed()

    def _item(self, row: Row[Any]) -> Item:
        raise NotImplementedError

    def _mutable(self, item: Item) -> dict[str, Any]:
        return {
            "display_name": item.display_name,
            "generation": item.generation,
            "update_time": item.update_time,
        }


def _common(row: Row[Any]) -> dict[str, Any]:
    return {
        "uid": row.uid,
        "name": row.name,
        "display_name": row.display_name,
        "generation": row.generation,
        "create_time": row.create_time,
        "update_time": row.update_time,
    }


class GroupRepository(_ItemRepository[Group]):
    """Reads and writes groups; their members are read by `members`."""

    table = groups

    def _item(self, row: Row[Any]) -> Group:
        return Group(**_common(row))

    async def members(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The members of each of these groups, by name."""
        found: dict[str, tuple[str, ...]] = dict.fromkeys(names, ())
        query = (
            select(group_members)
            .where(group_members.c.group_name.in_(names))
            .order_by(group_members.c.user_name)
        )
        for row in await self._rows(query):
            found[row.group_name] = (*found[row.group_name], row.user_name)
        return found

    async def of_user(self, user: str) -> Sequence[str]:
        """The groups that a user is in."""
        query = select(group_members.c.group_name).where(group_members.c.user_name == user)
        return [row.group_name for row in await self._rows(query)]

    async def add_member(self, group: str, user: str) -> None:
        """Raises AlreadyExists."""
        await self._insert(
            insert(group_members).values(group_name=group, user_name=user),
            f"{user} in {group}",
        )
        self._access_changed()

    async def remove_member(self, group: str, user: str) -> int:
        """Returns how many there were: 0 or 1."""
        self._access_changed()
        return await self._run(
            delete(group_members).where(
                group_members.c.group_name == group, group_members.c.user_name == user
            )
        )


class CustomRoleRepository(_ItemRepository[CustomRole]):
    """Reads and writes custom roles."""

    table = custom_roles

    def _item(self, row: Row[Any]) -> CustomRole:
        return CustomRole(**_common(row), permissions=Permission.known(row.permissions))

    async def get_many(self, names: Sequence[str]) -> dict[str, CustomRole]:
        rows = await self._rows(select(custom_roles).where(custom_roles.c.name.in_(names)))
        return {row.name: self._item(row) for row in rows}

    def _mutable(self, item: CustomRole) -> dict[str, Any]:
        return {**super()._mutable(item), "permissions": sorted(item.permissions)}


class ServiceAccountRepository(_ItemRepository[ServiceAccount]):
    """Reads and writes service accounts."""

    table = service_accounts

    def _item(self, row: Row[Any]) -> ServiceAccount:
        return ServiceAccount(**_common(row))
