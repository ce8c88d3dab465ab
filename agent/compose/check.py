"""Walks the merged document beside the table of keys and reports what the table says.

Unknown keys are errors with a suggestion; ignored, changed and refused keys get the table's words.
This is what makes sure that nothing is dropped silently.
"""

from __future__ import annotations

import difflib

from agent.compose.diagnostics import Report
from agent.compose.key import Shape, Treatment
from agent.compose.keys import Branch
from agent.compose.nodes import Budget, Entry, MappingNode, Node, ScalarNode, SequenceNode
from agent.compose.yaml_nodes import shorten

_LONGEST_KEY = 40


def check(
    document: MappingNode, table: Branch, report: Report, budget: Budget, path: str = ""
) -> None:
    """Report every key of the document, or of the part of one at `path`, that is not simply
    converted."""
    _Check(report, budget).mapping(table, document, path)


class _Check:
    def __init__(self, report: Report, budget: Budget) -> None:
        self._report = report
        self._budget = budget

    def mapping(self, branch: Branch, node: MappingNode, path: str) -> None:
        free = "*" in branch.children
        for name, entry in node.entries.items():
            place = f"{path}.{name}" if path else name
            below = branch.child(name)
            if below is not None:
                self._entry(below, entry, place)
            elif not free:
                self._unknown(branch, name, entry, place)

    def _entry(self, branch: Branch, entry: Entry, path: str) -> None:
        key = branch.key
        if key.severity is not None and key.code and not _harmless(branch, entry.value):
            self._report.add(key.severity, key.code, entry.place, path, key.text, key.hint)
        self._below(branch, entry.value, path)

    def _below(self, branch: Branch, node: Node, path: str) -> None:
        if branch.key.shape in (Shape.ANY, Shape.PAIRS):
            return
        fixed = bool(branch.children) or branch.key.shape is Shape.MAPPING
        if isinstance(node, MappingNode) and fixed:
            self.mapping(branch, node, path)
        elif isinstance(node, SequenceNode) and branch.item is not None:
            for index, item in enumerate(node.items):
                self._below(branch.item, item, f"{path}[{index}]")

    def _unknown(self, branch: Branch, name: str, entry: Entry, path: str) -> None:
        close: list[str] = []
        if len(name) <= _LONGEST_KEY and self._budget.suggestions > 0:
            self._budget.suggestions -= 1
            close = difflib.get_close_matches(name, branch.names, 1)
        hint = f'Did you mean "{close[0]}"?' if close else "Remove it, or start it with x-."
        self._report.error("CMP002", entry.key, shorten(path, 120), "unknown key", hint)


def _harmless(branch: Branch, node: Node) -> bool:
    if isinstance(node, ScalarNode):
        return node.text in branch.key.harmless or (
            branch.key.shape is Shape.FLAG and node.go_text == "false"
            and branch.key.treatment is not Treatment.IGNORED
        )  # fmt: skip
    return isinstance(node, SequenceNode | MappingNode) and _is_empty(node)


def _is_empty(node: SequenceNode | MappingNode) -> bool:
    return not (node.items if isinstance(node, SequenceNode) else node.entries)
