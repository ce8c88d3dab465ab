"""What the end of a command means for everything that waited for it: operation, deployment, app, environment.

Applied in one transaction with the command's own end, and only by whoever ends it: `CommandRepository.finish` tells. Called
when an agent says a result, and when the control plane ends a command itself (superseded, cancelled before sending, overdue).
"""

import dataclasses
from collections.abc import Awaitable, Callable
from datetime import datetime

from controlplane.domain.apps import App
from controlplane.domain.commands import (
    SUPERSEDED,
    CommandOutcome,
    CommandRecord,
    DeleteApp,
    DeleteEnvironment,
    DeployApp,
    DeployProgress,
    EnsureEnvironment,
)
from controlplane.domain.deployments import Deployment, DeploymentPhase, check_transition
from controlplane.domain.errors import REASONS, StatusCode
from controlplane.domain.operations import Operation, OperationError
from controlplane.domain.projects import Environment
from controlplane.domain.workloads import State
from controlplane.services.views import with_condition
from controlplane.store.transaction import Transaction

Effect = Callable[[Transaction, CommandRecord, CommandOutcome], Awaitable[None]]


async def apply_outcome(tx: Transaction, record: CommandRecord, outcome: CommandOutcome) -> bool:
    """End a command and all that hangs on it; False, and nothing happens, when it had ended before."""
    if not await tx.commands.finish(outcome, tx.now):
        return False
    operation = await tx.operations.get(record.operation_uid)
    if operation is not None and not operation.done:
        await tx.operations.save(_ended(operation, record, outcome, tx.now))
    effect = _EFFECTS.get(record.kind)
    if effect is not None:
        await effect(tx, record, outcome)
    return True


def with_progress(deployment: Deployment, progress: DeployProgress, now: datetime) -> Deployment:
    """The deployment with what an agent said about the rollout; its phase is the caller's business."""
    return dataclasses.replace(
        deployment,
        services=progress.services,
        diagnostics=progress.diagnostics,
        objects_applied=progress.objects_applied,
        objects_total=progress.objects_total,
        update_time=now,
    )


def _ended(
    operation: Operation, record: CommandRecord, outcome: CommandOutcome, now: datetime
) -> Operation:
    error = None
    if outcome.code is not StatusCode.OK:
        error = OperationError(outcome.code, _error_reason(record, outcome), outcome.message)
    return dataclasses.replace(
        operation,
        done=True,
        error=error,
        message=outcome.message or ("done" if error is None else error.reason),
        update_time=now,
        end_time=now,
    )


def _error_reason(record: CommandRecord, outcome: CommandOutcome) -> str:
    """A name of ErrorReason: an agent may give a pod's reason, which stays in the deployment."""
    if outcome.reason in REASONS:
        return outcome.reason
    if outcome.code is StatusCode.CANCELLED:
        return "CANCELLED"
    if outcome.code is StatusCode.DEADLINE_EXCEEDED:
        return "DEADLINE_EXCEEDED"
    return "ROLLOUT_FAILED" if record.kind == DeployApp.kind else "CLUSTER_API_ERROR"


async def _environment_ensured(
    tx: Transaction, record: CommandRecord, outcome: CommandOutcome
) -> None:
    environment = await tx.environments.get_by_uid(record.environment_uid)
    if environment is None or environment.state in (State.DELETING, State.READY):
        return
    ok = outcome.code is StatusCode.OK
    await _save_environment(tx, environment, outcome, State.READY if ok else State.FAILED)


async def _environment_deleted(
    tx: Transaction, record: CommandRecord, outcome: CommandOutcome
) -> None:
    environment = await tx.environments.get_by_uid(record.environment_uid)
    if environment is None:
        return
    if outcome.code is StatusCode.OK:
        await forget_environment(tx, environment)
    else:
        await _save_environment(tx, environment, outcome, State.FAILED)


async def forget_environment(tx: Transaction, environment: Environment) -> None:
    """Forget an environment whose namespace is gone, and the apps that were in it."""
    for app in await tx.apps.in_environment(environment.uid):
        await tx.apps.delete(app)
    await tx.environments.delete(environment.uid)
    await tx.bindings.forget_scope(str(environment.name))
    await tx.variables.forget_scope(str(environment.name))


