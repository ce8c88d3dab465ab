"""The tree every loader stage works on: YAML nodes that know where they were written.

Nodes are shared (an anchor used twice is one object), so no stage changes one in place; a stage
that changes a value makes a new node with the same origin.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias

from agent.compose import scalars
from agent.compose.origin import Origin


class Action(StrEnum):
    """Merge instructions written as YAML tags."""

    RESET = "!reset"
    OVERRIDE = "!override"


@dataclass(slots=True)
class ScalarNode:
    """A scalar. `plain` is false for quoted and block scalars and for interpolated text."""

    text: str
    origin: Origin
    plain: bool = True
    action: Action | None = None

    @property
    def is_null(self) -> bool:
        """Whether YAML reads it as null (`key:` or `~`)."""
        return self.plain and self.text in scalars.NULLS

    @property
    def go_text(self) -> str:
        """The text compose sees: `0x10` is 16, `1.50` is 1.5, `TRUE` is true."""
        return scalars.go_text(self.text) if self.plain else self.text

    @property
    def kind(self) -> scalars.Kind:
        return scalars.kind(self.text) if self.plain else scalars.Kind.STRING


@dataclass(slots=True)
class SequenceNode:
    items: list[Node]
    origin: Origin
    action: Action | None = None


@dataclass(slots=True)
class Entry:
    """A mapping's value and where its key stands."""

    key: Origin
    value: Node

    @property
    def place(self) -> Origin:
        """Where a person looks: the value if it is a scalar, else the key above it."""
        if isinstance(self.value, ScalarNode) and not self.value.is_null:
            return self.value.origin
        return replace(self.key, via=self.value.origin.via)


@dataclass(slots=True)
class MappingNode:
    entries: dict[str, Entry]
    origin: Origin
    action: Action | None = None

    def get(self, key: str) -> Node | None:
        entry = self.entries.get(key)
        return None if entry is None else entry.value

    def child(self, key: str) -> MappingNode | None:
        """The value if it is a mapping."""
        value = self.get(key)
        return value if isinstance(value, MappingNode) else None


Node: TypeAlias = ScalarNode | SequenceNode | MappingNode


def text(value: str, origin: Origin) -> ScalarNode:
    """A scalar that is text whatever it looks like."""
    return ScalarNode(value, origin, plain=False)


def mapping(origin: Origin, **values: Node | str | None) -> MappingNode:
    """A mapping whose parts all came from one place (a short form made long); None is left out."""
    entries = {
        key: Entry(origin, text(value, origin) if isinstance(value, str) else value)
        for key, value in values.items()
        if value is not None
    }
    return MappingNode(entries, origin)


@dataclass(slots=True)
class Budget:
    """What is left of the bounds while files are read; shared by all files of one plan."""

    nodes: int
    text_bytes: int
    suggestions: int = field(default=50)
    """How many "did you mean" searches may still be made (each is slow)."""
