"""Organizations: create, read, list, delete. Called by `api/organizations`."""

from controlplane.domain.access import EVERYTHING, OWNER, Visible
from controlplane.domain.errors import NotFound, ResourceInUse
from controlplane.domain.fields import check_display_name
from controlplane.domain.ids import ORGANIZATION_ID_MAX, IdSource, check_id
from controlplane.domain.names import OrganizationName
from controlplane.domain.people import Organization, RoleBinding
from controlplane.domain.requests import IdempotencyKey, Page, PageRequest
from controlplane.services.etags import check_etag
from controlplane.services.idempotency import once
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction


class OrganizationService:
    """Use cases of organizations."""

    def __init__(self, *, store: Store, ids: IdSource) -> None:
        self._store = store
        self._ids = ids

    async def create_organization(
        self,
        organization_id: str,
        display_name: str = "",
        *,
        owner: str,
        key: IdempotencyKey | None = None,
    ) -> Organization:
        """Make an organization whose first owner is `owner`, a subject. Raises InvalidField, AlreadyExists."""
        check_id("organization_id", organization_id, ORGANIZATION_ID_MAX)
        check_display_name(display_name)
        name = OrganizationName(organization_id)

        async def create() -> Organization:
            made = Organization(
                self._ids.new(), name, display_name or organization_id, 1, tx.now, tx.now
            )
            await tx.organizations.add(made)
            await tx.bindings.add(RoleBinding(self._ids.new(), str(name), owner, OWNER, tx.now))
            return made

        async with self._store.transaction() as tx:
            return await once(tx, key, Organization, create)

    async def get_organization(self, name: OrganizationName) -> Organization:
        """Read one. Raises NotFound."""
        async with self._store.reading() as tx:
            return await existing_organization(tx, name)

    async def list_organizations(
        self, page: PageRequest, *, visible: Visible = EVERYTHING
    ) -> Page[Organization]:
        """By name. Raises PageTokenInvalid."""
        async with self._store.reading() as tx:
            return await tx.organizations.page(page, visible)

    async def delete_organization(
        self, name: OrganizationName, *, etag: str = "", key: IdempotencyKey | None = None
    ) -> None:
        """Delete an organization without projects, and all roles in it. Raises NotFound, EtagMismatch, ResourceInUse."""

        async def delete() -> bool:
            organization = await existing_organization(tx, name)
            check_etag(etag, organization.etag, str(name))
            if count := await tx.projects.count_in_organization(name.organization):
                raise ResourceInUse(f"{name} still has {count} projects: delete those first")
            await tx.organizations.delete(organization.uid)
            await tx.bindings.forget_scope(str(name))
            await tx.variables.forget_scope(str(name))
            return True

        async with self._store.transaction() as tx:
            await once(tx, key, bool, delete)


async def existing_organization(tx: Transaction, name: OrganizationName) -> Organization:
    """The organization, or NotFound."""
    organization = await tx.organizations.get(name)
    if organization is None:
        raise NotFound(str(name))
    return organization
