"""A watched list: redrawn on a terminal, a line for each change elsewhere. Used by `--watch`."""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, TypeVar

from google.protobuf.message import Message

from skerry.cli.output.messages import name_of
from skerry.cli.output.table import Table
from skerry.cli.output.writer import Format
from skerry.cli.run import Run
from skerry.watching import Change, Event

MessageT = TypeVar("MessageT", bound=Message)


async def follow(
    run: Run,
    stream: AsyncGenerator[Event[MessageT], None],
    table: Callable[[], Table[MessageT]],
    *,
    empty: str,
    keep: Callable[[MessageT], bool] = lambda _: True,
) -> None:
    """Show the resources and their changes until interrupted. `keep` leaves out what is not asked for.

    JSON is one object a line: `type` is a `skerry.watching.Change`, `resource` the API's message.
    """
    show = _screen if run.out.rich and run.out.form is Format.TABLE else _lines
    async with aclosing(stream) as events:
        await show(run, events, table, empty, keep)


async def _lines(
    run: Run,
    events: AsyncGenerator[Event[Any], None],
    table: Callable[[], Table[Any]],
    empty: str,
    keep: Callable[[Any], bool],
) -> None:
    """Each change as it comes."""
    found = False
    async for event in events:
        if event.resource is not None and not keep(event.resource):
            continue
        found = found or event.resource is not None
        if run.out.form is Format.JSON:
            run.out.event(event.change.value, event.resource)
        elif event.change is Change.SYNCED:
            if not found:
                run.out.say(empty)
        elif event.resource is not None:
            if run.out.form is Format.TABLE:
                fields = [cell.text for cell in table().cells(event.resource)]
                run.out.line(f"{event.change.value:<9} " + "  ".join(filter(None, fields)))
            else:
                run.out.structured(event.resource)
            run.out.flush()


async def _screen(
    run: Run,
    events: AsyncGenerator[Event[Any], None],
    table: Callable[[], Table[Any]],
    empty: str,
    keep: Callable[[Any], bool],
) -> None:
    """The whole table, redrawn."""
    board = importlib.import_module("skerry.cli.output.board").Board(color=run.out.color_out)
    rows: dict[str, Any] = {}
    with board:
        async for event in events:
            match event.change:
                case Change.RESET:
                    rows.clear()
                case Change.SYNCED:
                    pass
                case Change.DELETED if event.resource is not None:
                    rows.pop(name_of(event.resource), None)
                case _ if event.resource is not None and keep(event.resource):
                    rows[name_of(event.resource)] = event.resource
            if event.change is not Change.SNAPSHOT:
                shown = table()
                board.show(shown.headings, shown.rows(rows.values()), empty)
