"""`skerry variable`: what compose files are filled in with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skerry.cli.bundle.variables import parse_env_file
from skerry.cli.command import command, group
from skerry.cli.exit_codes import UsageError
from skerry.cli.options import Yes
from skerry.cli.output.variable_tables import VariableTables
from skerry.cli.output.writer import Format
from skerry.cli.run import Run
from skerry.cli.variable_scope import AtApp, AtOrganization, place, scope

app = group("Variables for ${…} in compose files: set, list, import, delete.")

_FILE_MAX = 1 << 20


@command(
    app,
    "set",
    examples="""
        skerry variable set LOG_LEVEL=info PORT=8080 --project shop --env prod
        skerry variable set SMTP_HOST=mail.example --org default
    """,
)
async def set_variables(
    run: Run,
    values: Annotated[
        list[str], typer.Argument(metavar="KEY=VALUE...", help="What to set; others stay.")
    ],
    organization: AtOrganization = "",
    app_name: AtApp = "",
) -> None:
    """Set plain variables, at the environment or where the options say.

    Of the same name the nearest wins: app, environment, project, organization. The next deploy gets them. For what must not be
    seen use `skerry secret set`.
    """
    given: dict[str, str] = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals:
            raise UsageError(f"{key!r} has no value: write KEY=VALUE")
        given[key] = value
    parent = scope(run, organization, app_name)
    async with run.client() as client:
        done = await client.variables.set(parent, given)
    _said(run, [item.key for item in done], parent)


@command(
    app,
    "list",
    examples="skerry variable list --project shop --env prod\nskerry variable list --app web --effective",
)
async def list_variables(
    run: Run,
    effective: Annotated[
        bool,
        typer.Option(
            "--effective", help="What a deploy there gets, where it comes from, and what it hides."
        ),
    ] = False,
    organization: AtOrganization = "",
    app_name: AtApp = "",
) -> None:
    """List variables and secrets; the values of secrets are never shown."""
    parent = scope(run, organization, app_name)
    tables = VariableTables(run.around.now())
    empty = f"No variables at {place(parent)}: skerry variable set KEY=VALUE"
    async with run.client() as client:
        if effective:
            run.out.all(await client.variables.effective(parent), tables.effective, empty=empty)
            return
        await run.out.many(client.variables.list(parent), tables.variables, empty=empty)


@command(
    app,
    "import",
    examples="skerry variable import .env --app web\nskerry variable import prod.env --secret --env prod",
)
async def import_variables(
    run: Run,
    file: Annotated[str, typer.Argument(metavar="FILE", help="KEY=VALUE lines, as in .env.")],
    secret: Annotated[bool, typer.Option("--secret", help="Set them as secrets.")] = False,
    organization: AtOrganization = "",
    app_name: AtApp = "",
) -> None:
    """Set all variables of an env file."""
    given = _read(run.around.cwd / file)
    parent = scope(run, organization, app_name)
    async with run.client() as client:
        set_all = client.variables.set_secrets if secret else client.variables.set
        done = await set_all(parent, given)
    _said(run, [item.key for item in done], parent)


@command(app, "delete", examples="skerry variable delete LOG_LEVEL --env prod --yes")
async def delete_variables(
    run: Run,
    keys: Annotated[list[str], typer.Argument(metavar="KEY...")],
    organization: AtOrganization = "",
    app_name: AtApp = "",
    yes: Yes = False,
) -> None:
    """Delete plain variables; one further away counts again."""
    parent = scope(run, organization, app_name)
    run.confirm(f"Delete {', '.join(keys)} of {place(parent)}?", yes=yes)
    async with run.client() as client:
        await client.variables.delete(parent, keys)
    run.out.say(f"{', '.join(keys)} of {place(parent)} is deleted")


def _read(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_MAX + 1)
        if len(content) > _FILE_MAX:
            raise UsageError(f"{path} is larger than 1 MiB")
        found = parse_env_file(content, {})
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} is no UTF-8 text") from error
    if not found:
        raise UsageError(f"{path} sets no variables")
    return found


def _said(run: Run, keys: list[str], parent: str) -> None:
    if run.out.form is not Format.TABLE:
        run.out.data({"parent": parent, "keys": keys})
    count = "1 variable is" if len(keys) == 1 else f"{len(keys)} variables are"
    run.out.say(f"{count} set at {place(parent)}; the next deploy gets them")
