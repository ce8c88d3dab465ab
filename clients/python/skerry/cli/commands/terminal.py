"""`skerry terminal`: terminals that were left running."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from skerry import names
from skerry.cli.attached import attached
from skerry.cli.command import command, group
from skerry.cli.detach_keys import DEFAULT, DetachKeys, parse
from skerry.cli.exit_codes import CliError
from skerry.cli.options import Yes
from skerry.cli.output.tables import Tables
from skerry.cli.run import Run
from skerry.cli.terminal import window_size

app = group("Terminals that run on: list, attach, close.")

Name = Annotated[
    str, typer.Argument(metavar="TERMINAL", help="As `skerry terminal list` shows it.")
]


def full(text: str) -> str:
    """`01jd…` or `terminals/01jd…` as a resource name."""
    return text if text.startswith("terminals/") else names.terminal(text.lower())


@command(
    app, "list", scoped=False, examples="skerry terminal list\nskerry terminal list --all-owners"
)
async def list_terminals(
    run: Run,
    all_owners: Annotated[
        bool,
        typer.Option("--all-owners", help="Others' too, where you manage the environment."),
    ] = False,
) -> None:
    """List your open terminals, newest first."""
    async with run.client() as client:
        await run.out.many(
            client.terminals.list(all_owners=all_owners),
            Tables(run.around.now()).terminals,
            empty="No terminal is open",
        )


@command(app, "attach", scoped=False, examples="skerry terminal attach 01jd…")
async def attach_terminal(
    run: Run,
    name: Name,
    scrollback: Annotated[
        int,
        typer.Option(
            "--scrollback", metavar="BYTES", min=0, help="Only the last of what it printed before."
        ),
    ] = 0,
    detach_keys: Annotated[
        str,
        typer.Option(
            "--detach-keys", metavar="KEYS", help="Keys that leave it running; empty for none."
        ),
    ] = DEFAULT,
) -> int:
    """Go on with a terminal; a client that is attached is sent away.

    What it printed before is shown first. Its exit code becomes this one's.
    """
    keys = DetachKeys(parse(detach_keys))
    if not run.around.stdin_is_terminal:
        raise CliError("standard input is no terminal: a terminal can only be attached to one")
    in_ = sys.stdin.fileno()
    async with (
        run.client() as client,
        client.terminals.attach(
            full(name), scrollback=scrollback, size=window_size(in_)
        ) as terminal,
    ):
        return await attached(run, terminal, keys, in_, sys.stdout.fileno(), sys.stderr.fileno())


@command(app, "close", scoped=False, examples="skerry terminal close 01jd… --yes")
async def close_terminal(run: Run, name: Name, yes: Yes = False) -> None:
    """End the command of a terminal."""
    run.confirm(f"End the command of {full(name)}?", yes=yes)
    async with run.client() as client:
        await client.terminals.close(full(name))
    run.out.say("Closed")
