"""Tables on a terminal. Loaded by `output.writer` only there, because importing rich takes time."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from skerry.cli.output.table import Cell


def draw(headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> RichTable:
    """The table as rich draws it."""
    table = RichTable(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for heading in headings:
        table.add_column(heading, overflow="fold", no_wrap=heading in _UNBROKEN)
    for row in rows:
        table.add_row(*(Text(cell.text, style=cell.tone.value) for cell in row))
    return table


def print_table(headings: Sequence[str], rows: Sequence[Sequence[Cell]], *, color: bool) -> None:
    """Print it on stdout."""
    Console(no_color=not color, highlight=False, force_terminal=True).print(draw(headings, rows))


_UNBROKEN = frozenset({"NAME", "APP", "SERVICE", "STATE", "AGE", "READY", "REVISION"})
