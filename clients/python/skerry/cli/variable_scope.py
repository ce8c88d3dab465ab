"""Where a variable is set: the options of `skerry variable` and `skerry secret`, and the resource that they name."""

from __future__ import annotations

from typing import Annotated

import typer

from skerry import names
from skerry.cli.exit_codes import UsageError
from skerry.cli.run import Run
from skerry.cli.suggest import apps

AtOrganization = Annotated[
    str,
    typer.Option(
        "--org", metavar="ORGANIZATION", help="At the organization: for all its projects."
    ),
]
AtApp = Annotated[
    str,
    typer.Option(
        "--app",
        "-a",
        metavar="APP",
        help="At one app, APP or PROJECT/ENV/APP; it need not be deployed yet.",
        autocompletion=apps,
    ),
]


def scope(run: Run, organization: str, app: str) -> str:
    """The resource: --org, --app, --project alone, else the environment. Raises UsageError."""
    flags = run.given.flags
    if organization:
        if app or flags.project or flags.environment:
            raise UsageError(
                "--org names the place by itself: leave --project, --env and --app out"
            )
        return names.organization(organization)
    if app:
        return run.app(app)
    if flags.project and not flags.environment:
        return run.project()
    return run.environment()


def place(resource: str) -> str:
    """What people call it: `app shop/prod/web`."""
    parts = resource.split("/")
    noun = {2: "organization", 4: "project", 6: "environment", 8: "app"}.get(len(parts), "")
    ids = parts[1:2] if len(parts) == 2 else parts[3::2]
    return f"{noun} {'/'.join(ids)}"
