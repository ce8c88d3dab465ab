"""Follows a rollout to its end: used by `deploy` and `rollback`. Ctrl-C leaves it running and says so."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from contextlib import AbstractContextManager, aclosing
from typing import Protocol

import skerry
from skerry import errors, names
from skerry.cli.deploying.progress import PlainProgress
from skerry.cli.durations import parse_duration
from skerry.cli.output.tables import Tables
from skerry.cli.output.tone import Tone
from skerry.cli.output.writer import Format
from skerry.cli.run import Run
from skerry.platform.v1 import deployment_pb2


class Progress(Protocol):
    """Shows a rollout as it goes."""

    def update(self, deployment: deployment_pb2.Deployment) -> None: ...


async def follow_rollout(
    run: Run, client: skerry.Client, deployment: str, operation: str, within: str
) -> None:
    """Show the rollout until it has ended, and the outcome. Raises SkerryError when it failed."""
    limit = parse_duration(within).total_seconds()
    ways = (
        f"watch: skerry operation wait {names.last(operation)}, "
        f"stop: skerry operation cancel {names.last(operation)}"
    )
    last = deployment_pb2.Deployment()
    try:
        with _progress(run) as progress:
            async with (
                asyncio.timeout(limit),
                aclosing(client.deployments.watch(deployment, on_cut=run.cut)) as stream,
            ):
                async for last in stream:
                    progress.update(last)
    except TimeoutError as error:
        raise errors.DeadlineExceeded(
            f"the rollout did not end within {within}; it goes on ({ways})"
        ) from error
    except asyncio.CancelledError:
        run.out.insist(f"Detached; the rollout goes on ({ways})")
        raise
    show_outcome(run, last)


def show_outcome(run: Run, deployment: deployment_pb2.Deployment) -> None:
    """The result on stdout. Raises RolloutFailed with the pods' reasons unless all is ready."""
    app = names.last(names.parent(deployment.name))
    if run.out.form is not Format.TABLE:
        run.out.structured(deployment)
    elif not run.out.rich:
        run.out.table(Tables(run.around.now()).services, list(deployment.services))
    if deployment.phase == deployment_pb2.DEPLOYMENT_PHASE_READY:
        run.out.say(f"{app} revision {deployment.revision} is ready", Tone.GOOD)
        return
    phase = deployment_pb2.DeploymentPhase.Name(deployment.phase)
    word = phase.removeprefix("DEPLOYMENT_PHASE_").lower()
    message = f"{app}: {deployment.message or f'revision {deployment.revision} was {word}'}"
    raise errors.RolloutFailed(message, deployment)


def _progress(run: Run) -> AbstractContextManager[Progress]:
    if run.out.quiet:
        return PlainProgress(run, silent=True)
    if run.out.rich_messages and run.out.form is Format.TABLE:
        # By name: only a terminal has to wait for rich to be imported.
        view: Callable[[Run], AbstractContextManager[Progress]] = importlib.import_module(
            "skerry.cli.deploying.view"
        ).LiveProgress
        return view(run)
    return PlainProgress(run)
