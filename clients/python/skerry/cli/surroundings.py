"""What a command can see of the machine it runs on. Made by `main`, and by tests with their own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO


def now() -> datetime:
    """The present moment, aware."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Environment variables, folder, terminal and clock."""

    environ: Mapping[str, str]
    cwd: Path
    stdin_is_terminal: bool
    stdout_is_terminal: bool
    stderr_is_terminal: bool
    now: Callable[[], datetime] = field(default=now)

    @classmethod
    def real(cls) -> Surroundings:
        """Those of this process."""
        return cls(
            environ=os.environ,
            cwd=Path.cwd(),
            stdin_is_terminal=_is_terminal(sys.stdin),
            stdout_is_terminal=_is_terminal(sys.stdout),
            stderr_is_terminal=_is_terminal(sys.stderr),
        )

    @property
    def color_allowed(self) -> bool:
        """Whether colours are wanted at all (https://no-color.org)."""
        return not self.environ.get("NO_COLOR") and self.can_redraw

    @property
    def can_redraw(self) -> bool:
        """Whether a terminal, if there is one, can move its cursor."""
        return self.environ.get("TERM") != "dumb"


def _is_terminal(stream: TextIO | None) -> bool:
    """A stream that was closed before the start is None."""
    return stream is not None and stream.isatty()
