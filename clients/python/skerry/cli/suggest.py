"""What the shell offers after TAB: names from the server, if it answers within a second."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Coroutine
from typing import Any

import typer

from skerry.cli.config.resolve import Flags
from skerry.cli.run import Given, Run
from skerry.cli.surroundings import Surroundings

PATIENCE = 1.0
"""Seconds; a shell that hangs at TAB is worse than one that offers nothing."""


def apps(ctx: typer.Context, incomplete: str) -> list[str]:
    """Apps of the environment named so far."""
    return _names("apps", ctx, incomplete)


def clusters(ctx: typer.Context, incomplete: str) -> list[str]:
    return _names("clusters", ctx, incomplete)


def projects(ctx: typer.Context, incomplete: str) -> list[str]:
    return _names("projects", ctx, incomplete)


def environments(ctx: typer.Context, incomplete: str) -> list[str]:
    """Environments of the project named so far."""
    return _names("environments", ctx, incomplete)


def contexts(ctx: typer.Context, incomplete: str) -> list[str]:
    """Contexts of the configuration file."""
    found = _run(ctx).store.load().contexts
    return [name for name in found if name.startswith(incomplete)]


def _names(kind: str, ctx: typer.Context, incomplete: str) -> list[str]:
    # By name: this module is imported with every command, the client only when TAB was pressed.
    lister: Callable[[Run, str], Coroutine[Any, Any, list[str]]] = importlib.import_module(
        "skerry.cli.listing"
    ).names_of
    try:
        found = asyncio.run(asyncio.wait_for(lister(_run(ctx), kind), PATIENCE))
    except Exception:
        return []
    return [name for name in found if name.startswith(incomplete)]


def _run(ctx: typer.Context) -> Run:
    given = ctx.params
    flags = Flags(
        context=given.get("context") or "",
        server=given.get("server") or "",
        ca_file=given.get("ca_file") or "",
        insecure=bool(given.get("insecure")),
        project=given.get("project") or "",
        environment=given.get("env") or "",
    )
    return Run(Surroundings.real(), Given(flags=flags))
