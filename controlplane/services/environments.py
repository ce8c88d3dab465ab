"""Environments: create, read, list, delete. Called by `api/environments`."""

import dataclasses
from dataclasses import dataclass

from controlplane.domain.access import EVERYTHING, Visible
from controlplane.domain.clock import Clock
from controlplane.domain.clusters import Cluster
from controlplane.domain.commands import DeleteEnvironment, EnsureEnvironment, EnvironmentSpec
from controlplane.domain.errors import InvalidField, NotFound, ResourceInUse
from controlplane.domain.fields import check_display_name
from controlplane.domain.ids import ENVIRONMENT_ID_MAX, IdSource, check_id
from controlplane.domain.names import ClusterName, EnvironmentName, ProjectName
from controlplane.domain.operations import Operation, OperationKind
from controlplane.domain.projects import Environment, namespace_for
from controlplane.domain.requests import IdempotencyKey, Page, PageRequest
from controlplane.domain.workloads import State
from controlplane.services.etags import check_etag
from controlplane.services.idempotency import once
from controlplane.services.linking import Linking
from controlplane.services.operations import new_operation
from controlplane.services.outbox import Outbox
from controlplane.services.outcomes import forget_environment
from controlplane.services.ports import Agents
from controlplane.services.presence import Presence
from controlplane.services.projects import existing_project
from controlplane.services.views import environment_view, operation_view
from controlplane.store.changes import ACCESS
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class EnvironmentCreated:
    """A new environment and the work that makes its namespace."""

    environment: Environment
    operation: Operation


