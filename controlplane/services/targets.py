"""Where an app runs. Used by everything that asks an agent about a running app: logs, terminals, plans."""

from dataclasses import dataclass

from controlplane.domain.apps import App
from controlplane.domain.clusters import ConnectionState
from controlplane.domain.errors import AgentNeverJoined, AgentOffline, NotFound
from controlplane.domain.names import AppName, ClusterName
from controlplane.services.presence import Presence
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction

# When to try again: agents reconnect within seconds.
RETRY_AFTER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Target:
    """An app's place: which agent to ask, about which namespace."""

    cluster_uid: str
    cluster: ClusterName
    namespace: str
    app: App


async def target_of(name: AppName, *, store: Store, presence: Presence) -> Target:
    """Where the app runs. Raises NotFound, AgentNeverJoined."""
    async with store.reading() as tx:
        app = await existing_app(tx, name)
        environment = await tx.environments.get_by_uid(app.environment_uid)
    if environment is None:
        raise NotFound(str(name.parent))
    if presence.connection(app.cluster_uid) is ConnectionState.NEVER_JOINED:
        raise never_joined(app.cluster)
    return Target(app.cluster_uid, app.cluster, environment.namespace, app)


async def existing_app(tx: Transaction, name: AppName) -> App:
    """The app, or NotFound."""
    app = await tx.apps.get(name)
    if app is None:
        raise NotFound(str(name))
    return app


def never_joined(cluster: ClusterName) -> AgentNeverJoined:
    """No agent ever enrolled for the cluster."""
    return AgentNeverJoined(
        f"no agent has joined {cluster} yet: make a join token with "
        f"`skerry cluster join-token {cluster.cluster}` and start an agent with it",
        metadata={"cluster": str(cluster)},
    )


def offline(cluster: ClusterName) -> AgentOffline:
    """The cluster's agent is away."""
    return AgentOffline(
        f"the agent of {cluster} is not connected: it reconnects by itself, look at its log if it does not",
        metadata={"cluster": str(cluster)},
        retry_after=RETRY_AFTER_SECONDS,
    )
