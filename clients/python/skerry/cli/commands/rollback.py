"""`skerry rollback`: an earlier revision is deployed again."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry import names
from skerry.cli.command import command, single
from skerry.cli.deploying.rollout import follow_rollout
from skerry.cli.options import AppName, Wait, Within
from skerry.cli.output.writer import Format
from skerry.cli.run import Run

app = single()


@command(app, "rollback", examples="skerry rollback web\nskerry rollback web --to 3")
async def rollback(
    run: Run,
    name: AppName,
    to: Annotated[
        int,
        typer.Option(
            "--to",
            metavar="REVISION",
            min=0,
            show_default=False,
            help="The revision. [default: the last that was ready]",
        ),
    ] = 0,
    wait: Wait = True,
    within: Within = "10m",
) -> None:
    """Go back to an earlier revision.

    `skerry revisions APP` lists them. The rollback is a deployment of its own.
    """
    async with run.client() as client:
        begun = await client.apps.rollback(run.app(name), revision=to)
        run.out.say(f"Back to revision {begun.revision}")
        if wait:
            await follow_rollout(run, client, begun.deployment, begun.operation.name, within)
            return
    if run.out.form is not Format.TABLE:
        run.out.structured(begun)
    run.out.say(f"On its way; watch: skerry operation wait {names.last(begun.operation.name)}")