class EnvironmentService:
    """Use cases of environments."""

    def __init__(
        self, *, store: Store, clock: Clock, ids: IdSource, presence: Presence, agents: Agents
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._presence = presence
        self._outbox = Outbox(ids=ids, agents=agents)
        self._linking = Linking(ids=ids, outbox=self._outbox)

    async def create_environment(
        self,
        parent: ProjectName,
        environment_id: str,
        *,
        cluster: ClusterName | None = None,
        display_name: str = "",
        protected: bool = False,
        visible: Visible = EVERYTHING,
        key: IdempotencyKey | None = None,
    ) -> EnvironmentCreated:
        """Make an environment on a cluster that is visible; the namespace is made when the agent is there.

        `cluster` None means the only one. Raises InvalidField, NotFound (project, cluster), AlreadyExists.
        """
        check_id("environment_id", environment_id, ENVIRONMENT_ID_MAX)
        check_display_name(display_name)
        name = EnvironmentName(parent.organization, parent.project, environment_id)

        async def create() -> EnvironmentCreated:
            project = await existing_project(tx, parent)
            home = await _cluster(tx, cluster, visible)
            uid = self._ids.new()
            environment = Environment(
                uid=uid,
                name=name,
                display_name=display_name or environment_id,
                project_uid=project.uid,
                cluster_uid=home.uid,
                cluster=home.name,
                namespace=namespace_for(name, uid),
                state=State.PENDING,
                conditions=(),
                generation=1,
                create_time=tx.now,
                update_time=tx.now,
                protected=protected,
            )
            await tx.environments.add(environment)
            operation = new_operation(
                self._ids,
                OperationKind.ENSURE_ENVIRONMENT,
                str(name),
                environment.cluster_uid,
                environment.cluster,
                tx.now,
            )
            await tx.operations.add(operation)
            await self._outbox.put(
                tx,
                home.uid,
                EnsureEnvironment(EnvironmentSpec.of(environment)),
                environment_uid=uid,
                operation_uid=operation.uid,
            )
            connection = self._presence.connection(home.uid)
            return EnvironmentCreated(
                environment_view(environment, connection), operation_view(operation, connection)
            )

        async with self._store.transaction() as tx:
            return await once(tx, key, EnvironmentCreated, create)

    async def get_environment(self, name: EnvironmentName) -> Environment:
        """Read one. Raises NotFound."""
        async with self._store.reading() as tx:
            return self._view(await existing_environment(tx, name))

    async def list_environments(
        self, parent: ProjectName, page: PageRequest, *, visible: Visible = EVERYTHING
    ) -> Page[Environment]:
        """By name; the project may be `-`. Raises PageTokenInvalid."""
        async with self._store.reading() as tx:
            found = await tx.environments.page(parent, page, visible)
        return Page(tuple(self._view(item) for item in found.items), found.next_token)

    async def update_environment(
        self,
        name: EnvironmentName,
        *,
        display_name: str | None = None,
        protected: bool | None = None,
        etag: str = "",
        key: IdempotencyKey | None = None,
    ) -> Environment:
        """Change what is given. Raises InvalidField, NotFound, EtagMismatch."""
        if display_name is not None:
            check_display_name(display_name)

        async def change() -> Environment:
            environment = await existing_environment(tx, name)
            check_etag(etag, environment.etag, str(name))
            changed = dataclasses.replace(
                environment,
                display_name=environment.display_name
                if display_name is None
                else display_name or name.environment,
                protected=environment.protected if protected is None else protected,
                generation=environment.generation + 1,
                update_time=tx.now,
            )
            await tx.environments.save(changed)
            # Who has a terminal open there may need more for it from now on.
            tx.changes.touch(ACCESS)
            return self._view(changed)

        async with self._store.transaction() as tx:
            return await once(tx, key, Environment, change)

    async def delete_environment(
        self,
        name: EnvironmentName,
        *,
        force: bool = False,
        etag: str = "",
        key: IdempotencyKey | None = None,
    ) -> Operation:
        """Delete the namespace and then the environment. Raises NotFound, EtagMismatch, ResourceInUse (apps, without force)."""

        async def delete() -> Operation:
            environment = await existing_environment(tx, name)
            check_etag(etag, environment.etag, str(name))
            if environment.state is State.DELETING:
                raise ResourceInUse(f"{name} is being deleted already")
            count = await tx.apps.count_in_environment(environment.uid)
            if count and not force:
                raise ResourceInUse(
                    f"{name} holds {count} apps: delete them first, "
                    "or use force to delete them and their volumes too"
                )
            return await self._delete(tx, environment)

        async with self._store.transaction() as tx:
            return await once(tx, key, Operation, delete)

    async def _delete(self, tx: Transaction, environment: Environment) -> Operation:
        for record in await tx.commands.unfinished_in_environment(environment.uid):
            message = f"{environment.name} is being deleted"
            await self._outbox.end(tx, record, reason="CANCELLED", message=message)
        operation = new_operation(
            self._ids,
            OperationKind.DELETE_ENVIRONMENT,
            str(environment.name),
            environment.cluster_uid,
            environment.cluster,
            tx.now,
        )
        cluster = await tx.clusters.get_by_uid(environment.cluster_uid)
        if cluster is None or cluster.last_seen_time is None:
            # No agent ever joined, so there is no namespace and nobody who could say that it is gone.
            operation = dataclasses.replace(
                operation, done=True, message="nothing was ever made", end_time=tx.now
            )
            await tx.operations.add(operation)
            await self._unlink(tx, environment)
            await forget_environment(tx, environment)
            return operation
        await tx.operations.add(operation)
        for app in await tx.apps.in_environment(environment.uid):
            await tx.apps.save(
                dataclasses.replace(
                    app,
                    state=State.DELETING,
                    generation=app.generation + 1,
                    update_time=tx.now,
                )
            )
        # Read again: ending its commands may have changed it.
        environment = await existing_environment(tx, environment.name)
        await self._unlink(tx, environment)
        await tx.environments.save(
            dataclasses.replace(
                environment,
                state=State.DELETING,
                generation=environment.generation + 1,
                update_time=tx.now,
            )
        )
        await self._outbox.put(
            tx,
            environment.cluster_uid,
            DeleteEnvironment(EnvironmentSpec.of(environment)),
            environment_uid=environment.uid,
            operation_uid=operation.uid,
        )
        return operation_view(operation, self._presence.connection(environment.cluster_uid))

    async def _unlink(self, tx: Transaction, environment: Environment) -> None:
        """End its links: the other sides close theirs. This side goes with its namespace."""
        for link in await tx.environment_links.of_environment(environment.uid):
            await tx.environment_links.delete(link.uid)
            peer = await tx.environments.get_by_uid(link.peer_uid)
            if peer is not None and peer.state is not State.DELETING:
                await self._linking.apply(tx, peer, OperationKind.UNLINK_ENVIRONMENTS)

    def _view(self, environment: Environment) -> Environment:
        return environment_view(environment, self._presence.connection(environment.cluster_uid))


async def existing_environment(tx: Transaction, name: EnvironmentName) -> Environment:
    """The environment, or NotFound."""
    environment = await tx.environments.get(name)
    if environment is None:
        raise NotFound(str(name))
    return environment


async def _cluster(tx: Transaction, name: ClusterName | None, visible: Visible) -> Cluster:
    """The cluster named, or the only one there is to see."""
    if name is not None:
        cluster = await tx.clusters.get(name)
        if cluster is None or not visible.contains(str(name)):
            raise NotFound(str(name))
        return cluster
    some = (await tx.clusters.page(PageRequest(2), visible)).items
    if not some:
        raise InvalidField.of("cluster", "is required: there is no cluster yet, create one first")
    if len(some) > 1:
        raise InvalidField.of("cluster", "is required: there are several clusters")
    return some[0]
