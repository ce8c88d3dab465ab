"""`skerry deployments` and `skerry revisions`: what was rolled out, and what of."""

from __future__ import annotations

from skerry.cli.command import command, single
from skerry.cli.options import AppName
from skerry.cli.output.tables import Tables
from skerry.cli.run import Run

APPS = {"deployments": single(), "revisions": single()}


@command(APPS["deployments"], "deployments", examples="skerry deployments web")
async def deployments(run: Run, name: AppName) -> None:
    """List an app's deployments, newest first."""
    async with run.client() as client:
        await run.out.many(
            client.deployments.list(run.app(name)),
            Tables(run.around.now()).deployments,
            empty=f"{name} was never deployed: skerry deploy",
        )


@command(APPS["revisions"], "revisions", examples="skerry revisions web")
async def revisions(run: Run, name: AppName) -> None:
    """List an app's revisions, newest first."""
    async with run.client() as client:
        await run.out.many(
            client.deployments.list_revisions(run.app(name)),
            Tables(run.around.now()).revisions,
            empty=f"{name} has no revisions: skerry deploy",
        )