async def _save_environment(
    tx: Transaction, environment: Environment, outcome: CommandOutcome, state: State
) -> None:
    ok = outcome.code is StatusCode.OK
    await tx.environments.save(
        dataclasses.replace(
            environment,
            state=state,
            conditions=with_condition(
                environment.conditions,
                "NamespaceReady",
                status=ok,
                reason="Ready" if ok else outcome.reason or outcome.code.name,
                message=outcome.message,
                now=tx.now,
            ),
            update_time=tx.now,
        )
    )


async def _app_deleted(tx: Transaction, record: CommandRecord, outcome: CommandOutcome) -> None:
    app = await tx.apps.get_by_uid(record.app_uid)
    if app is None:
        return
    if outcome.code is StatusCode.OK:
        await tx.apps.delete(app)
        await tx.variables.forget_scope(str(app.name))
        return
    await tx.apps.save(
        dataclasses.replace(
            app,
            state=State.FAILED,
            conditions=with_condition(
                app.conditions,
                "Deleted",
                status=False,
                reason=outcome.reason or outcome.code.name,
                message=outcome.message,
                now=tx.now,
            ),
            update_time=tx.now,
        )
    )


async def _rollout_ended(tx: Transaction, record: CommandRecord, outcome: CommandOutcome) -> None:
    deployment = await tx.deployments.get(record.deployment_uid)
    if deployment is None:  # deleted with its app
        return
    phase = _end_phase(outcome)
    check_transition(deployment.phase, phase)
    if outcome.deploy is not None:
        deployment = with_progress(deployment, outcome.deploy, tx.now)
    ready = phase is DeploymentPhase.READY
    await tx.deployments.save(
        dataclasses.replace(
            deployment,
            phase=phase,
            reason="" if ready else outcome.reason or outcome.code.name,
            message=outcome.message,
            update_time=tx.now,
            end_time=tx.now,
        )
    )
    if ready:
        await tx.revisions.mark_ready(deployment.app_uid, deployment.revision)
        # A rollout makes the namespace where it is missing, so it stands now, even if making it alone had failed.
        await _environment_ensured(tx, record, dataclasses.replace(outcome, message=""))
    app = await tx.apps.get_by_uid(deployment.app_uid)
    # A superseded rollout says nothing about the app any more: the one that took its place does.
    if app is not None and phase is not DeploymentPhase.SUPERSEDED:
        await tx.apps.save(_rolled_out(app, deployment, outcome, ready=ready, now=tx.now))


def _end_phase(outcome: CommandOutcome) -> DeploymentPhase:
    if outcome.code is StatusCode.OK:
        return DeploymentPhase.READY
    if outcome.reason == SUPERSEDED:
        return DeploymentPhase.SUPERSEDED
    if outcome.code is StatusCode.CANCELLED:
        return DeploymentPhase.CANCELLED
    return DeploymentPhase.FAILED


def _rolled_out(
    app: App, deployment: Deployment, outcome: CommandOutcome, *, ready: bool, now: datetime
) -> App:
    app = dataclasses.replace(
        app,
        conditions=with_condition(
            app.conditions,
            "Deployed",
            status=ready,
            reason="Ready" if ready else outcome.reason or outcome.code.name,
            message=outcome.message,
            now=now,
        ),
        update_time=now,
    )
    if ready:
        return dataclasses.replace(
            app,
            state=State.DELETING if app.state is State.DELETING else State.READY,
            serving_revision=deployment.revision,
            services=deployment.services,
            observe_time=now,
        )
    if app.serving_revision == 0 and app.state in (State.PENDING, State.PROGRESSING):
        return dataclasses.replace(app, state=State.FAILED)
    # The revision before keeps serving: the agent's reports say how it does.
    return app


_EFFECTS: dict[str, Effect] = {
    EnsureEnvironment.kind: _environment_ensured,
    DeleteEnvironment.kind: _environment_deleted,
    DeployApp.kind: _rollout_ended,
    DeleteApp.kind: _app_deleted,
}
