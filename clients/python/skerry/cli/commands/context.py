"""`skerry context`: the servers one is logged in to. Reads and writes the configuration file only."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from skerry.cli.command import command, group
from skerry.cli.config.store import Config, Context
from skerry.cli.exit_codes import CliError, ExitCode
from skerry.cli.options import Yes
from skerry.cli.output.table import Table, cells
from skerry.cli.output.writer import Format
from skerry.cli.run import Run
from skerry.cli.suggest import contexts

app = group("Contexts: the servers you are logged in to.")

Name = Annotated[str, typer.Argument(metavar="NAME", autocompletion=contexts)]


@command(app, "list", scoped=False, examples="skerry context list")
async def list_contexts(run: Run) -> None:
    """List the contexts; the current one is marked."""
    config = run.store.load()
    rows = list(config.contexts.items())
    match run.out.form:
        case Format.TABLE if rows:
            run.out.table(_table(config), rows)
        case Format.TABLE:
            run.out.say("No contexts yet: skerry login SERVER")
        case Format.NAME:
            for name, _ in rows:
                run.out.line(name)
        case _:
            run.out.data({"contexts": [_public(name, context, config) for name, context in rows]})


@command(app, "get", scoped=False, examples="skerry context get home -o json")
async def get_context(run: Run, name: Name) -> None:
    """Show one context, without its token."""
    config = run.store.load()
    context = _find(config, name)
    match run.out.form:
        case Format.TABLE:
            run.out.table(_table(config), [(name, context)])
        case Format.NAME:
            run.out.line(name)
        case _:
            run.out.data(_public(name, context, config))


@command(app, "use", scoped=False, examples="skerry context use home")
async def use_context(run: Run, name: Name) -> None:
    """Make a context the one used when none is named."""
    config = run.store.load()
    context = _find(config, name)
    run.store.save(replace(config, current=name))
    run.out.say(f"Context {name} ({context.server}) is the current one")


@command(app, "delete", scoped=False, examples="skerry context delete home --yes")
async def delete_context(
    run: Run,
    name: Name,
    yes: Yes = False,
) -> None:
    """Forget a context and its token."""
    config = run.store.load()
    _find(config, name)
    run.confirm(f"Forget context {name} and its token?", yes=yes)
    run.store.save(config.without_context(name))
    run.out.say(f"Context {name} is forgotten")


def _find(config: Config, name: str) -> Context:
    if name not in config.contexts:
        known = ", ".join(config.contexts) or "none yet"
        raise CliError(f"there is no context {name!r}; known: {known}", ExitCode.NOT_FOUND)
    return config.contexts[name]


def _table(config: Config) -> Table[tuple[str, Context]]:
    return Table(
        ("CURRENT", "NAME", "SERVER", "PROJECT", "ENV", "LOGGED IN"),
        lambda row: cells(
            "*" if row[0] == config.current else "",
            row[0],
            row[1].server,
            row[1].project,
            row[1].environment,
            "yes" if row[1].token else "no",
        ),
    )


def _public(name: str, context: Context, config: Config) -> dict[str, object]:
    return {
        "name": name,
        "current": name == config.current,
        "server": context.server,
        "insecure": context.insecure,
        "ownCa": bool(context.ca),
        "project": context.project,
        "environment": context.environment,
        "loggedIn": bool(context.token),
    }
