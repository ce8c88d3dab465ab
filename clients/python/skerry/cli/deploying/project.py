"""From the options of `plan` and `deploy` to a bundle and an app, and the help when a parent is missing."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated

import typer

import skerry
from skerry import errors, names
from skerry.cli.bundle.collect import Collected, Inputs, collect
from skerry.cli.exit_codes import CliError, ExitCode, UsageError
from skerry.cli.operations import wait_for
from skerry.cli.output.tone import Tone
from skerry.cli.run import Run, resource_id
from skerry.cli.suggest import apps

Files = Annotated[
    list[str] | None,
    typer.Option(
        "--file",
        "-f",
        metavar="FILE",
        help="Compose file; repeat to override; - reads stdin. [default: compose.yaml]",
    ),
]
EnvFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--env-file", metavar="FILE", help="Variables for ${…} instead of .env; may be repeated."
    ),
]
AppId = Annotated[
    str,
    typer.Option(
        "--app",
        "-a",
        metavar="APP",
        help="The app. [default: the compose file's name, or the folder's]",
        autocompletion=apps,
    ),
]


def read_project(
    run: Run, files: Sequence[str] | None, env_files: Sequence[str] | None, app: str
) -> tuple[Collected, str]:
    """The bundle and the app's id; says what is left out. Raises UsageError."""
    collected = collect(
        Inputs(
            files or (),
            env_files or (),
            run.around.cwd,
            run.around.environ,
            lambda most: sys.stdin.buffer.read(most),
        )
    )
    for note in collected.left_out:
        run.out.say(f"not sent: {note}", Tone.BUSY)
    chosen = app or run.settings.app.value or collected.app_id
    if not chosen:
        raise UsageError("the folder's name gives no app id: name the app with --app")
    return collected, resource_id(chosen, "an app")


async def make_parents(run: Run, client: skerry.Client) -> None:
    """Make the project and the environment where they do not exist: `--create`."""
    project, environment = run.settings.project.value, run.settings.environment.value
    try:
        await client.projects.create(resource_id(project, "a project"))
        run.out.say(f"Project {project} is made")
    except errors.AlreadyExists:
        pass
    try:
        made = await client.environments.create(run.project(), environment)
    except errors.AlreadyExists:
        return
    run.out.say(f"Environment {environment} is made")
    if made.HasField("operation"):
        await wait_for(run, client, made.operation, "2m")


@asynccontextmanager
async def explained(run: Run, client: skerry.Client) -> AsyncIterator[None]:
    """Turn the server's NOT_FOUND about a parent into the commands that make it."""
    try:
        yield
    except errors.NotFound as error:
        project, environment = run.settings.project, run.settings.environment
        missing = await _missing_parent(run, client)
        if not missing:
            raise
        commands = f"skerry env create {environment.value} --project {project.value}"
        if missing == "project":
            commands = f"skerry project create {project.value} && {commands}"
        what = project if missing == "project" else environment
        raise CliError(
            f"{missing} {what.value} (from {what.origin}) does not exist: {commands}, "
            "or deploy with --create",
            ExitCode.NOT_FOUND,
        ) from error


async def _missing_parent(run: Run, client: skerry.Client) -> str:
    for kind, get, name in (
        ("project", client.projects.get, run.project()),
        ("environment", client.environments.get, run.environment()),
    ):
        try:
            await get(name)
        except errors.NotFound:
            return kind
    return ""


def short(app: str) -> str:
    """`shop/prod/web` for a resource name."""
    return "/".join(names.split_app(app))
