"""The grammar of short volumes: `[SOURCE:]TARGET[:OPTIONS]`.

Used by the canonicaliser. Which sources are allowed is decided in `volumes`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_WINDOWS = re.compile(r"[A-Za-z]:[\\/]")
_PROPAGATIONS = frozenset({"shared", "rshared", "slave", "rslave", "private", "rprivate"})
_NO_EFFECT = frozenset({"rw", "z", "Z", "cached", "delegated", "consistent", "default"})


@dataclass(slots=True)
class MountParts:
    """A short volume taken apart."""

    source: str
    target: str
    read_only: bool = False
    nocopy: bool = False
    propagation: str = ""
    unknown: list[str] = field(default_factory=list)

    @property
    def is_bind(self) -> bool:
        return is_path(self.source)


def split_mount(volume: str) -> MountParts:
    """Take a short volume apart; a lone path is an anonymous volume."""
    source, rest = _cut(volume)
    if rest is None:
        return MountParts("", source)
    target, options = _cut(rest)
    parts = MountParts(source, target)
    for option in options.replace(":", ",").split(",") if options is not None else ():
        if option in ("ro", "readonly"):
            parts.read_only = True
        elif option == "nocopy":
            parts.nocopy = True
        elif option in _PROPAGATIONS:
            parts.propagation = option
        elif option not in _NO_EFFECT:
            parts.unknown.append(option)
    return parts


def is_path(source: str) -> bool:
    """Whether a source is a path (a bind) rather than a volume's name."""
    return source.startswith((".", "/", "~", "\\")) or _WINDOWS.match(source) is not None


def _cut(text: str) -> tuple[str, str | None]:
    """The text up to its next colon, which may be a Windows path, and what follows."""
    drive = text[:2] if _starts_with_drive(text) else ""
    piece, colon, rest = text[len(drive) :].partition(":")
    return drive + piece, rest if colon else None


def _starts_with_drive(volume: str) -> bool:
    """Whether `C:/x:/y` starts with a Windows drive; `v:/x` and `v:/x:ro` name the volume v."""
    if _WINDOWS.match(volume) is None:
        return False
    following = volume[2:].partition(":")[2]
    return volume[2] == "\\" or following.startswith("/")
