"""Apps: plan, deploy, roll back, read, list, delete, watch. Called by `api/apps`."""

import dataclasses
from collections.abc import AsyncIterator, Callable

from controlplane.domain.access import EVERYTHING, Visible
from controlplane.domain.apps import App, Bundle, DeployStarted
from controlplane.domain.bundles import check_bundle
from controlplane.domain.clock import Clock
from controlplane.domain.commands import DeleteApp, EnvironmentSpec
from controlplane.domain.errors import EtagMismatch, InvalidField, NotFound, ResourceInUse
from controlplane.domain.ids import APP_ID_MAX, IdSource, check_id
from controlplane.domain.names import ANY, AppName, EnvironmentName, RevisionName
from controlplane.domain.operations import Operation, OperationKind
from controlplane.domain.projects import Environment
from controlplane.domain.requests import IdempotencyKey, Page, PageRequest, WatchEvent
from controlplane.domain.sealing import Cipher
from controlplane.domain.workloads import PlanResult, State
from controlplane.services.changes import ChangeHub
from controlplane.services.environments import existing_environment
from controlplane.services.etags import check_etag
from controlplane.services.idempotency import once
from controlplane.services.linking import links_of
from controlplane.services.operations import new_operation
from controlplane.services.outbox import Outbox
from controlplane.services.ports import Agents
from controlplane.services.presence import Presence
from controlplane.services.rollouts import Rollouts, deploy_command
from controlplane.services.snapshots import Snapshots
from controlplane.services.targets import existing_app, never_joined, offline
from controlplane.services.views import app_view, operation_view
from controlplane.services.watching import Source, watch
from controlplane.store.changes import APPS
from controlplane.store.database import Store
from controlplane.store.transaction import Transaction


