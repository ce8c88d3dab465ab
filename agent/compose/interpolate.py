"""Compose's variable interpolation: `$V`, `${V}`, the six operators, nested defaults and `$$`.

`substitute` is the grammar (also used for env files); `Interpolator` applies it to the values,
never the keys, of a node tree. Behaviour follows compose-go's template package: `$(`, `$1` and a
lone `$` stay as they are, and a default or message is interpolated only when it is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from agent.compose.diagnostics import Report
from agent.compose.nodes import Budget, Entry, MappingNode, Node, ScalarNode, SequenceNode
from agent.compose.yaml_nodes import shorten

Lookup: TypeAlias = Callable[[str], str | None]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_OPERATOR = re.compile(r":?[-+?]")
_BRACE = re.compile(r"[{}]")
_MAX_NESTING = 20


class TemplateError(ValueError):
    """`${` that is not closed or does not name a variable."""


@dataclass(slots=True)
class Substitution:
    """Text after interpolation, and what it took."""

    text: str
    used: tuple[str, ...] = ()
    """Variables the text refers to, in order of use."""
    unset: tuple[str, ...] = ()
    """Variables without a value and without a default: they became empty text."""
    missing: tuple[tuple[str, str], ...] = ()
    """Required variables (`:?`, `?`) without a value, with the author's message."""


def substitute(template: str, lookup: Lookup, max_length: int = 1 << 23) -> Substitution:
    """Interpolate one text. Raises TemplateError when it is malformed or grows beyond a bound."""
    if "$" not in template:
        return Substitution(template)
    run = _Run(lookup, max_length)
    text = run.expand(template, 0)
    return Substitution(
        text,
        tuple(dict.fromkeys(run.used)),
        tuple(dict.fromkeys(run.unset)),
        tuple(dict.fromkeys(run.missing)),
    )


@dataclass(slots=True)
class _Run:
    lookup: Lookup
    room: int
    used: list[str] = field(default_factory=list)
    unset: list[str] = field(default_factory=list)
    missing: list[tuple[str, str]] = field(default_factory=list)

    def expand(self, template: str, depth: int) -> str:
        if depth > _MAX_NESTING:
            raise TemplateError(f"defaults are nested more than {_MAX_NESTING} levels deep")
        parts: list[str] = []
        position = 0
        while (dollar := template.find("$", position)) >= 0:
            parts.append(template[position:dollar])
            part, position = self._reference(template, dollar, depth)
            self.room -= len(part)
            if self.room < 0:
                raise TemplateError("the interpolated values are too long")
            parts.append(part)
        parts.append(template[position:])
        return "".join(parts)

    def _reference(self, template: str, dollar: int, depth: int) -> tuple[str, int]:
        """The text for the `$…` at `dollar`, and where reading goes on."""
        following = template[dollar + 1 : dollar + 2]
        if following == "$":
            return "$", dollar + 2
        if following == "{":
            end = _closing_brace(template, dollar + 1)
            return self._braced(template[dollar + 2 : end], depth), end + 1
        name = _NAME.match(template, dollar + 1)
        if name is None:
            return "$", dollar + 1
        return self._plain(name.group()), name.end()

    def _plain(self, name: str) -> str:
        self.used.append(name)
        value = self.lookup(name)
        if value is None:
            self.unset.append(name)
            return ""
        return value

    def _braced(self, body: str, depth: int) -> str:
        match = _NAME.match(body)
        if match is None:
            raise TemplateError(f'"${{{shorten(body, 30)}}}" does not name a variable')
        name = match.group()
        if match.end() == len(body):
            return self._plain(name)
        operator = _OPERATOR.match(body, match.end())
        if operator is None:
            raise TemplateError(f'"${{{shorten(body, 30)}}}" has no operator compose knows')
        self.used.append(name)
        argument = body[operator.end() :]
        value = self.lookup(name)
        if operator.group().startswith(":") and value == "":
            value = None
        kind = operator.group()[-1]
        if kind == "+":
            return "" if value is None else self.expand(argument, depth + 1)
        if value is not None:
            return value
        if kind == "-":
            return self.expand(argument, depth + 1)
        self.missing.append((name, self.expand(argument, depth + 1)))
        return ""


def _closing_brace(template: str, opening: int) -> int:
    depth = 0
    for match in _BRACE.finditer(template, opening):
        depth += 1 if match.group() == "{" else -1
        if depth == 0:
            return match.start()
    raise TemplateError(f'"{shorten(template[opening - 1 :], 30)}" is not closed')


class Interpolator:
    """Replaces variables in all values of a tree; shared nodes are done once and stay shared."""

    def __init__(self, lookup: Lookup, report: Report, budget: Budget) -> None:
        self._lookup = lookup
        self._report = report
        self._budget = budget
        self._done: dict[int, tuple[Node, Node]] = {}

    def tree(self, node: Node, path: str = "") -> Node:
        """The tree with variables replaced. Problems are reported; the value is kept as text."""
        known = self._done.get(id(node))
        if known is not None:
            return known[1]
        if isinstance(node, ScalarNode):
            result: Node = self._scalar(node, path)
        elif isinstance(node, SequenceNode):
            items = [self.tree(item, f"{path}[{i}]") for i, item in enumerate(node.items)]
            changed = any(a is not b for a, b in zip(items, node.items, strict=True))
            result = SequenceNode(items, node.origin, node.action) if changed else node
        else:
            result = self._mapping(node, path)
        # The original is kept too: its id must not be given to another node meanwhile.
        self._done[id(node)] = (node, result)
        return result

    def _mapping(self, node: MappingNode, path: str) -> MappingNode:
        entries: dict[str, Entry] = {}
        changed = False
        for key, entry in node.entries.items():
            value = self.tree(entry.value, f"{path}.{key}" if path else key)
            changed = changed or value is not entry.value
            entries[key] = Entry(entry.key, value)
        return MappingNode(entries, node.origin, node.action) if changed else node

    def _scalar(self, node: ScalarNode, path: str) -> ScalarNode:
        if "$" not in node.text:
            return node
        try:
            done = substitute(node.text, self._lookup, max(self._budget.text_bytes, 0))
        except TemplateError as error:
            self._report.error(
                "CMP122", node.origin, path, str(error), 'Write "$$" for a "$" that is meant.'
            )
            return node
        self._budget.text_bytes -= len(done.text)
        for name, message in done.missing:
            said = f": {message}" if message else ""
            self._report.error(
                "CMP120",
                node.origin,
                path,
                f"required variable {name} is missing a value{said}",
                f"Set {name} in the project's variables.",
            )
        for name in done.unset:
            self._report.warning(
                "CMP121",
                node.origin,
                path,
                f"variable {name} is not set and becomes empty text",
                f"Set {name}, or write ${{{name}:-}} if empty is meant.",
            )
        origin = replace(node.origin, variables=done.used)
        return ScalarNode(done.text, origin, plain=False, action=node.action)
