"""`skerry organization`: the walls between tenants."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry import names
from skerry.cli.command import command, group
from skerry.cli.options import Yes
from skerry.cli.output.access_tables import AccessTables
from skerry.cli.run import Run, resource_id

app = group("Organizations: create, list, delete.")

Name = Annotated[str, typer.Argument(metavar="ORGANIZATION")]


@command(app, "list", scoped=False, examples="skerry organization list")
async def list_organizations(run: Run) -> None:
    """List the organizations that you have anything to do with."""
    async with run.client() as client:
        await run.out.many(
            client.organizations.list(),
            AccessTables(run.around.now()).organizations,
            empty="You belong to no organization: ask an owner for a role",
        )


@command(app, "create", scoped=False, examples="skerry organization create acme")
async def create_organization(run: Run, name: Name) -> None:
    """Make an organization that you own."""
    async with run.client() as client:
        await client.organizations.create(resource_id(name, "an organization"))
    run.out.say(f"Organization {name} is made, and you own it")


@command(app, "delete", scoped=False, examples="skerry organization delete acme --yes")
async def delete_organization(run: Run, name: Name, yes: Yes = False) -> None:
    """Delete an organization that has no projects left."""
    run.confirm(f"Delete organization {name} and all roles in it?", yes=yes)
    async with run.client() as client:
        await client.organizations.delete(names.organization(name))
    run.out.say(f"Organization {name} is deleted")
