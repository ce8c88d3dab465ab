"""`skerry role`: what roles allow, and roles of an organization's own."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry import names
from skerry.cli.command import command, group
from skerry.cli.exit_codes import UsageError
from skerry.cli.options import Organization, Yes
from skerry.cli.output.access_tables import AccessTables, permission_word
from skerry.cli.run import Run, resource_id
from skerry.platform.v1 import rule_pb2

app = group("Roles: list, create, delete.")

Name = Annotated[str, typer.Argument(metavar="ROLE")]
PERMISSIONS = {permission_word(value): value for value in rule_pb2.Permission.values() if value}


def parse_permissions(words: list[str]) -> list[rule_pb2.Permission.ValueType]:
    """Raises UsageError for a word that is no permission."""
    for word in words:
        if word not in PERMISSIONS:
            raise UsageError(f"{word!r} is no permission; these are: {', '.join(PERMISSIONS)}")
    return [PERMISSIONS[word] for word in words]


@command(app, "list", scoped=False, examples="skerry role list")
async def list_roles(run: Run, organization: Organization = names.DEFAULT_ORGANIZATION) -> None:
    """List the built-in roles and an organization's own, with what they allow."""
    async with run.client() as client:
        await run.out.many(
            client.members.list_roles(names.organization(organization)),
            AccessTables(run.around.now()).roles,
            empty="No roles",
        )


@command(
    app,
    "create",
    scoped=False,
    examples="skerry role create deployer --permission resources.read --permission apps.deploy",
)
async def create_role(
    run: Run,
    name: Name,
    permission: Annotated[
        list[str], typer.Option("--permission", metavar="PERMISSION", help="What it allows.")
    ],
    organization: Organization = names.DEFAULT_ORGANIZATION,
) -> None:
    """Make a role; it can allow what you hold yourself."""
    wanted = parse_permissions(permission)
    async with run.client() as client:
        role = await client.members.create_role(
            resource_id(name, "a role", 40), wanted, parent=names.organization(organization)
        )
    run.out.say(f"Role {role.name} is made")


@command(app, "delete", scoped=False, examples="skerry role delete deployer --yes")
async def delete_role(
    run: Run,
    name: Name,
    organization: Organization = names.DEFAULT_ORGANIZATION,
    yes: Yes = False,
) -> None:
    """Delete a role that nobody has."""
    run.confirm(f"Delete role {name}?", yes=yes)
    full = name if "/" in name else f"{names.organization(organization)}/roles/{name}"
    async with run.client() as client:
        await client.members.delete_role(full)
    run.out.say(f"Role {name} is deleted")
