"""The findings of one `convert`, for people and for tools."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum

from agent.compose import Diagnostic, Severity


class DiagnosticsFormat(StrEnum):
    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    """Workflow commands that show findings beside the lines of a pull request."""


def render_diagnostics(diagnostics: Sequence[Diagnostic], form: DiagnosticsFormat) -> str:
    """One line each, or one JSON array."""
    if form is DiagnosticsFormat.GITHUB:
        return "".join(f"{_github(d)}\n" for d in diagnostics)
    if form is DiagnosticsFormat.JSON:
        return json.dumps([d.as_dict() for d in diagnostics], indent=2, ensure_ascii=False) + "\n"
    return "".join(f"{d}\n" for d in diagnostics)


def summary(diagnostics: Sequence[Diagnostic]) -> str:
    """`2 errors, 1 warning`; infos are not counted."""
    found = [one.severity for one in diagnostics]
    return ", ".join(
        f"{found.count(kind)} {kind.value}{'' if found.count(kind) == 1 else 's'}"
        for kind in (Severity.ERROR, Severity.WARNING)
    )


def _github(found: Diagnostic) -> str:
    command = {"error": "error", "warning": "warning"}.get(found.severity.value, "notice")
    place = ""
    if found.line:
        place = f"file={_property(found.file)},line={found.line},col={found.column},"
    subject = f"{found.path}: " if found.path else ""
    origin = f" (via {found.via})" if found.via else ""
    message = f"{subject}{found.message.rstrip('.')}{origin}. {found.hint}".strip()
    return f"::{command} {place}title={found.code}::{_escaped(message)}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
