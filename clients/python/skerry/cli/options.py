"""Options that several commands have, under one name and with one meaning."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry.cli.suggest import apps

AppName = Annotated[
    str, typer.Argument(metavar="APP", help="APP or PROJECT/ENV/APP.", autocompletion=apps)
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Wait = Annotated[bool, typer.Option("--wait/--detach", help="Wait until it is done, or not.")]
Within = Annotated[
    str,
    typer.Option(
        "--timeout", metavar="DURATION", help="How long to wait at most: 90s, 10m, 1h30m."
    ),
]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Go on showing changes.")]
Everywhere = Annotated[bool, typer.Option("--all", "-A", help="Of all projects.")]
Organization = Annotated[
    str, typer.Option("--organization", metavar="ORGANIZATION", help="The organization's id.")
]
