"""Prints results and messages in the form asked for. Every command has one, by its `Run`."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import AsyncIterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

from skerry.cli.output.table import Table, plain_lines
from skerry.cli.output.text import clean
from skerry.cli.output.tone import Tone

if TYPE_CHECKING:
    from google.protobuf.message import Message

MessageT = TypeVar("MessageT", bound="Message")

_ANSI = {Tone.GOOD: "32", Tone.BUSY: "33", Tone.BAD: "31", Tone.DIM: "90"}


class Format(StrEnum):
    """Forms of a result."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


class Writer:
    """Data goes to stdout, everything else to stderr."""

    def __init__(
        self,
        form: Format,
        *,
        quiet: bool,
        color: bool,
        stdout_is_terminal: bool,
        stderr_is_terminal: bool,
    ) -> None:
        self.form = form
        self.quiet = quiet
        self.rich = stdout_is_terminal
        self.rich_messages = stderr_is_terminal
        self.color_out = color and stdout_is_terminal
        self.color_err = color and stderr_is_terminal

    def one(self, message: MessageT, table: Table[MessageT]) -> None:
        """One resource: a table with one row, or the API's message."""
        if self.form is Format.TABLE:
            self.table(table, [message])
        else:
            self.structured(message)

    async def many(
        self, messages: AsyncIterable[MessageT], table: Table[MessageT], *, empty: str
    ) -> None:
        """A list as it is paged in; see `all`."""
        self.all([message async for message in messages], table, empty=empty)

    def all(self, found: Sequence[MessageT], table: Table[MessageT], *, empty: str) -> None:
        """A list: a table, or the API's list response. `empty` says what to do when there are none."""
        match self.form:
            case Format.TABLE if found:
                self.table(table, found)
            case Format.TABLE:
                self.say(empty)
            case Format.NAME:
                for message in found:
                    self.line(_messages().name_of(message))
            case _:
                # The API's list response, with all pages in one.
                items = [_messages().to_dict(message) for message in found]
                self._dump({table.field: items, "nextPageToken": ""})

    def structured(self, message: Message) -> None:
        """One message as json, yaml or name."""
        if self.form is Format.NAME:
            self.line(_messages().name_of(message))
        else:
            self._dump(_messages().to_dict(message))

    def data(self, content: Any) -> None:
        """Something that is no message of the API, as json or yaml."""
        self._dump(content)

    def event(self, kind: str, message: Message | None) -> None:
        """One event of a watch, on one line of JSON."""
        content = {"type": kind} | (
            {} if message is None else {"resource": _messages().to_dict(message)}
        )
        self.line(json.dumps(content, ensure_ascii=False))
        self.flush()

    def table(self, table: Table[Any], rows: Sequence[Any]) -> None:
        """A table, drawn on a terminal and plain elsewhere."""
        fields = table.rows(rows)
        if self.rich:
            module = importlib.import_module("skerry.cli.output.rich_table")  # see its docstring
            module.print_table(table.headings, fields, color=self.color_out)
            return
        for line in plain_lines(table.headings, fields):
            self.line(line)

    def line(self, text: str) -> None:
        """A line of data."""
        print(text)

    def flush(self) -> None:
        """Let a reader see what was printed so far."""
        sys.stdout.flush()

    def say(self, text: str, tone: Tone = Tone.PLAIN) -> None:
        """A message; left out with --quiet."""
        if not self.quiet:
            self.insist(text, tone)

    def insist(self, text: str, tone: Tone = Tone.PLAIN) -> None:
        """A message that --quiet does not silence."""
        print(self.paint(clean(text), tone), file=sys.stderr, flush=True)

    def fail(self, message: str) -> None:
        """The error that ends the command."""
        print(f"{self.paint('error:', Tone.BAD)} {clean(message)}", file=sys.stderr, flush=True)

    def paint(self, text: str, tone: Tone) -> str:
        """The text in colour, where stderr shows colours."""
        code = _ANSI.get(tone)
        return f"\x1b[{code}m{text}\x1b[0m" if code and self.color_err else text

    def _dump(self, content: Any) -> None:
        if self.form is Format.YAML:
            yaml = importlib.import_module("yaml")  # a tenth of a second that JSON does not need
            self.line(yaml.safe_dump(content, sort_keys=False, allow_unicode=True).rstrip("\n"))
        else:
            self.line(json.dumps(content, indent=2, ensure_ascii=False))


def _messages() -> Any:
    """`output.messages`, which loads protobuf: commands that print no message do without."""
    return importlib.import_module("skerry.cli.output.messages")
