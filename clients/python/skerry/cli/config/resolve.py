"""One value for each setting, and where it came from: flag > environment > skerry.yaml > context > default.

Called by `skerry.cli.run`; `skerry config view --show-origin` shows the outcome.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

from skerry.cli.config.store import Config, ConfigStore, Context
from skerry.cli.exit_codes import CliError, ExitCode, UsageError
from skerry.cli.surroundings import Surroundings

PROJECT_FILE = "skerry.yaml"
DEFAULT_PROJECT = "default"
DEFAULT_ENVIRONMENT = "dev"


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and where it came from; empty when it came from nowhere."""

    value: str = ""
    origin: str = "not set"


@dataclass(frozen=True, slots=True)
class Flags:
    """What the options of the command line say; empty or False where they say nothing."""

    context: str = ""
    server: str = ""
    ca_file: str = ""
    insecure: bool = False
    project: str = ""
    environment: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a command works with."""

    context: Setting
    server: Setting
    token: Setting
    ca: Setting
    """PEM text when from a context, the file's path when from a flag or the environment."""
    ca_is_file: bool
    insecure: Setting
    project: Setting
    environment: Setting
    app: Setting
    """From skerry.yaml only; the app's default name."""

    def require_server(self) -> str:
        """The server, or the error that says how to name one."""
        if not self.server.value:
            raise CliError("not logged in: run skerry login SERVER", ExitCode.AUTH)
        return self.server.value


def resolve(flags: Flags, around: Surroundings, store: ConfigStore) -> Settings:
    """Decide each setting. Raises CliError for an unreadable file or an unknown context."""
    config = store.load()
    name = _first(
        Setting(flags.context, "--context"),
        _variable(around, "SKERRY_CONTEXT"),
        Setting(config.current, str(store.path)),
    )
    context = _context(config, name)
    origin = f"context {name.value}"
    server = _first(
        Setting(flags.server, "--server"),
        _variable(around, "SKERRY_SERVER"),
        Setting(context.server, origin),
    )
    # A context's token and trust belong to its server: another server must never see them.
    own = context if server.value == context.server else Context(server="")
    ca = _first(
        Setting(flags.ca_file, "--ca-file"),
        _variable(around, "SKERRY_CA_FILE"),
        Setting(own.ca, origin),
    )
    project_file = find_project_file(around.cwd)
    folder = _read_project_file(project_file)
    file_origin = str(project_file)
    return Settings(
        context=name,
        server=server,
        token=_first(
            _variable(around, "SKERRY_TOKEN"),
            Setting(own.token, origin),
        ),
        ca=ca,
        ca_is_file=ca.origin != origin,
        insecure=_first(
            Setting("true" if flags.insecure else "", "--insecure"),
            Setting("true" if own.insecure else "", origin),
        ),
        project=_first(
            Setting(flags.project, "--project"),
            _variable(around, "SKERRY_PROJECT"),
            Setting(folder.get("project", ""), file_origin),
            Setting(context.project, origin),
            Setting(DEFAULT_PROJECT, "default"),
        ),
        environment=_first(
            Setting(flags.environment, "--env"),
            _variable(around, "SKERRY_ENV"),
            Setting(folder.get("environment", ""), file_origin),
            Setting(context.environment, origin),
            Setting(DEFAULT_ENVIRONMENT, "default"),
        ),
        app=_first(Setting(folder.get("app", ""), file_origin)),
    )


def find_project_file(folder: Path) -> Path | None:
    """`skerry.yaml` in the folder or the nearest one above it."""
    for candidate in (folder, *folder.parents):
        path = candidate / PROJECT_FILE
        if path.is_file():
            return path
    return None


def _read_project_file(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    # By name, so that commands outside such folders do not pay for importing yaml.
    loaded: dict[str, str] = importlib.import_module("skerry.cli.config.project_file").load(path)
    return loaded


def _context(config: Config, name: Setting) -> Context:
    if not name.value:
        return Context(server="")
    if name.value not in config.contexts:
        known = ", ".join(config.contexts) or "none yet"
        raise UsageError(f"there is no context {name.value!r} ({name.origin}); known: {known}")
    return config.contexts[name.value]


def _first(*candidates: Setting) -> Setting:
    for candidate in candidates:
        if candidate.value:
            return candidate
    return Setting()


def _variable(around: Surroundings, name: str) -> Setting:
    return Setting(around.environ.get(name, ""), name)