class AppService:
    """Use cases of apps."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        ids: IdSource,
        presence: Presence,
        agents: Agents,
        hub: ChangeHub,
        cipher: Cipher,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._presence = presence
        self._agents = agents
        self._hub = hub
        self._outbox = Outbox(ids=ids, agents=agents)
        self._rollouts = Rollouts(ids=ids, outbox=self._outbox)
        self._snapshots = Snapshots(cipher)

    async def plan_app(self, parent: EnvironmentName, app_id: str, bundle: Bundle) -> PlanResult:
        """Ask the agent what a deploy would do; changes nothing.

        Raises InvalidField, RequestTooLarge, NotFound, AgentNeverJoined, AgentOffline, DeadlineExceeded, SecretUnavailable.
        """
        check_id("app_id", app_id, APP_ID_MAX)
        check_bundle(bundle)
        name = AppName(parent.organization, parent.project, parent.environment, app_id)
        async with self._store.reading() as tx:
            environment = await _deployable(tx, parent)
            app = await tx.apps.get(name)
            spec = EnvironmentSpec.of(environment, await links_of(tx, environment))
            variables = await self._snapshots.take(tx, name, bundle)
        if not self._agents.is_connected(environment.cluster_uid):
            raise offline(environment.cluster)
        uid, revision = self._ids.new(), 1
        if app is not None:
            uid, revision = app.uid, app.wanted_revision + 1
        deploy = deploy_command(spec, app_id, uid, revision, "", bundle, variables)
        return await self._agents.plan(environment.cluster_uid, deploy)

    async def deploy_app(
        self,
        parent: EnvironmentName,
        app_id: str,
        bundle: Bundle,
        *,
        etag: str = "",
        key: IdempotencyKey | None = None,
    ) -> DeployStarted:
        """Record a revision and roll it out; makes the app when it does not exist. Takes the place of a rollout under way.

        Raises InvalidField, RequestTooLarge, NotFound (environment), EtagMismatch, AgentNeverJoined, ResourceInUse (app or
        environment being deleted), SecretUnavailable (a variable that cannot be decrypted; nothing is recorded). With the agent away it succeeds and waits.
        """
        check_id("app_id", app_id, APP_ID_MAX)
        check_bundle(bundle)
        name = AppName(parent.organization, parent.project, parent.environment, app_id)

        async def deploy() -> DeployStarted:
            environment = await _deployable(tx, parent)
            app = await tx.apps.get(name)
            if app is None:
                if etag:
                    raise EtagMismatch(f"{name} does not exist, so its etag cannot be {etag!r}")
                app = self._new_app(tx, environment, name)
                await tx.apps.add(app)
            _check_not_deleting(app)
            check_etag(etag, app.etag, str(name))
            variables = await self._snapshots.take(tx, name, bundle)
            revision = await tx.revisions.next_number(app.uid)
            sealed = self._snapshots.seal(variables, app.uid, revision)
            await tx.revisions.add(app, revision, bundle, sealed, tx.now)
            return await self._start(tx, environment, app, revision, OperationKind.DEPLOY)

        async with self._store.transaction() as tx:
            return await once(tx, key, DeployStarted, deploy)

    async def rollback_app(
        self, name: AppName, revision: int = 0, *, key: IdempotencyKey | None = None
    ) -> DeployStarted:
        """Deploy an earlier revision again; 0 means the newest one before the wanted one that was READY.

        It gets the variables that it was made with. Raises InvalidField, NotFound (app, revision, or none that was READY),
        ResourceInUse, AgentNeverJoined, SecretUnavailable.
        """
        if revision < 0:
            raise InvalidField.of("revision", "must not be negative")

        async def rollback() -> DeployStarted:
            environment = await _deployable(tx, name.parent)
            app = await existing_app(tx, name)
            _check_not_deleting(app)
            number = revision or await tx.revisions.newest_ready_before(
                app.uid, app.wanted_revision
            )
            if not number:
                raise NotFound(
                    f"{name}/revisions/-",
                    f"no revision of {name} before {app.wanted_revision} was ever READY: "
                    "name the revision to go back to",
                )
            if await tx.revisions.get(app, number) is None:
                raise NotFound(str(RevisionName(name, number)))
            await self._snapshots.check_revision(tx, RevisionName(name, number), app.uid)
            return await self._start(tx, environment, app, number, OperationKind.ROLLBACK)

        async with self._store.transaction() as tx:
            return await once(tx, key, DeployStarted, rollback)

    async def get_app(self, name: AppName) -> App:
        """Read one. Raises NotFound."""
        async with self._store.reading() as tx:
            return self._view(await existing_app(tx, name))

    async def list_apps(
        self, parent: EnvironmentName, page: PageRequest, *, visible: Visible = EVERYTHING
    ) -> Page[App]:
        """By name; project and environment may be `-`. Raises PageTokenInvalid."""
        async with self._store.reading() as tx:
            found = await tx.apps.page(parent, page, visible)
        return Page(tuple(self._view(item) for item in found.items), found.next_token)

    async def delete_app(
        self,
        name: AppName,
        *,
        delete_volumes: bool = False,
        etag: str = "",
        key: IdempotencyKey | None = None,
    ) -> Operation:
        """Delete the app's objects, then the app. Raises NotFound, EtagMismatch, ResourceInUse (already being deleted)."""

        async def delete() -> Operation:
            app = await existing_app(tx, name)
            check_etag(etag, app.etag, str(name))
            _check_not_deleting(app)
            environment = await existing_environment(tx, name.parent)
            for record in await tx.commands.unfinished_of_app(app.uid):
                await self._outbox.end(
                    tx, record, reason="CANCELLED", message=f"{name} is being deleted"
                )
            operation = new_operation(
                self._ids,
                OperationKind.DELETE_APP,
                str(name),
                app.cluster_uid,
                app.cluster,
                tx.now,
            )
            await tx.operations.add(operation)
            # Read again: ending its rollout may have changed it.
            app = await existing_app(tx, name)
            await tx.apps.save(
                dataclasses.replace(
                    app,
                    state=State.DELETING,
                    generation=app.generation + 1,
                    update_time=tx.now,
                )
            )
            await self._outbox.put(
                tx,
                app.cluster_uid,
                DeleteApp(EnvironmentSpec.of(environment), name.app, app.uid, delete_volumes),
                environment_uid=environment.uid,
                operation_uid=operation.uid,
                app_uid=app.uid,
            )
            return operation_view(operation, self._presence.connection(app.cluster_uid))

        async with self._store.transaction() as tx:
            return await once(tx, key, Operation, delete)

    def watch_apps(
        self,
        parent: EnvironmentName,
        resume_token: str = "",
        *,
        visible: Callable[[], Visible] = lambda: EVERYTHING,
    ) -> AsyncIterator[WatchEvent[App]]:
        """SNAPSHOT for each, SYNCED, then UPDATED and DELETED, HEARTBEAT at least every 20 s. Raises ResumeTokenExpired."""
        source: Source[App] = Source(
            kind=APPS,
            bound_to=f"apps:{parent}",
            page=lambda tx, request: tx.apps.page(parent, request, visible()),
            get_many=lambda tx, uids: tx.apps.get_many(uids),
            in_scope=lambda name: _below(parent, AppName.parse(name)) and visible().contains(name),
            view=self._view,
        )
        return watch(
            source, store=self._store, hub=self._hub, clock=self._clock, resume_token=resume_token
        )

    async def _start(
        self,
        tx: Transaction,
        environment: Environment,
        app: App,
        revision: int,
        kind: OperationKind,
    ) -> DeployStarted:
        started = await self._rollouts.start(tx, environment, app, revision, kind)
        connection = self._presence.connection(app.cluster_uid)
        return dataclasses.replace(started, operation=operation_view(started.operation, connection))

    def _new_app(self, tx: Transaction, environment: Environment, name: AppName) -> App:
        return App(
            uid=self._ids.new(),
            name=name,
            environment_uid=environment.uid,
            cluster_uid=environment.cluster_uid,
            cluster=environment.cluster,
            state=State.PENDING,
            conditions=(),
            wanted_revision=0,
            serving_revision=0,
            services=(),
            observe_time=None,
            generation=0,
            create_time=tx.now,
            update_time=tx.now,
        )

    def _view(self, app: App) -> App:
        return app_view(app, self._presence.connection(app.cluster_uid))


async def _deployable(tx: Transaction, name: EnvironmentName) -> Environment:
    """The environment, if something can be deployed to it."""
    environment = await existing_environment(tx, name)
    if environment.state is State.DELETING:
        raise ResourceInUse(f"{name} is being deleted")
    cluster = await tx.clusters.get_by_uid(environment.cluster_uid)
    if cluster is None or cluster.last_seen_time is None:
        raise never_joined(environment.cluster)
    return environment


def _check_not_deleting(app: App) -> None:
    if app.state is State.DELETING:
        raise ResourceInUse(
            f"{app.name} is being deleted: wait until it is gone "
            f"(`skerry app list` no longer shows it)"
        )


def _below(parent: EnvironmentName, app: AppName) -> bool:
    return (
        app.organization == parent.organization
        and parent.project in (ANY, app.project)
        and parent.environment in (ANY, app.environment)
    )
