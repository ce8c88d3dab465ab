"""Typed reading of a canonical mapping: values out, findings for what cannot be read.

The reader uses it for every part of the model; a value that is wrong is reported once and read as
absent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeVar

from agent.compose.diagnostics import Report
from agent.compose.durations import parse_duration
from agent.compose.nodes import MappingNode, Node, ScalarNode, SequenceNode
from agent.compose.origin import Origin
from agent.compose.scalars import FALSE, TRUE
from agent.compose.sizes import parse_cpus, parse_size
from agent.compose.yaml_nodes import shorten

T = TypeVar("T")

_WHOLE = re.compile(r"[-+]?\d{1,18}", re.ASCII)
# Interpolated text is cast as compose-go does it (strconv.ParseBool, and YAML's older words).
_TRUE_TEXT = TRUE | {"1", "t", "T", "yes", "Yes", "YES", "y", "Y", "on", "On", "ON"}
_FALSE_TEXT = FALSE | {"0", "f", "F", "no", "No", "NO", "n", "N", "off", "Off", "OFF"}


class Fields:
    """A mapping of the document at `path`."""

    def __init__(self, node: MappingNode, path: str, report: Report) -> None:
        self.node = node
        self.path = path
        self.report = report

    def has(self, key: str) -> bool:
        return key in self.node.entries

    def origin(self, key: str = "") -> Origin:
        """Where the key's value stands; the mapping's own place if it is absent."""
        entry = self.node.entries.get(key)
        return self.node.origin if entry is None else entry.place

    def at(self, key: str) -> str:
        """The key's path for diagnostics."""
        return f"{self.path}.{key}" if self.path else key

    def error(self, code: str, key: str, message: str, hint: str = "") -> None:
        self.report.error(code, self.origin(key), self.at(key), message, hint)

    def warning(self, code: str, key: str, message: str, hint: str = "") -> None:
        self.report.warning(code, self.origin(key), self.at(key), message, hint)

    def info(self, code: str, key: str, message: str, hint: str = "") -> None:
        self.report.info(code, self.origin(key), self.at(key), message, hint)

    def scalar(self, key: str) -> ScalarNode | None:
        value = self.node.get(key)
        return value if isinstance(value, ScalarNode) else None

    def text(self, key: str, default: str = "") -> str:
        value = self.scalar(key)
        return default if value is None else value.text

    def flag(self, key: str, default: bool = False) -> bool:
        value = self.scalar(key)
        if value is None:
            return default
        if value.text in _TRUE_TEXT:
            return True
        if value.text not in _FALSE_TEXT:
            self.error("CMP004", key, f'"{shorten(value.text)}" is neither true nor false')
        return False

    def whole(self, key: str) -> int | None:
        return self._parsed(key, _parse_whole)

    def cpus(self, key: str) -> int | None:
        """Millicores."""
        return self._parsed(key, parse_cpus)

    def size(self, key: str) -> int | None:
        """Bytes."""
        return self._parsed(key, parse_size)

    def duration(self, key: str) -> int | None:
        """Nanoseconds."""
        return self._parsed(key, parse_duration)

    def choice(self, key: str, allowed: tuple[str, ...], default: str) -> str:
        """One of some words; anything else is an error and reads as the default."""
        value = self.text(key, default)
        if value in allowed:
            return value
        words = ", ".join(allowed)
        self.error("CMP004", key, f'"{shorten(value)}" is not one of {words}')
        return default

    def texts(self, key: str) -> list[ScalarNode]:
        value = self.node.get(key)
        if not isinstance(value, SequenceNode):
            return []
        return [item for item in value.items if isinstance(item, ScalarNode)]

    def child(self, key: str) -> Fields | None:
        value = self.node.get(key)
        return Fields(value, self.at(key), self.report) if isinstance(value, MappingNode) else None

    def children(self, key: str) -> Iterator[tuple[str, Fields]]:
        """Named mappings below the key (services, networks, …), with their names."""
        parent = self.child(key)
        if parent is None:
            return
        for name in parent.node.entries:
            below = parent.child(name)
            if below is not None:
                yield name, below

    def items(self, key: str) -> Iterator[Fields]:
        """Mappings of a list below the key."""
        value = self.node.get(key)
        if isinstance(value, SequenceNode):
            for index, item in enumerate(value.items):
                if isinstance(item, MappingNode):
                    yield Fields(item, f"{self.at(key)}[{index}]", self.report)

    def pairs(self, key: str) -> Iterator[tuple[str, ScalarNode, Origin]]:
        """Name, value and place of every pair below the key."""
        value = self.node.get(key)
        if isinstance(value, MappingNode):
            for name, entry in value.entries.items():
                if isinstance(entry.value, ScalarNode):
                    yield name, entry.value, entry.place

    def _parsed(self, key: str, parse: Callable[[str], T]) -> T | None:
        value: Node | None = self.scalar(key)
        if not isinstance(value, ScalarNode):
            return None
        try:
            return parse(value.go_text)
        except ValueError as error:
            self.error("CMP004", key, str(error))
            return None


def _parse_whole(value: str) -> int:
    if _WHOLE.fullmatch(value.strip()) is None:
        raise ValueError(f'"{shorten(value)}" is not a whole number')
    return int(value)
