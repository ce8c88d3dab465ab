"""`skerry status`: what runs, and why not when it does not."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry import names
from skerry.cli.command import command, single
from skerry.cli.live import follow
from skerry.cli.options import Everywhere, Watch
from skerry.cli.output.tables import Tables
from skerry.cli.output.tone import Tone
from skerry.cli.output.writer import Format
from skerry.cli.run import Run
from skerry.cli.suggest import apps
from skerry.platform.v1 import app_pb2

app = single()

EMPTY = "No apps yet: skerry deploy -f docker-compose.yml"


@command(
    app,
    "status",
    examples="skerry status\nskerry status web\nskerry status --all --watch",
)
async def status(
    run: Run,
    name: Annotated[
        str, typer.Argument(metavar="APP", help="All apps without it.", autocompletion=apps)
    ] = "",
    watch: Watch = False,
    every: Everywhere = False,
) -> None:
    """Show what runs, and why not when it does not.

    All apps of the environment, or one app with its services and pods.
    """
    parent = names.environment(names.ANY, names.ANY) if every else run.environment()
    wanted = run.app(name) if name else ""
    async with run.client() as client:
        if watch:
            if wanted:
                await client.apps.get(
                    wanted
                )  # One that does not exist is an error, not an empty watch.
            await follow(
                run,
                client.apps.watch(names.parent(wanted) or parent, on_cut=run.cut),
                lambda: Tables(run.around.now()).apps,
                empty=EMPTY,
                keep=lambda app: not wanted or app.name == wanted,
            )
        elif wanted:
            show(run, await client.apps.get(wanted))
        else:
            tables = Tables(run.around.now())
            await run.out.many(client.apps.list(parent), tables.apps, empty=EMPTY)


def show(run: Run, found: app_pb2.App) -> None:
    """One app with its services, pods and what is wrong."""
    tables = Tables(run.around.now())
    if run.out.form is not Format.TABLE:
        run.out.structured(found)
        return
    run.out.table(tables.apps, [found])
    pods = [pod for service in found.services for pod in service.pods]
    if found.services:
        run.out.line("")
        run.out.table(tables.services, list(found.services))
    if pods:
        run.out.line("")
        run.out.table(tables.pods, pods)
    wrong = [c.message for c in found.conditions if c.HasField("status") and not c.status]
    for message in dict.fromkeys(filter(None, wrong)):
        run.out.insist(message, Tone.BAD)
