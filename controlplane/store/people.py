"""Organizations, users and role bindings in the database. What changes access touches the topic `ACCESS`, so that open streams are checked again."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, func, insert, or_, select, update

from controlplane.domain.access import EVERYTHING, Visible
from controlplane.domain.names import OrganizationName
from controlplane.domain.people import Organization, RoleBinding, User
from controlplane.domain.requests import Page, PageRequest
from controlplane.store.changes import ACCESS, ChangeRepository
from controlplane.store.connection import Connection
from controlplane.store.page_tokens import Sealed
from controlplane.store.repository import Repository
from controlplane.store.tables import organizations, role_bindings, users
from controlplane.store.visibility import shown


class AccessRepository(Repository):
    """Base of the repositories whose rows decide what callers may do."""

    def __init__(
        self,
        connection: Connection,
        sealed: Sealed,
        changes: ChangeRepository,
        *,
        writable: bool,
    ) -> None:
        super().__init__(connection, sealed, writable=writable)
        self._changes = changes

    def _access_changed(self) -> None:
        self._changes.touch(ACCESS)


class OrganizationRepository(Repository):
    """Reads and writes organizations."""

    async def get(self, name: OrganizationName) -> Organization | None:
        row = await self._row(
            select(organizations).where(organizations.c.organization == name.organization)
        )
        return None if row is None else _organization(row)

    async def page(self, request: PageRequest, visible: Visible = EVERYTHING) -> Page[Organization]:
        return await self._page(
            select(organizations).where(shown(visible, organizations.c.organization)),
            [organizations.c.organization],
            request,
            _organization,
            bound_to="organizations",
        )

    async def add(self, organization: Organization) -> None:
        """Raises AlreadyExists."""
        await self._insert(
            insert(organizations).values(
                uid=organization.uid,
                organization=organization.name.organization,
                display_name=organization.display_name,
                generation=organization.generation,
                create_time=organization.create_time,
                update_time=organization.update_time,
            ),
            str(organization.name),
        )

    async def delete(self, uid: str) -> None:
        await self._run(delete(organizations).where(organizations.c.uid == uid))


class UserRepository(AccessRepository):
    """Reads and writes users."""

    async def get(self, name: str) -> User | None:
        row = await self._row(select(users).where(users.c.name == name))
        return None if row is None else _user(row)

    async def page(self, request: PageRequest) -> Page[User]:
        return await self._page(select(users), [users.c.name], request, _user, bound_to="users")

    async def add(self, user: User) -> None:
        """Raises AlreadyExists."""
        await self._insert(
            insert(users).values(
                uid=user.uid, name=user.name, create_time=user.create_time, **_mutable(user)
            ),
            user.name,
        )

    async def save(self, user: User) -> None:
        """Write what can change."""
        await self._run(update(users).where(users.c.uid == user.uid).values(**_mutable(user)))
        self._access_changed()

    async def delete(self, user: User) -> None:
        await self._run(delete(users).where(users.c.uid == user.uid))
        self._access_changed()


class RoleBindingRepository(AccessRepository):
    """Reads and writes who has which role where."""

    async def of(self, subjects: Sequence[str]) -> Sequence[RoleBinding]:
        """All bindings of these subjects."""
        query = select(role_bindings).where(role_bindings.c.subject.in_(subjects))
        return [_binding(row) for row in await self._rows(query)]

    async def get(self, scope: str, subject: str, role: str) -> RoleBinding | None:
        row = await self._row(
            select(role_bindings).where(
                role_bindings.c.scope == scope,
                role_bindings.c.subject == subject,
                role_bindings.c.role == role,
            )
        )
        return None if row is None else _binding(row)

    async def page(self, scope: str, request: PageRequest) -> Page[RoleBinding]:
        """The bindings at a scope, by subject and role."""
        return await self._page(
            select(role_bindings).where(role_bindings.c.scope == scope),
            [role_bindings.c.subject, role_bindings.c.role],
            request,
            _binding,
            bound_to=f"role-bindings:{scope}",
        )

    async def with_role(self, scope: str, role: str) -> Sequence[RoleBinding]:
        """Who has this role at this very scope."""
        query = select(role_bindings).where(
            role_bindings.c.scope == scope, role_bindings.c.role == role
        )
        return [_binding(row) for row in await self._rows(query)]

    async def count_of_role(self, role: str) -> int:
        query = select(func.count()).where(role_bindings.c.role == role)
        return int(await self._connection.scalar(query) or 0)

    async def add(self, binding: RoleBinding) -> None:
        """Raises AlreadyExists."""
        await self._insert(
            insert(role_bindings).values(
                uid=binding.uid,
                scope=binding.scope,
                subject=binding.subject,
                role=binding.role,
                create_time=binding.create_time,
                origin=binding.origin,
            ),
            f"the role {binding.role} of {binding.subject} on {binding.scope or 'the platform'}",
        )
        self._access_changed()

    async def delete(self, uid: str) -> None:
        await self._run(delete(role_bindings).where(role_bindings.c.uid == uid))
        self._access_changed()

    async def forget_subject(self, subject: str) -> None:
        """Take all roles from somebody who is deleted: another of the same name must not inherit them."""
        await self._run(delete(role_bindings).where(role_bindings.c.subject == subject))
        self._access_changed()

    async def forget_scope(self, scope: str) -> None:
        """Take all roles at a resource that is deleted, and below."""
        await self._run(
            delete(role_bindings).where(
                or_(
                    role_bindings.c.scope == scope,
                    role_bindings.c.scope.startswith(f"{scope}/", autoescape=True),
                )
            )
        )
        self._access_changed()


def _mutable(user: User) -> dict[str, Any]:
    return {
        "display_name": user.display_name,
        "email": user.email,
        "disabled": user.disabled,
        "password_hash": user.password_hash,
        "generation": user.generation,
        "update_time": user.update_time,
    }


def _organization(row: Row[Any]) -> Organization:
    return Organization(
        uid=row.uid,
        name=OrganizationName(row.organization),
        display_name=row.display_name,
        generation=row.generation,
        create_time=row.create_time,
        update_time=row.update_time,
    )


def _user(row: Row[Any]) -> User:
    return User(
        uid=row.uid,
        name=row.name,
        display_name=row.display_name,
        email=row.email,
        disabled=row.disabled,
        password_hash=row.password_hash,
        generation=row.generation,
        create_time=row.create_time,
        update_time=row.update_time,
    )


def _binding(row: Row[Any]) -> RoleBinding:
    return RoleBinding(
        uid=row.uid,
        scope=row.scope,
        subject=row.subject,
        role=row.role,
        create_time=row.create_time,
        origin=row.origin,
    )
