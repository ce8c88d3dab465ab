"""Texts from elsewhere as a terminal can take them. Loads nothing, so that errors can use it."""

from __future__ import annotations


def first_line(text: str) -> str:
    """What a message says first; the rest explains it."""
    return text.strip().partition("\n")[0]


def one_line(text: str) -> str:
    """A message of several lines on one."""
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def clean(text: str) -> str:
    """The text without control characters: a pod's last words must not move the cursor or set the title."""
    return text.translate(_CONTROL)


_CONTROL = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
