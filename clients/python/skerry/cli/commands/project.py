"""`skerry project`: what belongs together."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry import names
from skerry.cli.command import command, group
from skerry.cli.options import Yes
from skerry.cli.output.tables import Tables
from skerry.cli.output.writer import Format
from skerry.cli.run import Run, resource_id
from skerry.cli.suggest import projects

app = group("Projects: create, list, get, delete.")

Name = Annotated[str, typer.Argument(metavar="PROJECT", autocompletion=projects)]


def full(text: str) -> str:
    """`shop` or a full resource name as the latter."""
    return text if text.startswith("organizations/") else names.project(text)


@command(app, "list", scoped=False, examples="skerry project list")
async def list_projects(run: Run) -> None:
    """List the projects."""
    async with run.client() as client:
        await run.out.many(
            client.projects.list(),
            Tables(run.around.now()).projects,
            empty="No projects yet: skerry project create NAME",
        )


@command(app, "get", scoped=False, examples="skerry project get shop")
async def get_project(run: Run, name: Name) -> None:
    """Show one project."""
    async with run.client() as client:
        run.out.one(await client.projects.get(full(name)), Tables(run.around.now()).projects)


@command(app, "create", scoped=False, examples="skerry project create shop")
async def create_project(
    run: Run,
    name: Annotated[str, typer.Argument(metavar="PROJECT", help="Its id.")],
    display_name: Annotated[
        str, typer.Option("--display-name", metavar="TEXT", help="For people.")
    ] = "",
) -> None:
    """Make a project."""
    async with run.client() as client:
        project = await client.projects.create(
            resource_id(name, "a project"), display_name=display_name
        )
    if run.out.form is not Format.TABLE:
        run.out.structured(project)
    run.out.say(f"Project {name} is made. Next: skerry env create ENV --project {name}")


@command(app, "delete", scoped=False, examples="skerry project delete shop --yes")
async def delete_project(
    run: Run,
    name: Name,
    yes: Yes = False,
) -> None:
    """Delete a project that has no environments left."""
    run.confirm(f"Delete project {name}?", yes=yes)
    async with run.client() as client:
        await client.projects.delete(full(name))
    run.out.say(f"Project {name} is deleted")
