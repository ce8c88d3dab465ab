"""Tables: columns over any row type, as plain text. On a terminal `rich_table` draws the same cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from skerry.cli.output.text import clean
from skerry.cli.output.tone import Tone

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a table."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Table(Generic[Row]):
    """Headings, and how a row becomes cells."""

    headings: tuple[str, ...]
    cells: Callable[[Row], Sequence[Cell]]
    field: str = ""
    """What a list of such rows is called in the API's list response."""

    def rows(self, rows: Iterable[Row]) -> list[Sequence[Cell]]:
        return [self.cells(row) for row in rows]


def cells(*fields: str | tuple[str, Tone]) -> list[Cell]:
    """Cells from texts, some with a tone."""
    pairs = (field if isinstance(field, tuple) else (field, Tone.PLAIN) for field in fields)
    return [Cell(clean(text), tone) for text, tone in pairs]


def plain_lines(headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[str]:
    """Columns separated by at least two spaces; a field's own line breaks become spaces."""
    lines = [list(headings), *([_flat(cell.text) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _flat(text: str) -> str:
    return " ".join(text.split())
