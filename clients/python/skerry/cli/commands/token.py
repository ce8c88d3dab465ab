"""`skerry token`: your own tokens and sessions."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry.cli.command import command, group
from skerry.cli.commands.role import parse_permissions
from skerry.cli.durations import parse_duration
from skerry.cli.options import Yes
from skerry.cli.output.access_tables import AccessTables
from skerry.cli.run import Run

app = group("Your tokens and sessions: create, list, revoke.")

Ttl = Annotated[
    str, typer.Option("--ttl", metavar="DURATION", help="How long it lives; at most 366d.")
]
For = Annotated[str, typer.Argument(metavar="FOR", help="What it is for, for people.")]


@command(app, "list", scoped=False, examples="skerry token list")
async def list_tokens(run: Run) -> None:
    """List your tokens and sessions, newest first."""
    async with run.client() as client:
        await run.out.many(
            client.sessions.list_tokens(), AccessTables(run.around.now()).tokens, empty="None"
        )


@command(
    app,
    "create",
    scoped=False,
    examples="""
        skerry token create laptop
        skerry token create ci --ttl 30d --scope organizations/default/projects/shop --permission apps.deploy
    """,
)
async def create_token(
    run: Run,
    name: For,
    ttl: Ttl = "90d",
    scope: Annotated[
        str, typer.Option("--scope", metavar="RESOURCE", help="Good for this and below only.")
    ] = "",
    permission: Annotated[
        list[str] | None,
        typer.Option("--permission", metavar="PERMISSION", help="Good for this only."),
    ] = None,
) -> None:
    """Make a token and print it: it is shown here and nowhere else."""
    life = parse_duration(ttl)
    wanted = parse_permissions(permission or [])
    async with run.client() as client:
        made = await client.sessions.create_token(name, scope=scope, permissions=wanted, ttl=life)
    run.out.line(made.secret)
    run.out.say(f"{made.token.name}: keep it now, it is not shown again")


@command(app, "revoke", scoped=False, examples="skerry token revoke users/anne/tokens/01j... --yes")
async def revoke(
    run: Run,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `skerry token list` shows it.")],
    yes: Yes = False,
) -> None:
    """End a token or session, with all calls and streams that it opened."""
    run.confirm(f"Revoke {name}?", yes=yes)
    async with run.client() as client:
        await client.sessions.revoke_token(name)
    run.out.say(f"{name} is revoked")
