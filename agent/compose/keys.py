"""The one table of keys: every key of the compose specification and what becomes of it.

The canonicaliser (shapes), the merge (how lists combine), the check (unknown, ignored and refused
keys), `--explain` and docs/compose.md all read this table; a key that is not in it is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from agent.compose.key import Key, Shape, Treatment
from agent.compose.key_rows import rows


@dataclass(slots=True)
class Branch:
    """The table as a tree, for walking it beside a document."""

    key: Key
    children: dict[str, Branch] = field(default_factory=dict)

    def child(self, name: str) -> Branch | None:
        """The row for a name below this one, or the row for any name."""
        found = self.children.get(name) or self.children.get("*")
        if found is None and name.startswith("x-"):
            return _EXTENSION
        return found

    @property
    def item(self) -> Branch | None:
        return self.children.get("[]")

    @property
    def names(self) -> tuple[str, ...]:
        """The fixed keys below this one."""
        return tuple(name for name in self.children if name not in ("*", "[]"))


_EXTENSION = Branch(Key("x-*", Treatment.IGNORED, Shape.ANY, "", "Extensions of other tools."))


@cache
def tree() -> Branch:
    """The table as a tree; its root is the document."""
    root = Branch(Key("", Treatment.CONVERTED, Shape.MAPPING))
    for key in table():
        branch = root
        walked = ""
        for part in key.path.split("."):
            walked = f"{walked}.{part}" if walked else part
            if part not in branch.children:
                between = Key(walked, Treatment.AS_PARENT, Shape.MAPPING)
                branch.children[part] = Branch(between)
            branch = branch.children[part]
        branch.key = key
    return root


@cache
def table() -> tuple[Key, ...]:
    """All rows, in the order the documentation lists them."""
    return tuple(rows())
