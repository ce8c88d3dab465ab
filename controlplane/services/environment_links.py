"""Links between environments: create, list, delete. Called by `api/environment_links`.

A link opens both environments to each other. Each side is opened by an own command to the agent; until both are done
nothing passes, because a packet needs the leave of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from controlplane.domain.access import Grants, Permission
from controlplane.domain.errors import InvalidField, NotFound, PermissionDenied, ResourceInUse
from controlplane.domain.ids import IdSource
from controlplane.domain.names import EnvironmentLinkName, EnvironmentName
from controlplane.domain.operations import Operation, OperationKind
from controlplane.domain.projects import Environment, EnvironmentLink
from controlplane.domain.requests import IdempotencyKey, Page, PageRequest
from controlplane.domain.workloads import State
from controlplane.services.environments import existing_environment
from controlplane.services.etags import check_etag
from controlplane.services.idempotency import once
from controlplane.services.linking import Linking
from controlplane.services.outbox import Outbox
from controlplane.services.ports import Agents
from controlplane.services.presence import Presence
from controlplane.services.views import operation_view
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction

# Each link is a policy in both namespaces; a hundred is more than anybody can oversee.
MOST_LINKS = 100


@dataclass(frozen=True, slots=True)
class LinkCreated:
    """A new link and the work that opens both sides."""

    link: EnvironmentLink
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class LinkDeleted:
    """The work that closes both sides."""

    operations: tuple[Operation, ...]


class EnvironmentLinkService:
    """Use cases of links."""

    def __init__(self, *, store: Store, ids: IdSource, presence: Presence, agents: Agents) -> None:
        self._store = store
        self._ids = ids
        self._presence = presence
        self._linking = Linking(ids=ids, outbox=Outbox(ids=ids, agents=agents))

    async def create_link(
        self,
        parent: EnvironmentName,
        peer: EnvironmentName,
        *,
        grants: Grants,
        key: IdempotencyKey | None = None,
    ) -> LinkCreated:
        """Link two environments; the caller, whose `grants` these are, must manage both. Raises NotFound or PermissionDenied
        (peer), InvalidField (itself, another organization or cluster, too many), NotFound,
        AlreadyExists (linked already, from either side), ResourceInUse (being deleted)."""
        if parent == peer:
            raise InvalidField.of("peer", "is the environment itself, whose pods reach each other")
        if parent.organization != peer.organization:
            raise InvalidField.of("peer", "is of another organization")
        _check_may_manage(grants, peer)

        async def create() -> LinkCreated:
            here = await _standing(tx, parent)
            there = await _standing(tx, peer)
            if here.cluster_uid != there.cluster_uid:
                raise InvalidField.of(
                    "peer",
                    f"is on {there.cluster}, {parent} on {here.cluster}: "
                    "only environments of one cluster can be linked",
                )
            for side in (here, there):
                if len(await tx.environment_links.of_environment(side.uid)) >= MOST_LINKS:
                    raise InvalidField.of("peer", f"{side.name} has {MOST_LINKS} links already")
            uid = self._ids.new()
            link = EnvironmentLink(
                uid=uid,
                name=EnvironmentLinkName(parent, uid),
                peer=peer,
                environment_uid=here.uid,
                peer_uid=there.uid,
                create_time=tx.now,
            )
            await tx.environment_links.add(link)
            kind = OperationKind.LINK_ENVIRONMENTS
            return LinkCreated(link, await self._apply(tx, (here, there), kind))

        async with self._store.transaction() as tx:
            return await once(tx, key, LinkCreated, create)

    async def list_links(self, parent: EnvironmentName, page: PageRequest) -> Page[EnvironmentLink]:
        """Oldest first, whichever side made them. Raises NotFound, PageTokenInvalid."""
        async with self._store.reading() as tx:
            environment = await existing_environment(tx, parent)
            return await tx.environment_links.page(environment.uid, page)

    async def delete_link(
        self, name: EnvironmentLinkName, *, etag: str = "", key: IdempotencyKey | None = None
    ) -> LinkDeleted:
        """End a link. Raises NotFound, EtagMismatch."""

        async def delete() -> LinkDeleted:
            link = await tx.environment_links.get(name)
            if link is None:
                raise NotFound(str(name))
            check_etag(etag, link.etag, str(name))
            await tx.environment_links.delete(link.uid)
            sides = [
                await tx.environments.get_by_uid(uid)
                for uid in (link.environment_uid, link.peer_uid)
            ]
            standing = [s for s in sides if s is not None and s.state is not State.DELETING]
            kind = OperationKind.UNLINK_ENVIRONMENTS
            return LinkDeleted(await self._apply(tx, standing, kind))

        async with self._store.transaction() as tx:
            return await once(tx, key, LinkDeleted, delete)

    async def _apply(
        self,
        tx: Transaction,
        sides: Sequence[Environment],
        kind: OperationKind,
    ) -> tuple[Operation, ...]:
        operations = []
        for side in sides:
            operation = await self._linking.apply(tx, side, kind)
            connection = self._presence.connection(side.cluster_uid)
            operations.append(operation_view(operation, connection))
        return tuple(operations)


def _check_may_manage(grants: Grants, peer: EnvironmentName) -> None:
    """The call's own rule asks about the parent only."""
    permission = Permission.ENVIRONMENTS_MANAGE
    if grants.allows(permission, str(peer)):
        return
    if not grants.visible().shows(str(peer)):
        raise NotFound(str(peer))
    raise PermissionDenied(
        f"a link opens both environments, so it needs {permission} on {peer} too",
        metadata={"permission": permission, "resource": str(peer)},
    )


async def _standing(tx: Transaction, name: EnvironmentName) -> Environment:
    environment = await existing_environment(tx, name)
    if environment.state is State.DELETING:
        raise ResourceInUse(f"{name} is being deleted")
    return environment
