"""Starting a rollout: deployment, operation and command in one transaction, in place of the one before.

A newer deploy takes over at once: the rollout under way is closed as SUPERSEDED in the transaction that begins the new one, and
its agent, which stops work on an app when a newer revision of it arrives, is asked to stop as well. What the old one still
says changes nothing. Called by the apps' service for deploys and rollbacks.
"""

import dataclasses

from controlplane.domain.apps import App, Bundle, DeployStarted
from controlplane.domain.commands import SUPERSEDED, DeployApp, EnvironmentSpec
from controlplane.domain.deployments import Deployment, DeploymentPhase
from controlplane.domain.ids import IdSource
from controlplane.domain.names import DeploymentName
from controlplane.domain.operations import OperationKind
from controlplane.domain.projects import Environment
from controlplane.domain.workloads import State
from controlplane.services.linking import links_of
from controlplane.services.operations import new_operation
from controlplane.services.outbox import Outbox
from controlplane.services.snapshots import Snapshot
from controlplane.services.views import with_condition
from controlplane.store.transaction import Transaction

# How long a rollout may make no progress; Kubernetes' own default for deployments.
PROGRESS_DEADLINE_SECONDS = 600


class Rollouts:
    """Begins rollouts."""

    def __init__(self, *, ids: IdSource, outbox: Outbox) -> None:
        self._ids = ids
        self._outbox = outbox

    async def start(
        self,
        tx: Transaction,
        environment: Environment,
        app: App,
        revision: int,
        kind: OperationKind,
    ) -> DeployStarted:
        """Roll out a revision that is in the database."""
        uid = self._ids.new()
        name = DeploymentName(app.name, uid)
        for record in await tx.commands.unfinished_of_app(app.uid):
            await self._outbox.end(tx, record, reason=SUPERSEDED, message=f"{name} took its place")
        operation = dataclasses.replace(
            new_operation(self._ids, kind, str(app.name), app.cluster_uid, app.cluster, tx.now),
            deployment=str(name),
        )
        await tx.operations.add(operation)
        await tx.deployments.add(
            Deployment(
                uid=uid,
                name=name,
                app_uid=app.uid,
                revision=revision,
                phase=DeploymentPhase.QUEUED,
                message="",
                reason="",
                services=(),
                diagnostics=(),
                objects_applied=0,
                objects_total=0,
                operation=operation.name,
                create_time=tx.now,
                update_time=tx.now,
                end_time=None,
            )
        )
        await tx.apps.save(_wanting(app, revision, tx))
        await self._outbox.put(
            tx,
            app.cluster_uid,
            deploy_command(
                EnvironmentSpec.of(environment, await links_of(tx, environment)),
                *(app.name.app, app.uid, revision, uid),
            ),
            environment_uid=environment.uid,
            operation_uid=operation.uid,
            app_uid=app.uid,
            deployment_uid=uid,
        )
        return DeployStarted(operation, name, revision)


def deploy_command(
    environment: EnvironmentSpec,
    app: str,
    app_uid: str,
    revision: int,
    deployment: str,
    bundle: Bundle | None = None,
    variables: Snapshot | None = None,
) -> DeployApp:
    """What the agent is asked. Without a bundle the outbox puts in what the revision holds when the command is sent."""
    return DeployApp(
        environment=environment,
        app=app,
        app_uid=app_uid,
        revision=revision,
        deployment=deployment,
        compose_files=() if bundle is None else bundle.compose_files,
        files=() if bundle is None else bundle.files,
        variables={} if variables is None else variables.values,
        progress_deadline_seconds=PROGRESS_DEADLINE_SECONDS,
        secret_variables=() if variables is None else variables.secrets,
    )


def _wanting(app: App, revision: int, tx: Transaction) -> App:
    return dataclasses.replace(
        app,
        # Something that serves goes on serving, and says itself how it is; something that does not waits for this rollout.
        state=app.state if app.serving_revision else State.PENDING,
        conditions=with_condition(
            app.conditions,
            "Deployed",
            status=None,
            reason="Queued",
            message=f"revision {revision} is to be rolled out",
            now=tx.now,
        ),
        wanted_revision=revision,
        generation=app.generation + 1,
        update_time=tx.now,
    )
