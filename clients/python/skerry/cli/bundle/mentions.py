"""What a compose file mentions: files, variables, a name. Lenient, for the server judges the file.

Works on YAML nodes and not on values: nothing is constructed, tags such as !reset are fine, and an
alias is a reference, so that a file of aliases to aliases stays as small as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

VARIABLE = re.compile(r"\$(?:\$|\{?([A-Za-z_][A-Za-z0-9_]*))")


@dataclass(slots=True)
class Mentions:
    """What one compose file names, as written: not interpolated, relative to somewhere."""

    name: str = ""
    files: list[str] = field(default_factory=list)
    """Env files, configs, secrets, and sources of bind mounts (these may be folders)."""
    composes: list[str] = field(default_factory=list)
    """Other compose files: `include` and `extends.file`."""
    variables: set[str] = field(default_factory=set)
    """Names in `${…}`, and of environment entries without a value."""


def mentions(content: bytes) -> Mentions:
    """Read a compose file; what cannot be read mentions nothing."""
    found = Mentions()
    try:
        root = yaml.compose(content, Loader=yaml.SafeLoader)
        if root is not None:
            found.variables = set(_variables(root))
            _top_level(root, found)
    except (yaml.YAMLError, RecursionError, ValueError):
        return found
    return found


def variables_of(text: str) -> set[str]:
    """The names in `$NAME` and `${NAME…}`; `$$` is a dollar."""
    return {name for name in VARIABLE.findall(text) if name}


def _top_level(root: yaml.Node, found: Mentions) -> None:
    for key, value in _items(root):
        if key == "name":
            found.name = _text(value)
        elif key == "services":
            for _, service in _items(value):
                _service(service, found)
        elif key in ("configs", "secrets"):
            for _, entry in _items(value):
                found.files += [_text(v) for k, v in _items(entry) if k == "file" and _text(v)]
        elif key == "include":
            for entry in _elements(value):
                _include(entry, found)


def _service(service: yaml.Node, found: Mentions) -> None:
    for key, value in _items(service):
        match key:
            case "env_file" | "label_file":
                for entry in _elements(value):
                    found.files += filter(None, [_text(entry), *_fields(entry, "path")])
            case "extends":
                found.composes += _fields(value, "file")
            case "volumes":
                for entry in _elements(value):
                    found.files += _bind_source(entry)
            case "environment":
                found.variables |= set(_without_value(value))
            case "credential_spec":
                found.files += _fields(value, "file")
            case _:
                pass


def _include(entry: yaml.Node, found: Mentions) -> None:
    found.composes += filter(None, [_text(entry)])
    for key, value in _items(entry):
        texts = [text for text in map(_text, _elements(value)) if text]
        if key == "path":
            found.composes += texts
        elif key == "env_file":
            found.files += texts


def _bind_source(entry: yaml.Node) -> list[str]:
    """The host side of `./conf:/etc/conf:ro` or `{type: bind, source: ./conf}`; a volume has none."""
    text = _text(entry)
    if text:
        source, colon, _ = text.partition(":")
        if text.startswith("${"):  # A default such as ${CONF:-./conf} holds colons itself.
            end = text.find("}:")
            source, colon = text[: end + 1], ":" if end > 0 else ""
        looks_like_path = source.startswith((".", "/", "~", "$")) or "/" in source
        return [source] if colon and looks_like_path else []
    fields = {key: _text(value) for key, value in _items(entry)}
    if fields.get("type") == "bind" and fields.get("source"):
        return [fields["source"]]
    return []


def _without_value(node: yaml.Node) -> Iterator[str]:
    for entry in _elements(node):
        text = _text(entry)
        if text and "=" not in text:
            yield text
    for key, value in _items(node):
        unquoted = isinstance(value, yaml.ScalarNode) and value.style is None
        if unquoted and value.value in ("", "null", "~"):
            yield key


def _variables(root: yaml.Node) -> Iterator[str]:
    """Every name in every scalar, each node visited once."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            yield from variables_of(node.value)
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]


def _items(node: yaml.Node) -> Iterator[tuple[str, yaml.Node]]:
    """A mapping's entries, with those merged in by `<<`; each mapping once, however often it is merged."""
    seen: set[int] = set()
    waiting = [node]
    while waiting:
        mapping = waiting.pop()
        if not isinstance(mapping, yaml.MappingNode) or id(mapping) in seen:
            continue
        seen.add(id(mapping))
        for key, value in mapping.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value == "<<":
                waiting += value.value if isinstance(value, yaml.SequenceNode) else [value]
            else:
                yield key.value, value


def _elements(node: yaml.Node) -> list[yaml.Node]:
    """A sequence's elements; a scalar is a sequence of one, as compose has it."""
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    return [node] if isinstance(node, yaml.ScalarNode) else []


def _fields(node: yaml.Node, name: str) -> list[str]:
    return [text for key, value in _items(node) if key == name and (text := _text(value))]


def _text(node: yaml.Node) -> str:
    return node.value if isinstance(node, yaml.ScalarNode) else ""
