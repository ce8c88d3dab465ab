"""`skerry app`: list, get and delete apps."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry import names
from skerry.cli.command import command, group
from skerry.cli.operations import wait_for
from skerry.cli.options import AppName, Everywhere, Wait, Within, Yes
from skerry.cli.output.tables import Tables
from skerry.cli.run import Run

app = group("Apps: list, get, delete.")


@command(app, "list", examples="skerry app list\nskerry app list --all -o name")
async def list_apps(
    run: Run,
    every: Everywhere = False,
) -> None:
    """List the apps of an environment."""
    parent = names.environment(names.ANY, names.ANY) if every else run.environment()
    async with run.client() as client:
        await run.out.many(
            client.apps.list(parent),
            Tables(run.around.now()).apps,
            empty="No apps yet: skerry deploy -f docker-compose.yml",
        )


@command(app, "get", examples="skerry app get web -o yaml")
async def get_app(run: Run, name: AppName) -> None:
    """Show one app; `skerry status APP` shows its services and pods."""
    async with run.client() as client:
        run.out.one(await client.apps.get(run.app(name)), Tables(run.around.now()).apps)


@command(
    app,
    "delete",
    examples="""
        skerry app delete web
        skerry app delete web --delete-volumes --yes
    """,
)
async def delete_app(
    run: Run,
    name: AppName,
    delete_volumes: Annotated[
        bool, typer.Option("--delete-volumes", help="Delete its volumes and the data in them.")
    ] = False,
    yes: Yes = False,
    wait: Wait = True,
    within: Within = "5m",
) -> None:
    """Delete an app. Its volumes stay unless --delete-volumes is given."""
    volumes = " with ITS VOLUMES AND THEIR DATA" if delete_volumes else " (its volumes stay)"
    run.confirm(f"Delete app {name}{volumes}?", yes=yes)
    async with run.client() as client:
        operation = await client.apps.delete(run.app(name), delete_volumes=delete_volumes)
        if wait:
            await wait_for(run, client, operation, within)
    run.out.say(f"App {name} is {'deleted' if wait else 'being deleted'}")
