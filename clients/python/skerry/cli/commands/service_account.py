"""`skerry service-account`: accounts for programs, and their tokens."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry import names
from skerry.cli.command import command, group
from skerry.cli.commands.token import For, Ttl
from skerry.cli.durations import parse_duration
from skerry.cli.options import Organization, Yes
from skerry.cli.output.access_tables import AccessTables
from skerry.cli.run import Run, resource_id

app = group("Service accounts: create, list, tokens, delete.")

Name = Annotated[str, typer.Argument(metavar="ACCOUNT")]


def full(name: str, organization: str) -> str:
    """`ci` or the full name as the latter."""
    if name.startswith("organizations/"):
        return name
    return f"{names.organization(organization)}/serviceAccounts/{name}"


@command(app, "list", scoped=False, examples="skerry service-account list")
async def list_accounts(run: Run, organization: Organization = names.DEFAULT_ORGANIZATION) -> None:
    """List an organization's service accounts."""
    async with run.client() as client:
        await run.out.many(
            client.members.list_accounts(names.organization(organization)),
            AccessTables(run.around.now()).service_accounts,
            empty="No service accounts yet: skerry service-account create NAME",
        )


@command(app, "create", scoped=False, examples="skerry service-account create ci")
async def create_account(
    run: Run, name: Name, organization: Organization = names.DEFAULT_ORGANIZATION
) -> None:
    """Make an account, which has no role yet."""
    async with run.client() as client:
        account = await client.members.create_account(
            resource_id(name, "a service account", 40), parent=names.organization(organization)
        )
    run.out.say(f"{account.name} is made. Next: skerry member add {account.name} --role developer")


@command(app, "token", scoped=False, examples="skerry service-account token ci pipeline --ttl 30d")
async def create_token(
    run: Run,
    name: Name,
    purpose: For,
    ttl: Ttl = "90d",
    organization: Organization = names.DEFAULT_ORGANIZATION,
) -> None:
    """Make a token and print it: it is shown here and nowhere else."""
    life = parse_duration(ttl)
    async with run.client() as client:
        made = await client.members.create_account_token(
            full(name, organization), purpose, ttl=life
        )
    run.out.line(made.secret)
    run.out.say(f"{made.token.name}: keep it now, it is not shown again")


@command(app, "tokens", scoped=False, examples="skerry service-account tokens ci")
async def list_tokens(
    run: Run, name: Name, organization: Organization = names.DEFAULT_ORGANIZATION
) -> None:
    """List an account's tokens, newest first."""
    async with run.client() as client:
        await run.out.many(
            client.members.list_account_tokens(full(name, organization)),
            AccessTables(run.around.now()).tokens,
            empty="No tokens",
        )


@command(
    app,
    "revoke",
    scoped=False,
    examples="skerry service-account revoke organizations/default/serviceAccounts/ci/tokens/01j... --yes",
)
async def revoke(
    run: Run, token: Annotated[str, typer.Argument(metavar="TOKEN")], yes: Yes = False
) -> None:
    """End a token, with all calls and streams that it opened."""
    run.confirm(f"Revoke {token}?", yes=yes)
    async with run.client() as client:
        await client.members.revoke_account_token(token)
    run.out.say(f"{token} is revoked")


@command(app, "delete", scoped=False, examples="skerry service-account delete ci --yes")
async def delete_account(
    run: Run,
    name: Name,
    organization: Organization = names.DEFAULT_ORGANIZATION,
    yes: Yes = False,
) -> None:
    """Delete an account with its roles and tokens."""
    run.confirm(f"Delete service account {name}?", yes=yes)
    async with run.client() as client:
        await client.members.delete_account(full(name, organization))
    run.out.say(f"Service account {name} is deleted")
