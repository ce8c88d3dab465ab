"""`skerry deploy`: a compose project becomes running pods."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry import names
from skerry.cli.command import command, single
from skerry.cli.deploying.project import (
    AppId,
    EnvFiles,
    Files,
    explained,
    make_parents,
    read_project,
)
from skerry.cli.deploying.rollout import follow_rollout
from skerry.cli.options import Wait, Within
from skerry.cli.output.writer import Format
from skerry.cli.run import Run

app = single()


@command(
    app,
    "deploy",
    examples="""
        skerry deploy
        skerry deploy -f docker-compose.yml -f production.yml --env-file prod.env
        skerry deploy --project shop --env prod --create
        skerry deploy --detach -o json
    """,
)
async def deploy(
    run: Run,
    files: Files = None,
    env_file: EnvFiles = None,
    app_name: AppId = "",
    create: Annotated[
        bool, typer.Option("--create", help="Make the project and environment if need be.")
    ] = False,
    wait: Wait = True,
    within: Within = "10m",
) -> None:
    """Deploy a compose project and follow the rollout.

    Sent are the compose files and the files they name inside the project's folder, at most 1 MiB.
    Ctrl-C stops watching, not the rollout.
    """
    collected, app_id = read_project(run, files, env_file, app_name)
    async with run.client() as client:
        if create:
            await make_parents(run, client)
        async with explained(run, client):
            begun = await client.apps.deploy(run.environment(), app_id, collected.bundle)
        if wait:
            await follow_rollout(run, client, begun.deployment, begun.operation.name, within)
            return
    if run.out.form is not Format.TABLE:
        run.out.structured(begun)
    run.out.say(
        f"Revision {begun.revision} of {app_id} is on its way; "
        f"watch: skerry operation wait {names.last(begun.operation.name)}"
    )
