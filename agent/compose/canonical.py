"""Short forms made long and types checked, by the table of keys, before files are merged.

After this stage every list of the document has one form: `environment` is a mapping, a port is a
mapping, `depends_on` is a mapping. A value of the wrong type is reported and left out, so that
later stages need no type checks. Keys the table does not know are kept for the check to report.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent.compose.diagnostics import Report
from agent.compose.key import Shape
from agent.compose.keys import Branch
from agent.compose.mounts import split_mount
from agent.compose.nodes import (
    Entry,
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    mapping,
    text,
)
from agent.compose.origin import Origin
from agent.compose.ports import PortSyntaxError, split_port
from agent.compose.yaml_nodes import shorten

_SCALARS = frozenset(
    {Shape.TEXT, Shape.FLAG, Shape.WHOLE, Shape.NUMBER, Shape.SIZE, Shape.DURATION}
)


def canonical(document: MappingNode, table: Branch, report: Report) -> MappingNode:
    """The document in long form."""
    return _Canonicaliser(report).children(table, document, "")


def type_name(node: Node) -> str:
    """What a person calls the node's type."""
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    return "empty" if node.is_null else f'"{shorten(node.text)}"'


class _Canonicaliser:
    def __init__(self, report: Report) -> None:
        self._report = report
        self._by_shape: dict[Shape, Callable[[Branch, Node, str], Node | None]] = {
            Shape.TEXTS: self._texts,
            Shape.LIST: self._list,
            Shape.MAPPING: self._mapping,
            Shape.NAMED: self._named,
            Shape.PAIRS: self._pairs,
            Shape.COMMAND: self._command,
            Shape.BUILD: self._build,
            Shape.DEPENDENCIES: self._dependencies,
            Shape.ATTACHMENTS: self._attachments,
            Shape.PORTS: self._ports,
            Shape.MOUNTS: self._mounts,
            Shape.GRANTS: self._grants,
            Shape.ENV_FILES: self._env_files,
            Shape.EXTENDS: self._extends,
            Shape.INCLUDES: self._includes,
            Shape.HOSTS: self._hosts,
            Shape.LIMITS: self._limits,
            Shape.EXTERNAL: self._external,
            Shape.DEVICES: self._list,
        }

    def children(self, branch: Branch, node: MappingNode, path: str) -> MappingNode:
        entries: dict[str, Entry] = {}
        for name, entry in node.entries.items():
            below = branch.child(name)
            if below is None:
                entries[name] = entry
                continue
            value = self.value(below, entry.value, f"{path}.{name}" if path else name)
            if value is not None:
                entries[name] = Entry(entry.key, value)
        return MappingNode(entries, node.origin, node.action)

    def value(self, branch: Branch, node: Node, path: str) -> Node | None:
        """The node in the long form of its row; None when it is empty or was refused."""
        shape = branch.key.shape
        if node.action is not None and isinstance(node, ScalarNode) and node.text in ("", "null"):
            return node
        if shape is Shape.ANY:
            return node
        if shape in _SCALARS:
            return self._scalar(branch, node, path)
        done = self._by_shape[shape](branch, node, path)
        if done is not None and done.action is None and node.action is not None:
            done.action = node.action
        return done

    def _scalar(self, branch: Branch, node: Node, path: str) -> Node | None:
        if not isinstance(node, ScalarNode):
            return self._wrong(branch, node, path)
        return None if node.is_null else node

    def _texts(self, branch: Branch, node: Node, path: str) -> Node | None:
        if isinstance(node, ScalarNode):
            return None if node.is_null else SequenceNode([node], node.origin)
        return self._scalar_list(branch, node, path)

    def _scalar_list(self, branch: Branch, node: Node, path: str) -> Node | None:
        if not isinstance(node, SequenceNode):
            return self._wrong(branch, node, path)
        items: list[Node] = []
        for index, item in enumerate(node.items):
            if isinstance(item, ScalarNode) and not item.is_null:
                items.append(item)
            else:
                self._wrong_item(item, f"{path}[{index}]", "text")
        return SequenceNode(items, node.origin)

    def _list(self, branch: Branch, node: Node, path: str) -> Node | None:
        if _is_null(node):
            return None
        if not isinstance(node, SequenceNode):
            return self._wrong(branch, node, path)
        below = branch.item
        if below is None or not below.children:
            return node
        items: list[Node] = []
        for index, item in enumerate(node.items):
            done = self._mapping(below, item, f"{path}[{index}]")
            if done is not None:
                items.append(done)
        return SequenceNode(items, node.origin)

    def _mapping(self, branch: Branch, node: Node, path: str) -> Node | None:
        if _is_null(node):
            return None
        if not isinstance(node, MappingNode):
            return self._wrong(branch, node, path)
        return self.children(branch, node, path)

    def _named(self, branch: Branch, node: Node, path: str) -> Node | None:
        if _is_null(node):
            return None
        if not isinstance(node, MappingNode):
            return self._wrong(branch, node, path)
        below = branch.child("*")
        takes_mapping = below is not None and below.key.shape is Shape.MAPPING
        entries: dict[str, Entry] = {}
        for name, entry in node.entries.items():
            value: Node = entry.value
            if takes_mapping and _is_null(value) and value.action is None:
                value = MappingNode({}, value.origin)
            done = self.value(below, value, f"{path}.{name}") if below else value
            if done is not None:
                entries[name] = Entry(entry.key, done)
        return MappingNode(entries, node.origin)

    def _pairs(self, branch: Branch, node: Node, path: str) -> Node | None:
        if _is_null(node):
            return None
        entries: dict[str, Entry] = {}
        if isinstance(node, SequenceNode):
            for index, item in enumerate(node.items):
                if not isinstance(item, ScalarNode) or item.is_null:
                    self._wrong_item(item, f"{path}[{index}]", "KEY=VALUE")
                    continue
                name, equals, value = item.text.partition("=")
                found = text(value, item.origin) if equals else ScalarNode("", item.origin)
                entries[name] = Entry(item.origin, found)
            return MappingNode(entries, node.origin)
        if not isinstance(node, MappingNode):
            return self._wrong(branch, node, path)
        for name, entry in node.entries.items():
            value_node = entry.value
            if not isinstance(value_node, ScalarNode):
                self._wrong_item(value_node, f"{path}.{name}", "text")
            elif value_node.is_null or value_node.action is not None:
                entries[name] = entry
            else:
                plain = text(value_node.go_text, value_node.origin)
                entries[name] = Entry(entry.key, plain)
        return MappingNode(entries, node.origin)

    def _command(self, branch: Branch, node: Node, path: str) -> Node | None:
        if isinstance(node, ScalarNode):
            return None if node.is_null else node
        return self._scalar_list(branch, node, path)

    def _build(self, branch: Branch, node: Node, path: str) -> Node | None:
        if isinstance(node, ScalarNode) and not node.is_null:
            return mapping(node.origin, context=node)
        return self._mapping(branch, node, path)

    def _dependencies(self, branch: Branch, node: Node, path: str) -> Node | None:
        if isinstance(node, SequenceNode):
            return self._names(
                node, path, lambda origin: mapping(origin, condition="service_started")
            )
        return self._named(branch, node, path)

    def _attachments(self, branch: Branch, node: Node, path: str) -> Node | None:
        if isinstance(node, SequenceNode):
            return self._names(node, path, lambda origin: MappingNode({}, origin))
        return self._named(branch, node, path)

    def _names(
        self, node: SequenceNode, path: str, value: Callable[[Origin], MappingNode]
    ) -> MappingNode:
        entries: dict[str, Entry] = {}
        for index, item in enumerate(node.items):
            if isinstance(item, ScalarNode) and not item.is_null:
                entries[item.text] = Entry(item.origin, value(item.origin))
            else:
                self._wrong_item(item, f"{path}[{index}]", "a name")
        return MappingNode(entries, node.origin)

    def _ports(self, branch: Branch, node: Node, path: str) -> Node | None:
        return self._items(branch, node, path, self._port)

    def _port(self, item: ScalarNode, path: str) -> MappingNode | None:
        try:
            parts = split_port(item.text)
        except PortSyntaxError as error:
            self._report.error(
                "CMP231", item.origin, path, str(error), 'Write "published:target" in quotes.'
            )
            return None
        return mapping(
            item.origin,
            target=parts.target,
            published=parts.published or None,
            host_ip=parts.host_ip or None,
            protocol=parts.protocol,
        )

    def _mounts(self, branch: Branch, node: Node, path: str) -> Node | None:
        return self._items(branch, node, path, self._mount)

    def _mount(self, item: ScalarNode, path: str) -> MappingNode | None:
        parts = split_mount(item.text)
        for option in parts.unknown:
            self._report.error(
                "CMP340", item.origin, path, f'"{shorten(option)}" is not a mount option'
            )
        origin = item.origin
        bind = mapping(origin, propagation=parts.propagation) if parts.propagation else None
        volume = mapping(origin, nocopy="true") if parts.nocopy else None
        return mapping(
            origin,
            type="bind" if parts.is_bind else "volume",
            source=parts.source or None,
            target=parts.target,
            read_only="true" if parts.read_only else None,
            bind=bind,
            volume=volume,
        )

    def _grants(self, branch: Branch, node: Node, path: str) -> Node | None:
        return self._items(
            branch, node, path, lambda item, _: mapping(item.origin, source=item.text)
        )

    def _env_files(self, branch: Branch, node: Node, path: str) -> Node | None:
        if isinstance(node, ScalarNode) and not node.is_null:
            node = SequenceNode([node], node.origin)
        return self._items(branch, node, path, lambda item, _: mapping(item.origin, path=item.text))

    def _includes(self, branch: Branch, node: Node, path: str) -> Node | None:
        def long(item: ScalarNode, _: str) -> MappingNode:
            return mapping(item.origin, path=SequenceNode([item], item.origin))

        return self._items(branch, node, path, long)

    def _items(
        self,
        branch: Branch,
        node: Node,
        path: str,
        long_form: Callable[[ScalarNode, str], MappingNode | None],
    ) -> Node | None:
        """A list whose items are mappings or short texts."""
        if _is_null(node):
            return None
        if not isinstance(node, SequenceNode):
            return self._wrong(branch, node, path)
        below = branch.item
        items: list[Node] = []
        for index, item in enumerate(node.items):
            place = f"{path}[{index}]"
            if isinstance(item, MappingNode):
                done: MappingNode | None = item
                if below is not None:
                    done = self.children(below, item, place)
            elif isinstance(item, ScalarNode) and not item.is_null:
                done = long_form(item, place)
            else:
                self._wrong_item(item, place, "text or a mapping")
                continue
            if done is not None:
                items.append(done)
        return SequenceNode(items, node.origin)

    def _extends(self, branch: Branch, node: Node, path: str) -> Node | None:
        if isinstance(node, ScalarNode) and not node.is_null:
            return mapping(node.origin, service=node)
        return self._mapping(branch, node, path)

    def _hosts(self, branch: Branch, node: Node, path: str) -> Node | None:
        """Host → list of addresses; `host=ip` and `host:ip`, IPv6 in brackets or not."""
        if _is_null(node):
            return None
        entries: dict[str, Entry] = {}

        def add(name: str, address: str, origin: Origin) -> None:
            known = entries.setdefault(name, Entry(origin, SequenceNode([], origin))).value
            assert isinstance(known, SequenceNode)  # noqa: S101 - put there one line above
            known.items.append(text(address.strip().strip("[]"), origin))

        if isinstance(node, MappingNode):
            for name, entry in node.entries.items():
                values = (
                    entry.value.items if isinstance(entry.value, SequenceNode) else [entry.value]
                )
                for value in values:
                    if isinstance(value, ScalarNode) and not value.is_null:
                        add(name, value.text, value.origin)
                    else:
                        self._wrong_item(value, f"{path}.{name}", "an address")
        elif isinstance(node, SequenceNode):
            for index, item in enumerate(node.items):
                separator = "=" if isinstance(item, ScalarNode) and "=" in item.text else ":"
                if isinstance(item, ScalarNode) and separator in item.text:
                    name, _, address = item.text.partition(separator)
                    add(name.strip(), address, item.origin)
                else:
                    self._wrong_item(item, f"{path}[{index}]", "HOST=IP")
        else:
            return self._wrong(branch, node, path)
        return MappingNode(entries, node.origin)

    def _limits(self, branch: Branch, node: Node, path: str) -> Node | None:
        return node if isinstance(node, MappingNode) else self._wrong(branch, node, path)

    def _external(self, branch: Branch, node: Node, path: str) -> Node | None:
        if isinstance(node, SequenceNode):
            return self._wrong(branch, node, path)
        if isinstance(node, MappingNode):
            return self.children(branch, node, path)
        return None if _is_null(node) else node

    def _wrong(self, branch: Branch, node: Node, path: str) -> Node | None:
        self._wrong_item(node, path, str(branch.key.shape))
        return None

    def _wrong_item(self, node: Node, path: str, wanted: str) -> None:
        hint: Final = (
            'Write "- KEY=VALUE", without a colon.'
            if wanted == "KEY=VALUE" and isinstance(node, MappingNode)
            else ""
        )
        self._report.error(
            "CMP003", node.origin, path, f"this is {type_name(node)}, it must be {wanted}", hint
        )


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.is_null
