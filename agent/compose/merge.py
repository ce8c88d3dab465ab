"""Merging of compose documents, by the rules each key has in the specification.

Mappings merge deeply; lists are appended and made unique by what identifies an item (a port, a
mount target, a path, the value itself); commands and health tests replace. `!reset` removes what
earlier files said, `!override` replaces it. Used for several files, `extends` and `include`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable

from agent.compose.key import Shape
from agent.compose.keys import Branch
from agent.compose.nodes import Action, Entry, MappingNode, Node, ScalarNode, SequenceNode


def merge(base: MappingNode, over: MappingNode, table: Branch | None) -> MappingNode:
    """`base` with `over` laid on top; both in canonical form."""
    entries = dict(base.entries)
    for name, entry in over.entries.items():
        below = table.child(name) if table is not None else None
        known = entries.get(name)
        if entry.value.action is Action.RESET:
            entries.pop(name, None)
        elif known is None:
            entries[name] = Entry(entry.key, strip(entry.value))
        else:
            entries[name] = Entry(entry.key, _value(known.value, entry.value, below))
    return MappingNode(entries, over.origin if over.entries else base.origin)


def strip(node: Node) -> Node:
    """The node without merge instructions below it: resets are gone, overrides are plain values."""
    if isinstance(node, MappingNode):
        entries = {
            name: Entry(entry.key, strip(entry.value))
            for name, entry in node.entries.items()
            if entry.value.action is not Action.RESET
        }
        return MappingNode(entries, node.origin)
    if isinstance(node, SequenceNode):
        items = [strip(item) for item in node.items if item.action is not Action.RESET]
        return SequenceNode(items, node.origin)
    return node if node.action is None else ScalarNode(node.text, node.origin, node.plain)


def _value(base: Node, over: Node, table: Branch | None) -> Node:
    if over.action is Action.OVERRIDE:
        return strip(over)
    if isinstance(base, MappingNode) and isinstance(over, MappingNode):
        return merge(base, over, table)
    if isinstance(base, SequenceNode) and isinstance(over, SequenceNode):
        shape = table.key.shape if table is not None else Shape.LIST
        if shape is Shape.COMMAND:
            return strip(over)
        return _joined(base, over, _IDENTITIES.get(shape, _by_value))
    return strip(over)


def _joined(
    base: SequenceNode, over: SequenceNode, identity: Callable[[Node], Hashable]
) -> SequenceNode:
    """Items of both; an item of `over` takes the place of the one it identifies with."""
    items = {identity(item): item for item in base.items}
    for item in over.items:
        items[identity(item)] = strip(item)
    return SequenceNode(list(items.values()), over.origin)


def _by_value(node: Node) -> Hashable:
    return node.text if isinstance(node, ScalarNode) else id(node)


def _field(node: Node, name: str, default: str = "") -> str:
    value = node.get(name) if isinstance(node, MappingNode) else None
    return value.text if isinstance(value, ScalarNode) else default


def _by_port(node: Node) -> Hashable:
    return (
        _field(node, "host_ip"),
        _field(node, "target"),
        _field(node, "published"),
        _field(node, "protocol", "tcp"),
    )


def _by_target(node: Node) -> Hashable:
    return _field(node, "target").rstrip("/") or _field(node, "source")


def _by_path(node: Node) -> Hashable:
    return _field(node, "path")


_IDENTITIES: dict[Shape, Callable[[Node], Hashable]] = {
    Shape.PORTS: _by_port,
    Shape.MOUNTS: _by_target,
    Shape.GRANTS: _by_target,
    Shape.ENV_FILES: _by_path,
}
