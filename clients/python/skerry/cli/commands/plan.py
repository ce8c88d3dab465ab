"""`skerry plan`: what a deploy would do."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry.cli.command import command, single
from skerry.cli.deploying import diagnostics, facts
from skerry.cli.deploying.project import AppId, EnvFiles, Files, explained, read_project
from skerry.cli.exit_codes import ExitCode
from skerry.cli.output.tables import Tables
from skerry.cli.output.writer import Format
from skerry.cli.run import Run
from skerry.platform.v1 import app_pb2

app = single()


@command(
    app,
    "plan",
    examples="""
        skerry plan -f docker-compose.yml
        skerry plan -f docker-compose.yml --no-diff
        skerry plan -f - --app web --manifests < docker-compose.yml
    """,
)
async def plan(
    run: Run,
    files: Files = None,
    env_file: EnvFiles = None,
    app_name: AppId = "",
    diff: Annotated[
        bool,
        typer.Option("--diff/--no-diff", help="Show how the objects that change would change."),
    ] = True,
    manifests: Annotated[
        bool, typer.Option("--manifests", help="Print the manifests instead.")
    ] = False,
) -> int:
    """Show what a deploy would do; changes nothing.

    Findings about the compose files go to stderr, the changes and what becomes of services and volumes
    to stdout. Exit code 1 when the project would be refused.
    """
    collected, app_id = read_project(run, files, env_file, app_name)
    async with run.client() as client, explained(run, client):
        answer = await client.apps.plan(run.environment(), app_id, collected.bundle)
    diagnostics.show(run, answer.diagnostics)
    if run.out.form in (Format.JSON, Format.YAML):
        run.out.structured(answer)
    elif manifests:
        run.out.line(answer.manifests.rstrip("\n"))
    elif run.out.form is Format.NAME:
        for change in answer.changes:
            run.out.line(f"{change.kind}/{change.object_name}".lower())
    else:
        if answer.changes:
            show_changes(run, answer, diff=diff)
        facts.show(run, answer)
    if answer.rejected:
        run.out.insist("A deploy of this would be refused")
        return ExitCode.FAILED
    return ExitCode.OK


def show_changes(run: Run, answer: app_pb2.PlanAppResponse, *, diff: bool) -> None:
    """The table of changes, and the diffs of what is there already and changes."""
    run.out.table(Tables(run.around.now()).changes, list(answer.changes))
    for change in answer.changes if diff else ():
        if change.diff and change.action == app_pb2.CHANGE_ACTION_UPDATE:
            run.out.line(f"\n{change.kind} {change.object_name}:\n{change.diff.rstrip()}")
