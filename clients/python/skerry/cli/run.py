"""What one command works with: its settings, the client, and where it prints. Made by `command`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import typer

import skerry
from skerry import names
from skerry.cli.config.resolve import Flags, Settings, resolve
from skerry.cli.config.store import ConfigStore
from skerry.cli.exit_codes import UsageError
from skerry.cli.output.writer import Format, Writer
from skerry.cli.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
class Given:
    """The options that every command has."""

    flags: Flags = field(default_factory=Flags)
    output: Format = Format.TABLE
    quiet: bool = False
    color: bool = True
    debug: bool = False


class Run:
    """One invocation of a command."""

    def __init__(self, around: Surroundings, given: Given) -> None:
        self.around = around
        self.given = given
        self.store = ConfigStore.of(around.environ)
        self.out = Writer(
            given.output,
            quiet=given.quiet,
            color=given.color and around.color_allowed,
            stdout_is_terminal=around.stdout_is_terminal and around.can_redraw,
            stderr_is_terminal=around.stderr_is_terminal and around.can_redraw,
        )

    @cached_property
    def settings(self) -> Settings:
        """What flags, environment and files say. Raises CliError."""
        return resolve(self.given.flags, self.around, self.store)

    def client(self) -> skerry.Client:
        """A client of the chosen server; to be used with `async with`. Raises CliError."""
        settings = self.settings
        server = settings.require_server()
        ca: bytes | Path | None = None
        if settings.ca.value:
            ca = Path(settings.ca.value) if settings.ca_is_file else settings.ca.value.encode()
        return connect(server, settings.token.value, ca=ca, insecure=bool(settings.insecure.value))

    def environment(self) -> str:
        """The name of the environment the command is about."""
        settings = self.settings
        return names.environment(settings.project.value, settings.environment.value)

    def project(self) -> str:
        """The name of the project the command is about."""
        return names.project(self.settings.project.value)

    def app(self, text: str) -> str:
        """An app's resource name from `web`, `shop/prod/web` or the full name. Raises UsageError."""
        if text.startswith("organizations/"):
            return text
        parts = text.split("/")
        if len(parts) == 1 and parts[0]:
            return f"{self.environment()}/apps/{text}"
        if len(parts) == 3 and all(parts):
            return names.app(*parts)
        raise UsageError(f"{text!r} is no app: write APP or PROJECT/ENV/APP")

    def cut(self, error: skerry.errors.SkerryError) -> None:
        """Say that a watch was cut and goes on: the `on_cut` of the SDK."""
        self.out.say(f"connection lost, trying again ({error.message})")

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before destroying something. Raises UsageError where nobody can be asked, Abort on no."""
        if yes:
            return
        if not self.around.stdin_is_terminal:
            raise UsageError(f"{question} There is no terminal to ask on: add --yes to do it")
        typer.confirm(question, abort=True, err=True)


def connect(server: str, token: str, *, ca: bytes | Path | None, insecure: bool) -> skerry.Client:
    """A client that says it is this program. Raises UsageError for an unusable address or CA file."""
    try:
        return skerry.Client(
            server,
            token or None,
            ca=ca,
            insecure=insecure,
            name=f"skerry-cli/{skerry.__version__}",
        )
    except ValueError as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        raise UsageError(f"cannot read the CA file {ca!s}: {error.strerror}") from error


def resource_id(text: str, what: str, longest: int = 30) -> str:
    """Check an id before the server is asked. Raises UsageError."""
    if not names.is_id(text, longest):
        suggestion = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-0123456789")[:longest]
        hint = f"; try {suggestion}" if names.is_id(suggestion, longest) else ""
        raise UsageError(
            f"{text!r} cannot be the id of {what}: lower-case letters, digits and dashes, starting "
            f"with a letter, at most {longest}{hint}"
        )
    return text
