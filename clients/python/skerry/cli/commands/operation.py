"""`skerry operation`: long-running work."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry import names
from skerry.cli.command import command, group
from skerry.cli.operations import wait_for
from skerry.cli.options import Within
from skerry.cli.output.tables import Tables
from skerry.cli.output.writer import Format
from skerry.cli.run import Run

app = group("Long-running work: list, get, cancel, wait.")

Name = Annotated[str, typer.Argument(metavar="OPERATION")]


def full(text: str) -> str:
    """`01jd…` or `operations/01jd…` as a resource name."""
    return text if text.startswith("operations/") else names.operation(text.lower())


@command(
    app,
    "list",
    scoped=False,
    examples="skerry operation list --active\nskerry operation list --target shop/prod/web",
)
async def list_operations(
    run: Run,
    active: Annotated[bool, typer.Option("--active", help="Only those under way.")] = False,
    target: Annotated[
        str,
        typer.Option("--target", metavar="APP", help="Only those on this app: PROJECT/ENV/APP."),
    ] = "",
) -> None:
    """List operations, newest first."""
    async with run.client() as client:
        await run.out.many(
            client.operations.list(target=run.app(target) if target else "", active_only=active),
            Tables(run.around.now()).operations,
            empty="Nothing is under way" if active else "Nothing was done yet",
        )


@command(app, "get", scoped=False, examples="skerry operation get 01jd… -o json")
async def get_operation(run: Run, name: Name) -> None:
    """Show one operation."""
    async with run.client() as client:
        operation = await client.operations.get(full(name))
        run.out.one(operation, Tables(run.around.now()).operations)


@command(app, "cancel", scoped=False, examples="skerry operation cancel 01jd…")
async def cancel_operation(run: Run, name: Name) -> None:
    """Ask for the work to stop; what was applied stays."""
    async with run.client() as client:
        operation = await client.operations.cancel(full(name))
    if run.out.form is not Format.TABLE:
        run.out.structured(operation)
    run.out.say("It had ended before" if operation.done else "It was asked to stop")


@command(app, "wait", scoped=False, examples="skerry operation wait 01jd… --timeout 10m")
async def wait_operation(
    run: Run,
    name: Name,
    within: Within = "10m",
) -> None:
    """Wait until it is done; fails as the operation does."""
    async with run.client() as client:
        operation = await wait_for(run, client, await client.operations.get(full(name)), within)
    run.out.one(operation, Tables(run.around.now()).operations)
