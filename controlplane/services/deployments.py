"""Deployments and revisions: read, list, watch. Called by `api/deployments`."""

from collections.abc import AsyncIterator

from controlplane.domain.apps import Revision
from controlplane.domain.clock import Clock
from controlplane.domain.deployments import Deployment
from controlplane.domain.errors import NotFound
from controlplane.domain.names import AppName, DeploymentName, RevisionName
from controlplane.domain.requests import Page, PageRequest
from controlplane.services.changes import ChangeHub
from controlplane.services.targets import existing_app
from controlplane.services.watching import HEARTBEAT_SECONDS
from controlplane.store.database import Store
from controlplane.store.deployments import topic


class DeploymentService:
    """Use cases of deployments and revisions."""

    def __init__(self, *, store: Store, clock: Clock, hub: ChangeHub) -> None:
        self._store = store
        self._clock = clock
        self._hub = hub

    async def get_deployment(self, name: DeploymentName) -> Deployment:
        """Read one. Raises NotFound."""
        async with self._store.reading() as tx:
            deployment = await tx.deployments.get(name.deployment)
        if deployment is None or deployment.name != name:
            raise NotFound(str(name))
        return deployment

    async def list_deployments(self, parent: AppName, page: PageRequest) -> Page[Deployment]:
        """Newest first. Raises NotFound (app), PageTokenInvalid."""
        async with self._store.reading() as tx:
            return await tx.deployments.page(await existing_app(tx, parent), page)

    async def watch_deployment(self, name: DeploymentName) -> AsyncIterator[Deployment | None]:
        """Now and after each change until it has ended; None is a heartbeat, at least every 20 s. Raises NotFound."""
        last: Deployment | None = None
        with self._hub.subscribe(topic(name.deployment)) as subscription:
            while True:
                deployment = await self.get_deployment(name)
                if deployment != last:
                    last = deployment
                    yield deployment
                if deployment.phase.ended:
                    return
                if not await subscription.wait(self._clock, HEARTBEAT_SECONDS):
                    yield None

    async def get_revision(self, name: RevisionName) -> Revision:
        """Read one with its files. Raises NotFound."""
        async with self._store.reading() as tx:
            app = await existing_app(tx, name.parent)
            revision = await tx.revisions.get(app, name.revision)
        if revision is None:
            raise NotFound(str(name))
        return revision

    async def list_revisions(self, parent: AppName, page: PageRequest) -> Page[Revision]:
        """Newest first, without files. Raises NotFound (app), PageTokenInvalid."""
        async with self._store.reading() as tx:
            return await tx.revisions.page(await existing_app(tx, parent), page)
