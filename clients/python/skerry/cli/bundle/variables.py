"""Variables for `${…}`: which values there are, which are sent, and how they fill a path."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping

from dotenv import dotenv_values

_REFERENCE = re.compile(
    r"\$(?:(?P<dollar>\$)|(?P<plain>[A-Za-z_][A-Za-z0-9_]*)"
    r"|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<operator>:?[-+?])(?P<word>[^{}]*))?\})"
)
ALWAYS_SENT = frozenset({"COMPOSE_PROFILES"})
"""Variables of the shell that mean something to compose without being mentioned."""


def parse_env_file(content: bytes, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of an env file; a name without a value takes the shell's. Raises ValueError."""
    parsed = dotenv_values(stream=io.StringIO(content.decode("utf-8-sig")), interpolate=True)
    found = {}
    for name, value in parsed.items():
        given = environ.get(name) if value is None else value
        if given is not None:
            found[name] = given
    return found


def asked_for(env_file: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of --env-file; the shell's value of one of them wins, as with `docker compose`."""
    return {name: environ.get(name, value) for name, value in env_file.items()}


def from_shell(
    mentioned: Iterable[str], environ: Mapping[str, str], env_file: Mapping[str, str]
) -> dict[str, str]:
    """Of the shell's other variables those that the project mentions; the rest of the shell is nobody's business."""
    wanted = {*mentioned, *ALWAYS_SENT} - set(env_file)
    return {name: environ[name] for name in sorted(wanted) if name in environ}


def fill(text: str, values: Mapping[str, str]) -> str | None:
    """The text with its `${…}` filled in; None when one has no value."""
    missing = False

    def replace(match: re.Match[str]) -> str:
        nonlocal missing
        if match["dollar"]:
            return "$"
        value = values.get(match["plain"] or match["name"])
        operator, word = match["operator"] or "", match["word"] or ""
        has_value = value is not None and not (operator.startswith(":") and not value)
        if operator.endswith("+"):
            return word if has_value else ""
        if has_value:
            return value or ""
        if operator.endswith("-"):
            return word
        missing = True
        return ""

    filled = _REFERENCE.sub(replace, text)
    return None if missing else filled
