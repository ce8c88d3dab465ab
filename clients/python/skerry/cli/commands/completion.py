"""`skerry completion`: the script that teaches a shell to complete."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer
from typer.completion import shell_complete

from skerry.cli.command import command, single
from skerry.cli.run import Run
from skerry.cli.tree import root_command

app = single()


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@command(
    app,
    "completion",
    scoped=False,
    examples="""
        skerry completion bash > /etc/bash_completion.d/skerry
        skerry completion zsh > ~/.zfunc/_skerry
        skerry completion fish > ~/.config/fish/completions/skerry.fish
    """,
)
async def completion(
    run: Run,  # noqa: ARG001
    shell: Annotated[Shell, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> int:
    """Print the completion script for a shell.

    It completes the names of apps, clusters, projects and environments, too.
    """
    return shell_complete(root_command(), {}, "skerry", "_SKERRY_COMPLETE", f"source_{shell.value}")
