"""The commands and what is written about them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import skerry
from skerry.cli.exit_codes import ExitCode
from skerry.cli.program import BROKEN_PIPE
from skerry.cli.reference import with_reference
from skerry.cli.tree import COMMANDS, load, root_command
from typer.core import TyperGroup

ROOT = Path(__file__).resolve().parents[4]
PAGE = ROOT / "docs" / "cli.md"


def test_the_page_says_what_the_commands_say() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_reference(page), "run python -m skerry.cli.reference docs/cli.md"


def test_the_page_has_every_exit_code() -> None:
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE.read_text(), re.MULTILINE)}
    assert documented == set(ExitCode)
    assert str(BROKEN_PIPE) in PAGE.read_text()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_summary_of_the_tree_is_the_commands_own(name: str) -> None:
    assert load(name).help.partition("\n")[0] == COMMANDS[name][1]


def commands(item: Any, path: str) -> list[tuple[str, Any]]:
    if not isinstance(item, TyperGroup):
        return [(path, item)]
    return [pair for name, sub in item.commands.items() for pair in commands(sub, f"{path} {name}")]


@pytest.mark.parametrize(
    ("path", "item"),
    [pair for name in COMMANDS for pair in commands(load(name), name)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_command_has_examples_that_parse(path: str, item: Any) -> None:
    """The flags of each example exist: they are parsed, and not run."""
    examples = re.findall(r"^ +skerry (.+)$", item.help, re.MULTILINE)
    assert examples
    for example in examples:
        words = re.split(r" [<>|] ", example)[0].split()
        assert " ".join(words).startswith(path)
        context = root_command().make_context("skerry", words)
        while isinstance(context.command, TyperGroup):
            arguments = [*context._protected_args, *context.args]
            name, command, rest = context.command.resolve_command(context, arguments)
            context = command.make_context(name, rest, parent=context)


def test_the_version_is_the_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert skerry.__version__ == project["version"]
