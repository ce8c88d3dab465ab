"""`skerry config`: the settings in force, and where each comes from."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry.cli.command import command, group
from skerry.cli.config.resolve import Setting
from skerry.cli.output.table import Table, cells
from skerry.cli.output.writer import Format
from skerry.cli.run import Run

app = group("Show the settings in force.")


@command(app, "view", examples="skerry config view --show-origin\nskerry config view -o json")
async def view(
    run: Run,
    show_origin: Annotated[
        bool, typer.Option("--show-origin", help="Say where each value comes from.")
    ] = False,
) -> None:
    """Show what a command would use: server, context, project, environment. Secrets are not shown."""
    settings = run.settings
    ca = settings.ca
    rows = {
        "context": settings.context,
        "server": settings.server,
        "token": Setting("(set)" if settings.token.value else "", settings.token.origin),
        "ca": Setting(ca.value if settings.ca_is_file else "(set)" if ca.value else "", ca.origin),
        "insecure": settings.insecure,
        "project": settings.project,
        "environment": settings.environment,
        "app": settings.app,
    }
    if run.out.form in (Format.JSON, Format.YAML):
        run.out.data({k: {"value": s.value, "origin": s.origin} for k, s in rows.items()})
        return
    headings = ("SETTING", "VALUE", *(("ORIGIN",) if show_origin else ()))
    table: Table[tuple[str, Setting]] = Table(
        headings, lambda row: cells(row[0], row[1].value, row[1].origin)[: len(headings)]
    )
    run.out.table(table, list(rows.items()))


@command(app, "path", scoped=False, examples="skerry config path")
async def path(run: Run) -> None:
    """Print where the configuration file is."""
    run.out.line(str(run.store.path))
