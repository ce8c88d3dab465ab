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
    severity, _ = words.severity(diagnostic.severity)
    path = f" {diagnostic.path}" if diagnostic.path else ""
    text = f"{place}: {severity} {diagnostic.code}{path}: {diagnostic.message}"
    if diagnostic.hint:
        text += f"{'' if text.endswith('.') else '.'} {diagnostic.hint}"
    return " ".join(text.split())


def show(run: Run, diagnostics: Iterable[state_pb2.Diagnostic]) -> None:
    """All of them on stderr; with --quiet only errors."""
    for diagnostic in diagnostics:
        _, tone = words.severity(diagnostic.severity)
        if diagnostic.severity == state_pb2.SEVERITY_ERROR:
            run.out.insist(line(diagnostic), tone)
        else:
            run.out.say(line(diagnostic), tone)
