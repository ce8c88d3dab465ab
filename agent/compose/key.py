"""What a row of the table of keys says. The rows are in `key_rows`, the table in `keys`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from agent.compose.diagnostics import Severity


class Treatment(StrEnum):
    """What happens to a key that is present."""

    CONVERTED = "converted"
    """Becomes Kubernetes objects; single values may still be changed or refused, with a finding."""
    CHANGED = "changed"
    """Taken with a difference, or not at all although it matters: a warning."""
    IGNORED = "ignored"
    """Means nothing here and changes nothing: an info."""
    REFUSED = "refused"
    """Rejects the deploy."""
    AS_PARENT = "as parent"
    """Covered by what is said about the key above it."""


class Shape(StrEnum):
    """What YAML a key takes; short forms are made long before files are merged."""

    TEXT = "text"
    FLAG = "true or false"
    WHOLE = "whole number"
    NUMBER = "number"
    SIZE = "size"
    DURATION = "duration"
    TEXTS = "text or list of text"
    LIST = "list"
    MAPPING = "mapping"
    NAMED = "mapping of names"
    """A mapping with free keys; an empty value stands for all defaults."""
    PAIRS = "mapping or list of KEY=VALUE"
    COMMAND = "text or list of arguments"
    BUILD = "text or mapping"
    DEPENDENCIES = "list of services or mapping"
    ATTACHMENTS = "list of networks or mapping"
    PORTS = "list of ports"
    MOUNTS = "list of volumes"
    GRANTS = "list of names or mappings"
    ENV_FILES = "path or list of paths"
    EXTENDS = "service or mapping"
    INCLUDES = "list of paths or mappings"
    HOSTS = "mapping or list of HOST=IP"
    LIMITS = "mapping of limits"
    EXTERNAL = "true, false or mapping"
    DEVICES = "list of devices"
    ANY = "anything"


@dataclass(frozen=True, slots=True)
class Key:
    """One row of the table. `path` uses `*` for any name and `[]` for list items."""

    path: str
    treatment: Treatment
    shape: Shape
    code: str = ""
    text: str = ""
    """What is said when the key is present, or for converted keys what it becomes."""
    hint: str = ""
    harmless: tuple[str, ...] = ()
    """Values that need no finding although the treatment has one."""

    @property
    def severity(self) -> Severity | None:
        """How loudly the presence of the key is reported; None for silence."""
        return _SEVERITIES.get(self.treatment)


def converted(path: str, shape: Shape, text: str) -> Key:
    """A row for a key that becomes Kubernetes objects."""
    return Key(path, Treatment.CONVERTED, shape, text=text)


def changed(
    path: str, shape: Shape, code: str, text: str, hint: str = "", harmless: tuple[str, ...] = ()
) -> Key:
    """A row for a key that is taken with a difference."""
    return Key(path, Treatment.CHANGED, shape, code, text, hint, harmless)


def ignored(path: str, shape: Shape, code: str, text: str) -> Key:
    """A row for a key that means nothing here."""
    return Key(path, Treatment.IGNORED, shape, code, text)


def refused(
    path: str, shape: Shape, code: str, text: str, hint: str = "", harmless: tuple[str, ...] = ()
) -> Key:
    """A row for a key that rejects the deploy."""
    return Key(path, Treatment.REFUSED, shape, code, text, hint, harmless)


def as_parent(path: str, shape: Shape) -> Key:
    """A row for a key that the row above it speaks for."""
    return Key(path, Treatment.AS_PARENT, shape)


_SEVERITIES = {
    Treatment.CHANGED: Severity.WARNING,
    Treatment.IGNORED: Severity.INFO,
    Treatment.REFUSED: Severity.ERROR,
}
