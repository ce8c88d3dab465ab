"""Who has which role where. Called by `api/members`."""

from controlplane.domain.errors import InvalidField, NotFound
from controlplane.domain.ids import IdSource
from controlplane.domain.people import RoleBinding
from controlplane.domain.requests import IdempotencyKey, Page, PageRequest
from controlplane.domain.tokens import Principal
from controlplane.services.granting import (
    check_not_more,
    check_owner_left,
    check_scope,
    existing_subject,
    needs_owner,
    permissions_of,
)
from controlplane.services.idempotency import once
from controlplane.store.database import Store


class MemberService:
    """Use cases of role bindings."""

    def __init__(self, *, store: Store, ids: IdSource) -> None:
        self._store = store
        self._ids = ids

    async def grant_role(
        self,
        granter: Principal,
        scope: str,
        subject: str,
        role: str,
        *,
        key: IdempotencyKey | None = None,
    ) -> RoleBinding:
        """Give a role. Raises InvalidField, NotFound, AlreadyExists, PermissionDenied (more than the granter holds)."""

        async def grant() -> RoleBinding:
            await check_scope(tx, scope)
            await existing_subject(tx, subject)
            _check_home(scope, subject, "subject")
            _check_home(scope, role, "role")
            permissions = (await permissions_of(tx, [role]))[role]
            if not permissions:
                raise NotFound(role or "the role")
            check_not_more(granter.grants, scope, permissions)
            held = await tx.bindings.get(scope, subject, role)
            if held is not None and held.origin:
                # What came from outside and may go again becomes a person's decision.
                await tx.bindings.delete(held.uid)
            binding = RoleBinding(self._ids.new(), scope, subject, role, tx.now)
            await tx.bindings.add(binding)
            return binding

        async with self._store.transaction() as tx:
            return await once(tx, key, RoleBinding, grant)

    async def revoke_role(
        self,
        granter: Principal,
        scope: str,
        subject: str,
        role: str,
        *,
        key: IdempotencyKey | None = None,
    ) -> None:
        """Take a role. Raises NotFound, LastOwner, PermissionDenied (more than the granter holds)."""

        async def revoke() -> bool:
            binding = await tx.bindings.get(scope, subject, role)
            if binding is None:
                raise NotFound(f"{role} of {subject} on {scope or 'the platform'}")
            check_not_more(granter.grants, scope, (await permissions_of(tx, [role]))[role])
            await tx.bindings.delete(binding.uid)
            if needs_owner(binding):
                await check_owner_left(tx, scope, without=())
            return True

        async with self._store.transaction() as tx:
            await once(tx, key, bool, revoke)

    async def list_members(self, scope: str, page: PageRequest) -> Page[RoleBinding]:
        """The roles granted at this very scope. Raises NotFound, InvalidField, PageTokenInvalid."""
        async with self._store.reading() as tx:
            await check_scope(tx, scope)
            return await tx.bindings.page(scope, page)


def _check_home(scope: str, name: str, field: str) -> None:
    """What an organization made is used inside of it, or on clusters and the platform by those who own these."""
    if not name.startswith("organizations/") or not scope.startswith("organizations/"):
        return
    home = "/".join(name.split("/")[:2])
    if "/".join(scope.split("/")[:2]) != home:
        raise InvalidField.of(
            field, f"belongs to {home} and cannot be used in another organization"
        )
