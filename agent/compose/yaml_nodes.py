"""YAML text → nodes with places, in one pass over libyaml's event stream.

Called by the loader for every source file. Everything that makes YAML dangerous is bounded here:
size, depth, alias expansion (counted, never expanded), and keys written twice are refused.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml
from yaml._yaml import CParser

from agent.compose.context import Limits
from agent.compose.nodes import Action, Budget, Entry, MappingNode, Node, ScalarNode, SequenceNode
from agent.compose.origin import Origin

_STANDARD_TAG = "tag:yaml.org,2002:"
_KNOWN_TAGS = frozenset(
    _STANDARD_TAG + name
    for name in ("str", "int", "float", "bool", "null", "map", "seq", "merge", "timestamp")
)
_ACTIONS = {action.value: action for action in Action}
_MERGE = "<<"


class YamlError(Exception):
    """The text cannot be used as YAML. Carries what a diagnostic needs."""

    def __init__(self, code: str, origin: Origin, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.origin = origin
        self.message = message
        self.hint = hint


def compose_documents(file: str, content: bytes, limits: Limits, budget: Budget) -> list[Node]:
    """All documents of a file. Raises YamlError at the first thing that is not usable YAML."""
    text = _decode(file, content, limits)
    return list(_Composer(file, text, limits, budget).documents())


def _decode(file: str, content: bytes, limits: Limits) -> str:
    if len(content) > limits.file_bytes:
        raise YamlError(
            "CMP012",
            Origin(file),
            f"the file has {len(content)} bytes or more, {limits.file_bytes} are allowed",
            "Move large content into files of its own.",
        )
    nul = content.find(b"\x00")
    if nul >= 0:
        raise YamlError(
            "CMP011", _place(file, content, nul), "this is a binary file", "Give a YAML text file."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise YamlError(
            "CMP010",
            _place(file, content, error.start),
            f"byte 0x{content[error.start]:02x} is not UTF-8",
            "Save the file as UTF-8.",
        ) from error


def _place(file: str, content: bytes, offset: int) -> Origin:
    line = content.count(b"\n", 0, offset) + 1
    column = offset - (content.rfind(b"\n", 0, offset) + 1) + 1
    return Origin(file, line, column, line, column)


class _Composer:
    def __init__(self, file: str, text: str, limits: Limits, budget: Budget) -> None:
        self._file = file
        self._limits = limits
        self._budget = budget
        self._parser = CParser(text)
        self._anchors: dict[str, tuple[Node, int, int]] = {}
        self._open: set[str] = set()

    def documents(self) -> Iterator[Node]:
        try:
            while True:
                event = self._next()
                if isinstance(event, yaml.StreamEndEvent):
                    return
                if isinstance(event, yaml.DocumentStartEvent):
                    self._anchors.clear()
                    yield self._node(self._next(), 0)[0]
        except yaml.YAMLError as error:
            raise self._syntax_error(error) from error

    def _next(self) -> yaml.Event:
        event = self._parser.get_event()
        if event is None:
            raise YamlError("CMP015", Origin(self._file), "the YAML text ends too early")
        return event

    def _node(self, event: yaml.Event, depth: int) -> tuple[Node, int, int]:
        """The node an event starts, its size with aliases counted out, and its height."""
        origin = self._origin(event)
        if depth > self._limits.depth:
            raise self._too_deep(origin)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(str(event.anchor), origin, depth)
        self._spend(_weight(event), origin)
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            self._open.add(anchor)
        built: tuple[Node, int, int]
        if isinstance(event, yaml.ScalarEvent):
            built = self._scalar(event, origin), _weight(event), 0
        elif isinstance(event, yaml.SequenceStartEvent):
            built = self._sequence(event, origin, depth)
        else:
            built = self._mapping(event, origin, depth)
        if anchor is not None:
            self._open.discard(anchor)
            self._anchors[anchor] = built
        return built

    def _alias(self, name: str, origin: Origin, depth: int) -> tuple[Node, int, int]:
        if name in self._open:
            raise YamlError("CMP018", origin, f'the alias "*{name}" contains itself')
        if name not in self._anchors:
            raise YamlError(
                "CMP018",
                origin,
                f'there is no anchor "&{name}" above the alias "*{name}"',
                f"Write &{name} before the value that is to be repeated.",
            )
        node, size, height = self._anchors[name]
        if depth + height > self._limits.depth:
            raise self._too_deep(origin)
        self._spend(size, origin)
        return node, size, height

    def _scalar(self, event: yaml.ScalarEvent, origin: Origin) -> ScalarNode:
        action = self._action(event.tag, origin)
        if event.tag is None:
            plain = bool(event.implicit[0])
        else:
            plain = action is None and event.tag not in (_STANDARD_TAG + "str", "!")
        return ScalarNode(event.value, origin, plain, action)

    def _sequence(
        self, event: yaml.Event, origin: Origin, depth: int
    ) -> tuple[SequenceNode, int, int]:
        action = self._action(getattr(event, "tag", None), origin)
        items: list[Node] = []
        size, height = 1, 0
        while not isinstance(following := self._next(), yaml.SequenceEndEvent):
            item, item_size, item_height = self._node(following, depth + 1)
            items.append(item)
            size += item_size
            height = max(height, item_height + 1)
        return SequenceNode(items, origin, action), size, height

    def _mapping(
        self, event: yaml.Event, origin: Origin, depth: int
    ) -> tuple[MappingNode, int, int]:
        action = self._action(getattr(event, "tag", None), origin)
        entries: dict[str, Entry] = {}
        merged: list[tuple[Origin, Node]] = []
        size, height = 1, 0
        while not isinstance(following := self._next(), yaml.MappingEndEvent):
            key, key_size, _ = self._node(following, depth + 1)
            key_origin = self._origin(following)
            value, value_size, value_height = self._node(self._next(), depth + 1)
            size += key_size + value_size
            height = max(height, value_height + 1)
            if not isinstance(key, ScalarNode) or key.is_null:
                raise YamlError("CMP017", key_origin, "a key must be text")
            if key.plain and key.text == _MERGE:
                merged.append((key_origin, value))
                continue
            first = entries.get(key.text)
            if first is not None:
                raise YamlError(
                    "CMP016",
                    key_origin,
                    f'key "{shorten(key.text)}" is written twice, '
                    f"first at line {first.key.line}:{first.key.column}",
                    "Remove one of them.",
                )
            entries[key.text] = Entry(key_origin, value)
        for key_origin, value in merged:
            for source in _merge_sources(key_origin, value):
                for name, entry in source.entries.items():
                    entries.setdefault(name, entry)
        return MappingNode(entries, origin, action), size, height

    def _action(self, tag: str | None, origin: Origin) -> Action | None:
        if tag is None or tag == "!" or tag in _KNOWN_TAGS:
            return None
        if tag in _ACTIONS:
            return _ACTIONS[tag]
        raise YamlError(
            "CMP021",
            origin,
            f'the tag "{shorten(tag)}" means nothing here',
            "Compose knows !reset and !override.",
        )

    def _spend(self, nodes: int, origin: Origin) -> None:
        self._budget.nodes -= nodes
        if self._budget.nodes < 0:
            raise YamlError(
                "CMP014",
                origin,
                f"the files have more than {self._limits.nodes} values, aliases counted out",
                "Use fewer aliases of large values.",
            )

    def _too_deep(self, origin: Origin) -> YamlError:
        return YamlError(
            "CMP013", origin, f"values are nested more than {self._limits.depth} levels deep"
        )

    def _origin(self, event: yaml.Event) -> Origin:
        start, end = event.start_mark, event.end_mark
        if start is None or end is None:
            return Origin(self._file)
        return Origin(self._file, start.line + 1, start.column + 1, end.line + 1, end.column + 1)

    def _syntax_error(self, error: yaml.YAMLError) -> YamlError:
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        origin = Origin(self._file)
        if mark is not None:
            line, column = mark.line + 1, mark.column + 1
            origin = Origin(self._file, line, column, line, column)
        context = getattr(error, "context", None)
        message = f"YAML: {problem}" + (f" {context}" if context else "")
        return YamlError("CMP015", origin, message, _syntax_hint(str(problem)))


def _weight(event: yaml.Event) -> int:
    """Long texts count as several nodes, so that aliases of them are bounded too."""
    return 1 + len(event.value) // 128 if isinstance(event, yaml.ScalarEvent) else 1


def _merge_sources(origin: Origin, value: Node) -> list[MappingNode]:
    """The mappings a `<<` pulls in; in a list, earlier ones win."""
    candidates = value.items if isinstance(value, SequenceNode) else [value]
    sources = [c for c in candidates if isinstance(c, MappingNode)]
    if len(sources) != len(candidates):
        raise YamlError(
            "CMP019",
            origin,
            '"<<" takes a mapping or a list of mappings',
            "A list cannot be merged into a mapping; repeat its items.",
        )
    return sources


def _syntax_hint(problem: str) -> str:
    if "cannot start any token" in problem:
        return "Indent with spaces, not tabs, and quote values that start with @, ` or %."
    if "mapping values are not allowed" in problem:
        return 'Check the indentation, and quote values that contain ": ".'
    return ""


def shorten(text: str, length: int = 60) -> str:
    """Text of the user for a message: one line, bounded."""
    flat = text.replace("\n", "\\n")
    return flat if len(flat) <= length else f"{flat[: length - 1]}…"
