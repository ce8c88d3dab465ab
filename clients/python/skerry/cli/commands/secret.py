"""`skerry secret`: variables whose values nobody reads back."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from skerry.cli.command import command, group
from skerry.cli.exit_codes import UsageError
from skerry.cli.options import Yes
from skerry.cli.output.variable_tables import VariableTables
from skerry.cli.output.writer import Format
from skerry.cli.run import Run
from skerry.cli.variable_scope import AtApp, AtOrganization, place, scope

app = group("Secrets: variables whose values are never shown: set, list, delete.")

_VALUE_MAX = 32 * 1024


@command(
    app,
    "set",
    examples="""
        skerry secret set DB_PASSWORD --project shop --env prod
        pass show shop/db | skerry secret set DB_PASSWORD --app web --stdin
        skerry secret set TLS_KEY --from-file key.pem --org default
    """,
)
async def set_secret(
    run: Run,
    key: Annotated[str, typer.Argument(metavar="KEY")],
    stdin: Annotated[
        bool, typer.Option("--stdin", help="Read the value from standard input.")
    ] = False,
    from_file: Annotated[
        str, typer.Option("--from-file", metavar="FILE", help="Take a file's content, as it is.")
    ] = "",
    organization: AtOrganization = "",
    app_name: AtApp = "",
) -> None:
    """Set a secret, at the environment or where the options say. The value is asked for, or read; never an argument.

    Arguments show in the list of processes and in the shell's history. The line end at the end of --stdin is not part of the value.
    """
    if "=" in key:
        raise UsageError(
            "a secret's value must not be an argument, which others can see: "
            f"skerry secret set {key.partition('=')[0]} asks for it"
        )
    parent = scope(run, organization, app_name)
    value = _value(run, key, stdin=stdin, from_file=from_file)
    async with run.client() as client:
        (done,) = await client.variables.set_secrets(parent, {key: value})
    if run.out.form is not Format.TABLE:
        run.out.structured(done)
    run.out.say(f"Secret {key} is set at {place(parent)}; the next deploy gets it")


@command(app, "list", examples="skerry secret list --project shop --env prod")
async def list_secrets(
    run: Run,
    organization: AtOrganization = "",
    app_name: AtApp = "",
) -> None:
    """List secrets: which are set, when and by whom."""
    parent = scope(run, organization, app_name)
    async with run.client() as client:
        found = [item async for item in client.variables.list(parent) if item.secret]
    run.out.all(
        found,
        VariableTables(run.around.now()).variables,
        empty=f"No secrets at {place(parent)}: skerry secret set KEY",
    )


@command(app, "delete", examples="skerry secret delete DB_PASSWORD --env prod --yes")
async def delete_secrets(
    run: Run,
    keys: Annotated[list[str], typer.Argument(metavar="KEY...")],
    organization: AtOrganization = "",
    app_name: AtApp = "",
    yes: Yes = False,
) -> None:
    """Delete secrets; one further away counts again. Revisions made with them keep them, encrypted."""
    parent = scope(run, organization, app_name)
    run.confirm(f"Delete {', '.join(keys)} of {place(parent)}?", yes=yes)
    async with run.client() as client:
        await client.variables.delete_secrets(parent, keys)
    run.out.say(f"{', '.join(keys)} of {place(parent)} is deleted")


def _value(run: Run, key: str, *, stdin: bool, from_file: str) -> str:
    if stdin and from_file:
        raise UsageError("choose one of --stdin and --from-file")
    try:
        if from_file:
            with (run.around.cwd / from_file).open("rb") as file:
                content = file.read(_VALUE_MAX + 1)
        elif stdin:
            content = sys.stdin.buffer.read(_VALUE_MAX + 2)
            content = content.removesuffix(b"\n").removesuffix(b"\r")
        elif run.around.stdin_is_terminal:
            asked: str = typer.prompt(
                f"Value of {key}", hide_input=True, err=True, confirmation_prompt=True
            )
            return asked
        else:
            raise UsageError("no value: give --stdin or --from-file")
        if len(content) > _VALUE_MAX:
            raise UsageError("the value is larger than 32 KiB: mount a file for that")
        return content.decode()
    except OSError as error:
        raise UsageError(f"cannot read {from_file}: {error.strerror}") from error
    except UnicodeDecodeError:
        # Not `from`: the error quotes what it read.
        raise UsageError("the value is no UTF-8 text: encode it, as with base64") from None
