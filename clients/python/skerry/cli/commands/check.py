"""`skerry check`: what there is to say about a compose project, in less time than a plan."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from skerry.cli.command import command, single
from skerry.cli.deploying import diagnostics, facts
from skerry.cli.deploying.project import AppId, EnvFiles, Files, explained, read_project
from skerry.cli.exit_codes import ExitCode
from skerry.cli.output.writer import Format
from skerry.cli.run import Run
from skerry.platform.v1 import app_pb2

app = single()


class CheckForm(StrEnum):
    """The forms of every command, and one for pull requests."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"
    GITHUB = "github"


@command(
    app,
    "check",
    examples="""
        skerry check -f docker-compose.yml
        skerry check -f docker-compose.yml --profile debug
        skerry check -f docker-compose.yml -o github
        skerry check -f - --quiet < docker-compose.yml
        skerry check --schema > compose.schema.json
    """,
)
async def check(
    run: Run,
    files: Files = None,
    env_file: EnvFiles = None,
    app_name: AppId = "",
    profiles: Annotated[
        list[str] | None,
        typer.Option("--profile", metavar="PROFILE", help="Active profile; may be repeated."),
    ] = None,
    schema: Annotated[
        bool,
        typer.Option(
            "--schema", help="Print the JSON Schema of compose files for editors instead."
        ),
    ] = False,
    output: Annotated[
        CheckForm, typer.Option("--output", "-o", help="Form of the result.")
    ] = CheckForm.TABLE,
) -> int:
    """Show the findings about a compose project; the cluster is not asked.

    Findings go to stderr, what becomes of the services to stdout; github prints the findings as workflow
    commands to stdout, which show them beside the lines of a pull request. Exit code 1 when a deploy
    would be refused.
    """
    if schema:
        async with run.client() as client, explained(run, client):
            run.out.line(await client.apps.compose_schema(run.environment()))
        return ExitCode.OK
    collected, app_id = read_project(run, files, env_file, app_name)
    async with run.client() as client, explained(run, client):
        answer = await client.apps.check(
            run.environment(), collected.bundle, app_id=app_id, profiles=profiles or ()
        )
    if output is CheckForm.GITHUB:
        for found in answer.diagnostics:
            run.out.line(diagnostics.workflow_command(found))
    else:
        diagnostics.show(run, answer.diagnostics)
        _show(run, answer)
    run.out.say(diagnostics.summary(answer.diagnostics))
    return ExitCode.FAILED if answer.rejected else ExitCode.OK


def _show(run: Run, answer: app_pb2.CheckAppResponse) -> None:
    if run.out.form in (Format.JSON, Format.YAML):
        run.out.structured(answer)
        return
    if run.out.form is Format.NAME:
        for service in answer.services:
            run.out.line(service.service)
        return
    facts.show(run, answer)
