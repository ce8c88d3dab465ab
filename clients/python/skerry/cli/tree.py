"""The tree of commands, each loaded when it is called.

`skerry exec` must start as fast as a compiled client, and most of a start is imports: so the root
knows names and summaries only, and the module of a command is imported when that command runs.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import typer
from typer.completion import get_completion_inspect_parameters
from typer.core import TyperCommand
from typer.main import get_command

from skerry.cli.quick_parameters import QuickGroup

COMMANDS: Mapping[str, tuple[str, str]] = {
    # name: (module under skerry.cli.commands, summary; a test compares it with the module's own)
    "deploy": ("deploy", "Deploy a compose project and follow the rollout."),
    "plan": ("plan", "Show what a deploy would do; changes nothing."),
    "check": ("check", "Show the findings about a compose project; the cluster is not asked."),
    "status": ("status", "Show what runs, and why not when it does not."),
    "logs": ("logs", "Print what an app's containers print."),
    "exec": ("exec", "Run a command in a container of an app."),
    "terminal": ("terminal", "Terminals that run on: list, attach, close."),
    "rollback": ("rollback", "Go back to an earlier revision."),
    "app": ("app", "Apps: list, get, delete."),
    "deployments": ("history", "List an app's deployments, newest first."),
    "revisions": ("history", "List an app's revisions, newest first."),
    "operation": ("operation", "Long-running work: list, get, cancel, wait."),
    "cluster": ("cluster", "Clusters, their join tokens and add-ons."),
    "project": ("project", "Projects: create, list, get, delete."),
    "env": ("env", "Environments: create, list, get, link, delete."),
    "variable": ("variable", "Variables for ${…} in compose files: set, list, import, delete."),
    "secret": ("secret", "Secrets: variables whose values are never shown: set, list, delete."),
    "organization": ("organization", "Organizations: create, list, delete."),
    "user": ("user", "Users: create, list, disable, enable, reset the password, delete."),
    "group": ("group", "Groups of users: create, list, add, remove, delete."),
    "role": ("role", "Roles: list, create, delete."),
    "member": ("member", "Members: who has which role where."),
    "service-account": ("service_account", "Service accounts: create, list, tokens, delete."),
    "token": ("token", "Your tokens and sessions: create, list, revoke."),
    "audit": ("audit", "The audit log: list, watch, export, verify."),
    "whoami": ("whoami", "Say who you are for the server, and what you may do where."),
    "login": ("login", "Log in to a control plane and remember it."),
    "device": ("device", "Logins of programs by a code: show, approve, deny."),
    "logout": ("logout", "Forget the token of a context."),
    "context": ("context", "Contexts: the servers you are logged in to."),
    "config": ("config", "Show the settings in force."),
    "doctor": ("doctor", "Check the configuration, the connection and the clusters."),
    "completion": ("completion", "Print the completion script for a shell."),
    "version": ("version", "Show the versions of the client and the server."),
}

HELP = """Compose files in, running pods out: the command line of a Skerry control plane.

\b
Examples:
  skerry login cloud.example:7070 --ca-file ca.crt
  skerry deploy -f docker-compose.yml --project shop --env prod --create
  skerry logs web -f
  skerry exec -it web/db -- psql
"""


def root_command() -> Any:
    """The `skerry` command, ready to be called with `main`."""
    get_completion_inspect_parameters()  # As typer.Typer does: makes its shells known to click.
    return QuickGroup(
        name="skerry",
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode=None,
        commands={name: _Lazy(name, summary) for name, (_, summary) in COMMANDS.items()},
        epilog="docs/cli.md explains settings, output forms and exit codes.",
    )


def load(name: str) -> Any:
    """The real command behind a name of `COMMANDS`."""
    module = importlib.import_module(f"skerry.cli.commands.{COMMANDS[name][0]}")
    apps: Mapping[str, typer.Typer] = getattr(module, "APPS", {})
    command = get_command(apps.get(name) or module.app)
    command.name = name
    return command


class _Lazy(TyperCommand):
    """Stands for a command until it is called: click makes a context first, and that loads it."""

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(name, help=summary, rich_markup_mode=None)

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """The real command's context; from there on click knows only that one."""
        return load(str(self.name)).make_context(info_name, args, parent, **extra)
