"""Add-ons of a cluster: list, watch. Called by `api/clusters`."""

from collections.abc import AsyncIterator

from controlplane.domain.addons import AddOn
from controlplane.domain.clock import Clock
from controlplane.domain.names import ClusterName
from controlplane.domain.requests import EventType, Page, PageRequest, WatchEvent
from controlplane.services.changes import ChangeHub
from controlplane.services.clusters import existing_cluster
from controlplane.services.watching import HEARTBEAT_SECONDS
from controlplane.store.addons import topic
from controlplane.store.database import Store


class AddOnService:
    """Use cases of add-ons."""

    def __init__(self, *, store: Store, clock: Clock, hub: ChangeHub) -> None:
        self._store = store
        self._clock = clock
        self._hub = hub

    async def list_add_ons(self, parent: ClusterName, page: PageRequest) -> Page[AddOn]:
        """By name, as last reported. Raises NotFound (cluster), PageTokenInvalid."""
        async with self._store.reading() as tx:
            cluster = await existing_cluster(tx, parent)
            return await tx.add_ons.page(cluster.uid, page)

    async def watch_add_ons(self, parent: ClusterName) -> AsyncIterator[WatchEvent[AddOn]]:
        """SNAPSHOT for each, SYNCED, then UPDATED and DELETED, HEARTBEAT at least every 20 s. Raises NotFound.

        A cluster has a handful of add-ons: all are read after each change and compared with what was sent.
        """
        async with self._store.reading() as tx:
            cluster = await existing_cluster(tx, parent)
        sent: dict[str, AddOn] = {}
        kind = EventType.SNAPSHOT
        with self._hub.subscribe(topic(cluster.uid)) as subscription:
            while True:
                async with self._store.reading() as tx:
                    await existing_cluster(tx, parent)
                    found = {
                        item.name.add_on: item for item in await tx.add_ons.of_cluster(cluster.uid)
                    }
                for name, item in found.items():
                    if sent.get(name) != item:
                        yield WatchEvent(kind, item, str(item.name))
                for name in sent.keys() - found.keys():
                    yield WatchEvent(EventType.DELETED, name=str(sent[name].name))
                sent = found
                if kind is EventType.SNAPSHOT:
                    kind = EventType.UPDATED
                    yield WatchEvent(EventType.SYNCED)
                if not await subscription.wait(self._clock, HEARTBEAT_SECONDS):
                    yield WatchEvent(EventType.HEARTBEAT)
