"""Moves what came from another compose file to where it is used: paths and origins.

Relative paths in an extended or included file start from that file's folder; after merging they
must start from the project folder like all others. Every value also remembers the way it came.
"""

from __future__ import annotations

import posixpath

from agent.compose.key import Shape
from agent.compose.keys import Branch
from agent.compose.nodes import Budget, Entry, MappingNode, Node, ScalarNode, SequenceNode, text
from agent.compose.paths import is_relative
from agent.compose.yaml_nodes import YamlError

_PATHS = frozenset(
    {
        "services.*.env_file.[].path",
        "services.*.volumes.[].source",
        "services.*.label_file.[]",
        "configs.*.file",
        "secrets.*.file",
    }
)


def relocate(
    node: MappingNode, folder: str, step: str, table: Branch, path: str, budget: Budget
) -> MappingNode:
    """A copy of the canonical node, with paths joined to `folder` and `step` on every origin.

    `path` is the table's path of the node ("" for a document, "services.*" for a service). Raises
    YamlError when the copies take more nodes than there may be.
    """
    return _Relocation(folder, step, budget).mapping(node, path, table)


class _Relocation:
    def __init__(self, folder: str, step: str, budget: Budget) -> None:
        self._folder = folder
        self._step = step
        self._budget = budget

    def node(self, node: Node, path: str, table: Branch | None) -> Node:
        self._budget.nodes -= 1
        if self._budget.nodes < 0:
            raise YamlError(
                "CMP014", node.origin, "what extends and include copy is too much", "Use it less."
            )
        if isinstance(node, MappingNode):
            return self.mapping(node, path, table)
        if isinstance(node, SequenceNode):
            below = table.item if table is not None else None
            items = [self.node(item, f"{path}.[]", below) for item in node.items]
            return SequenceNode(items, node.origin.through(self._step), node.action)
        origin = node.origin.through(self._step)
        if path in _PATHS and self._folder and is_relative(node.text):
            return text(f"./{posixpath.join(self._folder, node.text)}", origin)
        return ScalarNode(node.text, origin, node.plain, node.action)

    def mapping(self, node: MappingNode, path: str, table: Branch | None) -> MappingNode:
        entries: dict[str, Entry] = {}
        is_mount = path == "services.*.volumes.[]"
        for name, entry in node.entries.items():
            below = table.child(name) if table is not None else None
            key = (
                "*" if below is not None and name not in (table.children if table else {}) else name
            )
            child = f"{path}.{key}" if path else key
            if is_mount and name == "source" and not _is_bind(node):
                child = f"{child} of a volume"
            if below is not None and below.key.shape is Shape.ANY:
                below = None
            entries[name] = Entry(entry.key, self.node(entry.value, child, below))
        return MappingNode(entries, node.origin.through(self._step), node.action)


def _is_bind(node: MappingNode) -> bool:
    kind = node.get("type")
    return isinstance(kind, ScalarNode) and kind.text == "bind"
