"""Diagnostics of compose files as compilers print them: `file:line:col: severity CODE path: message. hint`."""

from __future__ import annotations

from collections.abc import Iterable

from skerry.cli.output import words
from skerry.cli.run import Run
from skerry.platform.v1 import state_pb2


def line(diagnostic: state_pb2.Diagnostic) -> str:
    """One diagnostic on one line."""
    place = diagnostic.file
    if diagnostic.line:
        place += f":{diagnostic.line}:{diagnostic.column}"
    if diagnostic.via:
        place += f" (via {diagnostic.via})"
    severity, _ = words.severity(diagnostic.severity)
    path = f" {diagnostic.path}" if diagnostic.path else ""
    text = f"{place}: {severity} {diagnostic.code}{path}: {diagnostic.message}"
    if diagnostic.hint:
        text += f"{'' if text.endswith('.') else '.'} {diagnostic.hint}"
    return " ".join(text.split())


def workflow_command(diagnostic: state_pb2.Diagnostic) -> str:
    """One diagnostic as a command of GitHub's runner, which shows it beside the line."""
    severity, _ = words.severity(diagnostic.severity)
    kind = "notice" if severity == "info" else severity
    place = ""
    if diagnostic.line:
        place = f"file={_property(diagnostic.file)},line={diagnostic.line},col={diagnostic.column},"
    text = f"{diagnostic.path}: {diagnostic.message}" if diagnostic.path else diagnostic.message
    if diagnostic.via:
        text += f" (via {diagnostic.via})"
    if diagnostic.hint:
        text += f"{'' if text.endswith('.') else '.'} {diagnostic.hint}"
    return f"::{kind} {place}title={_property(diagnostic.code)}::{_escaped(text)}"


def summary(diagnostics: Iterable[state_pb2.Diagnostic]) -> str:
    """`2 errors, 1 warning`; infos are not counted."""
    found = [words.severity(one.severity)[0] for one in diagnostics]
    return ", ".join(
        f"{found.count(kind)} {kind}{'' if found.count(kind) == 1 else 's'}"
        for kind in ("error", "warning")
    )


def show(run: Run, diagnostics: Iterable[state_pb2.Diagnostic]) -> None:
    """All of them on stderr; with --quiet only errors."""
    for diagnostic in diagnostics:
        _, tone = words.severity(diagnostic.severity)
        if diagnostic.severity == state_pb2.SEVERITY_ERROR:
            run.out.insist(line(diagnostic), tone)
        else:
            run.out.say(line(diagnostic), tone)


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
