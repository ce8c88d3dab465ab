"""What it means that a command is journalled, or got somewhere. Called by the agents' sessions."""

import dataclasses

from controlplane.domain.apps import App
from controlplane.domain.commands import CommandProgress, CommandRecord
from controlplane.domain.deployments import Deployment, DeploymentPhase, check_transition
from controlplane.domain.workloads import State
from controlplane.services.outcomes import with_progress
from controlplane.services.views import with_condition
from controlplane.store.transaction import Transaction


async def apply_acknowledgement(tx: Transaction, cluster_uid: str, seq: int) -> bool:
    """Every command up to `seq` is in the agent's journal; whether that is news."""
    news = await tx.commands.acknowledge(cluster_uid, seq)
    for record in news:
        operation = await tx.operations.get(record.operation_uid)
        if operation is not None and not operation.done and not operation.cancel_requested:
            await tx.operations.save(
                dataclasses.replace(
                    operation,
                    message=f"taken by the agent of {operation.cluster}",
                    update_time=tx.now,
                )
            )
    return bool(news)


async def apply_progress(
    tx: Transaction, record: CommandRecord, epoch: int, progress: CommandProgress
) -> None:
    """Record newer progress of a command that has not ended."""
    await tx.commands.save_progress(record.command_id, epoch, progress.version)
    operation = await tx.operations.get(record.operation_uid)
    if operation is not None and not operation.done and operation.message != progress.message:
        await tx.operations.save(
            dataclasses.replace(operation, message=progress.message, update_time=tx.now)
        )
    if progress.deploy is None or not record.deployment_uid:
        return
    deployment = await tx.deployments.get(record.deployment_uid)
    if deployment is None or deployment.phase.ended:
        return
    phase = progress.deploy.phase
    # An end is what the result says, not the progress before it: the result is what the agent keeps until it is acknowledged.
    if phase is None or phase.ended or phase is DeploymentPhase.QUEUED:
        phase = deployment.phase
    check_transition(deployment.phase, phase)
    began = deployment.phase is DeploymentPhase.QUEUED and phase is not deployment.phase
    deployment = with_progress(deployment, progress.deploy, tx.now)
    await tx.deployments.save(
        dataclasses.replace(deployment, phase=phase, message=progress.message)
    )
    app = await tx.apps.get_by_uid(deployment.app_uid)
    if app is not None and began:
        await tx.apps.save(_progressing(app, deployment, tx))


def _progressing(app: App, deployment: Deployment, tx: Transaction) -> App:
    return dataclasses.replace(
        app,
        state=State.PROGRESSING if app.state is State.PENDING else app.state,
        conditions=with_condition(
            app.conditions,
            "Deployed",
            status=None,
            reason="Progressing",
            message=f"revision {deployment.revision} is being rolled out",
            now=tx.now,
        ),
        update_time=tx.now,
    )
