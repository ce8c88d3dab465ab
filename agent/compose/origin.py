"""Where a value came from: file, line, column, the extends/include chain and the variables put
into it."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Origin:
    """A place in a source file. Lines and columns count from 1; line 0 means no place in any
    file."""

    file: str
    line: int = 0
    column: int = 0
    end_line: int = 0
    end_column: int = 0
    via: tuple[str, ...] = ()
    """The places that pulled the value in, nearest first, as `extends at compose.yml:19:5`."""
    variables: tuple[str, ...] = ()
    """Names of the variables that were interpolated into the value."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    def through(self, step: str) -> Origin:
        """The same place, reached by one more step."""
        return replace(self, via=(*self.via, step))


NOWHERE = Origin("<plan>")
