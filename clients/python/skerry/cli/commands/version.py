"""`skerry version`: who is talking to whom."""

from __future__ import annotations

from typing import Annotated

import typer

import skerry
from skerry.cli.command import command, single
from skerry.cli.output.writer import Format
from skerry.cli.run import Run

app = single()


@command(app, "version", scoped=False, examples="skerry version\nskerry version --client")
async def version(
    run: Run,
    client: Annotated[bool, typer.Option("--client", help="Do not ask the server.")] = False,
) -> None:
    """Show the versions of the client and the server."""
    versions = {"client": skerry.__version__}
    if not client and run.settings.server.value:
        async with run.client() as connected:
            versions["server"] = (await connected.server.info()).version
    if run.out.form in (Format.JSON, Format.YAML):
        run.out.data(versions)
        return
    for name, value in versions.items():
        run.out.line(f"{name} {value}")
