"""The user's configuration file: contexts, each a server with a token. Written by `login` and `context`.

`~/.config/skerry/config.toml`, or where SKERRY_CONFIG says. Tokens are in it, so it is made 0600 and
replaced in one step: a reader sees the old file or the new one.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import tomli_w

from skerry.cli.exit_codes import CliError


@dataclass(frozen=True, slots=True)
class Context:
    """A server and how to talk to it."""

    server: str
    token: str = field(default="", repr=False)
    ca: str = ""
    """PEM certificates to trust; the system's when empty."""
    insecure: bool = False
    project: str = ""
    """Used when a command names none."""
    environment: str = ""
    """Used when a command names none."""


@dataclass(frozen=True, slots=True)
class Config:
    """All contexts and which one is used when none is named."""

    current: str = ""
    contexts: Mapping[str, Context] = field(default_factory=dict)

    def with_context(self, name: str, context: Context) -> Config:
        """With this context, which becomes the current one."""
        return replace(self, current=name, contexts={**self.contexts, name: context})

    def without_context(self, name: str) -> Config:
        """Without this context; none is current if it was."""
        left = {key: value for key, value in self.contexts.items() if key != name}
        return replace(self, current="" if self.current == name else self.current, contexts=left)


class ConfigStore:
    """Reads and writes the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> ConfigStore:
        """The file these environment variables lead to."""
        given = environ.get("SKERRY_CONFIG")
        if given:
            return cls(Path(given))
        # By hand and not by platformdirs, which reads this process's environment and not the one given.
        home = environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
        return cls(Path(home, "skerry", "config.toml"))

    def load(self) -> Config:
        """The configuration; empty when there is no file. Raises CliError when it cannot be read."""
        try:
            content = tomllib.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Config()
        except OSError as error:
            raise CliError(f"cannot read {self.path}: {error.strerror}") from error
        except ValueError as error:
            raise CliError(
                f"{self.path}: {error}; mend it or delete it and log in again"
            ) from error
        return self._parse(content)

    def save(self, config: Config) -> None:
        """Replace the file. Raises CliError when it cannot be written."""
        content = {
            "current": config.current,
            "contexts": {
                name: {key: value for key, value in asdict(context).items() if value}
                for name, context in config.contexts.items()
            },
        }
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._replace(tomli_w.dumps(content, multiline_strings=True).encode())
        except OSError as error:
            raise CliError(f"cannot write {self.path}: {error.strerror}") from error

    def others_can_read(self) -> bool:
        """Whether the file's mode lets other users read the tokens in it."""
        try:
            return bool(self.path.stat().st_mode & 0o077)
        except FileNotFoundError:
            return False

    def _replace(self, content: bytes) -> None:
        temporary = self.path.with_name(f".{self.path.name}-{os.getpid()}")
        temporary.unlink(missing_ok=True)
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self.path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _parse(self, content: Mapping[str, Any]) -> Config:
        contexts = {}
        tables = content.get("contexts", {})
        current = content.get("current", "")
        if not isinstance(tables, dict) or not isinstance(current, str):
            raise CliError(f"{self.path}: `contexts` must be tables and `current` a name")
        for name, table in tables.items():
            if not isinstance(table, dict) or not isinstance(table.get("server"), str):
                raise CliError(f"{self.path}: contexts.{name} has no server")
            known: dict[str, Any] = {}
            for key, kind in _FIELDS.items():
                value = table.get(key, kind())
                if not isinstance(value, kind):
                    raise CliError(f"{self.path}: contexts.{name}.{key} must be {_KINDS[kind]}")
                known[key] = value
            contexts[name] = Context(**known)
        return Config(current, contexts)


_FIELDS: dict[str, type[str | bool]] = {
    "server": str,
    "token": str,
    "ca": str,
    "insecure": bool,
    "project": str,
    "environment": str,
}
_KINDS = {str: "a string", bool: "true or false"}
