"""`skerry member`: who has which role where."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry import names
from skerry.cli.command import command, group
from skerry.cli.options import Yes
from skerry.cli.output.access_tables import AccessTables
from skerry.cli.run import Run

app = group("Members: who has which role where.")

Subject = Annotated[
    str,
    typer.Argument(
        metavar="SUBJECT", help="users/USER, or the full name of a group or service account."
    ),
]
Role = Annotated[
    str,
    typer.Option(
        "--role", metavar="ROLE", help="viewer, developer, maintainer, owner, or a custom role."
    ),
]
On = Annotated[
    str,
    typer.Option(
        "--on",
        metavar="RESOURCE",
        help="organizations/…, its projects and environments, clusters/…, or `platform`.",
    ),
]
DEFAULT = names.organization()


def resource(text: str) -> str:
    """The API's word for the whole platform is the empty name."""
    return "" if text == "platform" else text


@command(app, "list", scoped=False, examples="skerry member list --on organizations/acme")
async def list_members(run: Run, on: On = DEFAULT) -> None:
    """List the roles granted on a resource itself; those granted above hold there too."""
    async with run.client() as client:
        await run.out.many(
            client.members.list(resource(on)),
            AccessTables(run.around.now()).members,
            empty=f"No roles are granted on {on} itself",
        )


@command(
    app,
    "add",
    scoped=False,
    examples="""
        skerry member add users/anne --role developer
        skerry member add users/bob --role viewer --on organizations/default/projects/shop
        skerry member add organizations/acme/groups/ops --role viewer --on clusters/home
    """,
)
async def add(run: Run, subject: Subject, role: Role, on: On = DEFAULT) -> None:
    """Give a role on a resource and everything below."""
    async with run.client() as client:
        await client.members.grant(resource(on), subject, role)
    run.out.say(f"{subject} is {role} on {on}")


@command(
    app, "remove", scoped=False, examples="skerry member remove users/anne --role developer --yes"
)
async def remove(
    run: Run, subject: Subject, role: Role, on: On = DEFAULT, yes: Yes = False
) -> None:
    """Take a role; streams that needed it end at once."""
    run.confirm(f"Take the role {role} on {on} from {subject}?", yes=yes)
    async with run.client() as client:
        await client.members.revoke(resource(on), subject, role)
    run.out.say(f"{subject} is no longer {role} on {on}")
