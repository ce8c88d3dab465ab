"""Splitting of command text into arguments, as compose does it (shell words, no shell)."""

from __future__ import annotations

import shlex

_OPERATORS = frozenset({"&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1"})


def split_words(command: str) -> tuple[str, ...]:
    """Arguments of a command. Raises ValueError on an open quote or a lone backslash."""
    return tuple(shlex.split(command))


def shell_operators(command: str) -> list[str]:
    """Unquoted words that only a shell understands; they would become plain arguments."""
    try:
        words = shlex.split(command, posix=False)
    except ValueError:
        return []
    found = [word for word in words if word in _OPERATORS]
    return list(dict.fromkeys(found))
