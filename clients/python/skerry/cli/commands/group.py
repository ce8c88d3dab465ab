"""`skerry group`: users who have roles together."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry import names
from skerry.cli.command import command, group
from skerry.cli.commands.user import full as full_user
from skerry.cli.options import Organization, Yes
from skerry.cli.output.access_tables import AccessTables
from skerry.cli.run import Run, resource_id

app = group("Groups of users: create, list, add, remove, delete.")

Name = Annotated[str, typer.Argument(metavar="GROUP")]
User = Annotated[str, typer.Argument(metavar="USER")]


def full(name: str, organization: str) -> str:
    """`ops` or the full name as the latter."""
    if name.startswith("organizations/"):
        return name
    return f"{names.organization(organization)}/groups/{name}"


@command(app, "list", scoped=False, examples="skerry group list --organization acme")
async def list_groups(run: Run, organization: Organization = names.DEFAULT_ORGANIZATION) -> None:
    """List an organization's groups and who is in them."""
    async with run.client() as client:
        await run.out.many(
            client.members.list_groups(names.organization(organization)),
            AccessTables(run.around.now()).groups,
            empty="No groups yet: skerry group create NAME",
        )


@command(app, "create", scoped=False, examples="skerry group create ops")
async def create_group(
    run: Run, name: Name, organization: Organization = names.DEFAULT_ORGANIZATION
) -> None:
    """Make an empty group."""
    async with run.client() as client:
        await client.members.create_group(
            resource_id(name, "a group", 40), parent=names.organization(organization)
        )
    run.out.say(f"Group {name} is made")


@command(app, "add", scoped=False, examples="skerry group add ops anne")
async def add(
    run: Run, name: Name, user: User, organization: Organization = names.DEFAULT_ORGANIZATION
) -> None:
    """Put a user into a group."""
    async with run.client() as client:
        await client.members.add_to_group(full(name, organization), full_user(user))
    run.out.say(f"{user} is in {name}")


@command(app, "remove", scoped=False, examples="skerry group remove ops anne")
async def remove(
    run: Run, name: Name, user: User, organization: Organization = names.DEFAULT_ORGANIZATION
) -> None:
    """Take a user out of a group."""
    async with run.client() as client:
        await client.members.remove_from_group(full(name, organization), full_user(user))
    run.out.say(f"{user} is no longer in {name}")


@command(app, "delete", scoped=False, examples="skerry group delete ops --yes")
async def delete_group(
    run: Run,
    name: Name,
    organization: Organization = names.DEFAULT_ORGANIZATION,
    yes: Yes = False,
) -> None:
    """Delete a group and the roles it has."""
    run.confirm(f"Delete group {name} and its roles?", yes=yes)
    async with run.client() as client:
        await client.members.delete_group(full(name, organization))
    run.out.say(f"Group {name} is deleted")
