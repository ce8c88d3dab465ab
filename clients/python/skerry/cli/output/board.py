"""A part of the terminal that is redrawn. Loaded by `live` and `deploying.view` only on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from skerry.cli.output.rich_table import draw
from skerry.cli.output.table import Cell
from skerry.cli.output.tone import Tone

REDRAWS = 8
"""A second, at most."""


class Board:
    """Use as a context manager; what was shown last stays on the screen."""

    def __init__(self, *, color: bool, on_stderr: bool = False) -> None:
        console = Console(
            stderr=on_stderr, no_color=not color, highlight=False, force_terminal=True
        )
        self._live = Live(console=console, refresh_per_second=REDRAWS, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, headings: Sequence[str], rows: Sequence[Sequence[Cell]], empty: str) -> None:
        """A table, or the text when it has no rows."""
        self._live.update(draw(headings, rows) if rows else Text(empty), refresh=True)

    def show_parts(
        self,
        title: str,
        tone: Tone,
        headings: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        notes: Sequence[str],
    ) -> None:
        """A title, a table and lines below it."""
        parts: list[RenderableType] = [Text(title, style=tone.value)]
        if rows:
            parts.append(draw(headings, rows))
        parts += [Text(note) for note in notes]
        self._live.update(Group(*parts), refresh=True)
