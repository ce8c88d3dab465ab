"""What links mean for an agent: the environment's description with the namespaces it may reach.

Used by the services of links, environments and rollouts.
"""

import dataclasses

from controlplane.domain.commands import EnsureEnvironment, EnvironmentSpec, LinkedEnvironment
from controlplane.domain.ids import IdSource
from controlplane.domain.operations import Operation, OperationKind
from controlplane.domain.projects import Environment
from controlplane.services.operations import new_operation
from controlplane.services.outbox import Outbox
from controlplane.store.transaction import Transaction


async def links_of(tx: Transaction, environment: Environment) -> tuple[LinkedEnvironment, ...]:
    """The other sides of an environment's links, oldest link first."""
    found = []
    for link in await tx.environment_links.of_environment(environment.uid):
        peer = await tx.environments.get_by_uid(link.peer_uid)
        if peer is not None:
            found.append(LinkedEnvironment(peer.namespace, peer.uid))
    return tuple(found)


class Linking:
    """Has one side of a link made so."""

    def __init__(self, *, ids: IdSource, outbox: Outbox) -> None:
        self._ids = ids
        self._outbox = outbox

    async def apply(
        self, tx: Transaction, environment: Environment, kind: OperationKind
    ) -> Operation:
        """Ask the agent to open and close the environment to others as the links in the database say now."""
        environment = dataclasses.replace(
            environment, generation=environment.generation + 1, update_time=tx.now
        )
        await tx.environments.save(environment)
        operation = new_operation(
            self._ids,
            kind,
            str(environment.name),
            environment.cluster_uid,
            environment.cluster,
            tx.now,
        )
        await tx.operations.add(operation)
        await self._outbox.put(
            tx,
            environment.cluster_uid,
            EnsureEnvironment(EnvironmentSpec.of(environment, await links_of(tx, environment))),
            environment_uid=environment.uid,
            operation_uid=operation.uid,
        )
        return operation
