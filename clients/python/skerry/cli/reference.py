"""The reference of docs/cli.md, made from the commands themselves: `python -m skerry.cli.reference docs/cli.md`.

A test fails when the page says something else than the commands' --help does.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command

from skerry.cli.command import command, single
from skerry.cli.run import Run
from skerry.cli.tree import COMMANDS, load, root_command

BEGIN = "<!-- reference: made by python -m skerry.cli.reference docs/cli.md -->"
END = "<!-- reference ends -->"


def main() -> None:
    """Put the present reference into the page."""
    page = Path(sys.argv[1])
    page.write_text(with_reference(page.read_text(encoding="utf-8")), encoding="utf-8")


def with_reference(page: str) -> str:
    """The page with the present reference between its marks."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


def reference() -> str:
    """All commands: what they do, their own options, their examples. Options of every command come once."""
    root = root_command()
    context = root.make_context("skerry", [], resilient_parsing=True)
    shared = _shared_options(context)
    parts = ["## Options of every command\n", _rows(shared.items())]
    for name in COMMANDS:
        parts += _command(load(name), name, context, set(shared))
    return "\n".join(parts)


def _shared_options(context: Any) -> dict[str, str]:
    """What a command has that declares nothing of its own, with a scope."""
    app = single()

    @command(app, "none", examples="")
    async def none(run: Run) -> None:
        """Nothing."""

    bare: Any = get_command(app)
    return dict(_records(bare, bare.make_context("none", [], context, resilient_parsing=True)))


def _command(item: Any, name: str, parent: Any, shared: set[str]) -> Iterator[str]:
    context = item.make_context(name, [], parent, resilient_parsing=True)
    if isinstance(item, TyperGroup):
        yield f"\n## `{context.command_path}`\n\n{item.help}"
        for sub in item.list_commands(context):
            yield from _command(item.get_command(context, sub), sub, context, shared)
        return
    text, _, examples = (item.help or "").partition("\n\n\b\nExamples:\n")
    depth = "###" if isinstance(parent.command, TyperGroup) and parent.parent else "##"
    pieces = " ".join(piece for piece in item.collect_usage_pieces(context) if piece != "[OPTIONS]")
    yield f"\n{depth} `{f'{context.command_path} {pieces}'.strip()}`\n\n{text.strip()}\n"
    own = [(flag, said) for flag, said in _records(item, context) if flag not in shared]
    if own:
        yield _rows(own)
    yield "```sh\n" + re.sub(r"^ +", "", examples, flags=re.MULTILINE).strip() + "\n```"


def _records(item: Any, context: Any) -> Iterator[tuple[str, str]]:
    """(flag or argument, explanation) of each parameter, as --help shows them."""
    for parameter in item.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and parameter.name != "help":
            yield record


def _rows(records: Any) -> str:
    lines = ["| option | meaning |", "| --- | --- |"]
    lines += [f"| `{_cell(flag)}` | {_cell(said)} |" for flag, said in records]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    text = re.sub(r" <(str|list\[str\])>$", "", " ".join(text.split()))
    return text.replace("|", "\\|")


if __name__ == "__main__":
    main()
