"""Parses the values of our options without pydantic. Used by `command` and `tree` for every command.

Typer checks each value with a pydantic adapter, and importing pydantic takes longer than everything
else that `skerry exec` does before its first byte. Our values are texts, choices and small numbers: what
is plainly one of these is taken as it is, and only what is not goes typer's way, which words the error.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

_LONGEST_NUMBER = 15


class QuickCommand(TyperCommand):
    """A command whose parameters take the short way where they can."""

    def get_params(self, ctx: Any) -> list[Any]:
        """All parameters, --help included."""
        return [_shorten(parameter) for parameter in super().get_params(ctx)]


class QuickGroup(TyperGroup):
    """A group whose parameters take the short way where they can."""

    def get_params(self, ctx: Any) -> list[Any]:
        """All parameters, --help included."""
        return [_shorten(parameter) for parameter in super().get_params(ctx)]


def _shorten(parameter: Any) -> Any:
    """Give the parameter a `process_value` that asks typer's own only when it has to."""
    if "process_value" in vars(parameter):
        return parameter  # Done before: click asks for the parameters more than once.
    slow = parameter.process_value
    several = parameter.multiple or parameter.nargs == -1

    def process_value(ctx: Any, value: Any) -> Any:
        if value is None and not parameter.required:
            quick: Any = () if several else None
        else:
            quick = _convert(parameter, value)
            if quick is None:
                return slow(ctx, value)
        return quick if parameter.callback is None else parameter.callback(ctx, parameter, quick)

    parameter.process_value = process_value
    return parameter


def _convert(parameter: TyperArgument | TyperOption, value: Any) -> Any:
    """The value as its type, or None when that needs a closer look."""
    annotation: Any = parameter.type_descriptor.annotation
    if annotation is str and isinstance(value, str):
        return value
    if annotation == list[str] and isinstance(value, list | tuple) and value:
        return value
    if annotation is int and isinstance(value, int):
        return value
    if annotation is int and isinstance(value, str) and value.isascii() and value.isdecimal():
        unbounded = parameter.max is None and parameter.min in (None, 0)
        return int(value) if unbounded and len(value) < _LONGEST_NUMBER else None
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return next((member for member in annotation if value in (member, member.value)), None)
    return None
