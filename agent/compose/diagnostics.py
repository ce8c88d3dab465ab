"""Diagnostics: what the converter says about a file, at file:line:col, with a code, a reason and a
way out.

Every stage reports into one `Report`; nothing stops at the first problem. Callers read the sorted
result from the plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from agent.compose.origin import NOWHERE, Origin


class Severity(StrEnum):
    """ERROR rejects the deploy, WARNING is converted with a difference, INFO is harmless."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. Lines and columns count from 1; 0 means the finding has no place in a file."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    severity: Severity
    code: str
    path: str
    """Where in the model, as `services.web.ports[0]`."""
    message: str
    hint: str = ""
    via: str = ""
    """Other places the value came through, as `extends at compose.yml:19:5`."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        origin = f" (via {self.via})" if self.via else ""
        subject = f" {self.path}" if self.path else ""
        hint = f" {self.hint}" if self.hint else ""
        message = _sentence(self.message)
        return f"{place}{origin}: {self.severity} {self.code}{subject}: {message}{hint}"

    def as_dict(self) -> dict[str, Any]:
        """The machine form: the same fields by name, `severity` as its lower-case word."""
        return {**asdict(self), "severity": self.severity.value}


class Report:
    """Collects diagnostics. At most `limit` errors and `limit` others are kept, so that many
    warnings never hide why a file is refused; how many were left out is said in a last one."""

    def __init__(self, limit: int = 500) -> None:
        self._errors = _Kept(limit)
        self._others = _Kept(limit)

    def error(self, code: str, origin: Origin, path: str, message: str, hint: str = "") -> None:
        self.add(Severity.ERROR, code, origin, path, message, hint)

    def warning(self, code: str, origin: Origin, path: str, message: str, hint: str = "") -> None:
        self.add(Severity.WARNING, code, origin, path, message, hint)

    def info(self, code: str, origin: Origin, path: str, message: str, hint: str = "") -> None:
        self.add(Severity.INFO, code, origin, path, message, hint)

    def add(
        self, severity: Severity, code: str, origin: Origin, path: str, message: str, hint: str = ""
    ) -> None:
        """Keep one finding; the same finding at the same place (an anchor used twice) is kept
        once."""
        kept = self._errors if severity is Severity.ERROR else self._others
        if kept.is_full:
            kept.left_out += 1
            return
        if origin.variables:
            names = ", ".join(f"${{{name}}}" for name in origin.variables)
            message = f"{message.rstrip('.')} (from {names})"
        diagnostic = Diagnostic(
            file=origin.file,
            line=origin.line,
            column=origin.column,
            end_line=origin.end_line,
            end_column=origin.end_column,
            severity=severity,
            code=code,
            path=path,
            message=message,
            hint=hint,
            via=", ".join(origin.via),
        )
        kept.found.setdefault(diagnostic)

    @property
    def rejected(self) -> bool:
        """Whether any error was reported."""
        return bool(self._errors.found) or self._errors.left_out > 0

    def result(self, files: Iterable[str]) -> tuple[Diagnostic, ...]:
        """The findings in the order of `files`, then by place; findings without a place come
        last."""
        order = {name: index for index, name in enumerate(files)}

        def place(found: Diagnostic) -> tuple[object, ...]:
            file = order.get(found.file, len(order))
            position = (found.line == 0, file, found.file, found.line, found.column)
            return (*position, found.code, found.path, found.message)

        kept = sorted([*self._errors.found, *self._others.found], key=place)
        left_out = self._errors.left_out + self._others.left_out
        if left_out:
            kept.append(
                Diagnostic(
                    *(NOWHERE.file, 0, 0, 0, 0),
                    severity=Severity.ERROR if self._errors.left_out else Severity.WARNING,
                    code="CMP099",
                    path="",
                    message=f"{left_out} more findings are not shown",
                )
            )
        return tuple(kept)


@dataclass(slots=True)
class _Kept:
    """Findings up to a limit, each once, and how many came after that."""

    limit: int
    found: dict[Diagnostic, None] = field(default_factory=dict)
    left_out: int = 0

    @property
    def is_full(self) -> bool:
        return len(self.found) >= self.limit


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
