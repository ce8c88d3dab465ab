"""The tables of docs/compose.md, and where they stand in it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from agent.compose import keys
from agent.compose.codes import CODES
from agent.compose.key import Key
from agent.compose.reference import treatment_text, words
from composepage import kompose

PAGE = Path(__file__).parents[3] / "docs/compose.md"


def updated(page: str) -> str:
    """The page with its generated parts as they should be. Raises ValueError for a part without a place."""
    for name, make in PARTS.items():
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
        if len(pattern.findall(page)) != 1:
            raise ValueError(f"the page needs one place for {name}")
        before, _, rest = page.partition(start)
        page = f"{before}{start}\n{make()}\n{end}{rest.partition(end)[2]}"
    return page


def _keys() -> str:
    parts: list[str] = []
    for title, rows in _sections():
        table = (
            (f"`{key.path}`", str(key.shape), treatment_text(key), words(key), _kompose(key))
            for key in rows
        )
        heads = ("key", "takes", "treatment", "what happens", "kompose 1.38")
        parts += [f"### {title}", "", _table(heads, table)]
    return "\n".join(parts)


def _kompose(key: Key) -> str:
    """Its own fact, or that the one above covers it."""
    if key.path in kompose.FACTS:
        return kompose.FACTS[key.path]
    kompose.fact(key.path)
    return "as above"


def _sections() -> Iterable[tuple[str, list[Key]]]:
    groups: dict[str, list[Key]] = {}
    for key in keys.table():
        first = key.path.split(".")[0]
        title = f"{first}.*" if key.path.startswith(f"{first}.*.") else "Top level"
        if key.path.startswith("services.*.deploy."):
            title = "services.*.deploy"
        groups.setdefault(title, []).append(key)
    return groups.items()


def _codes() -> str:
    return _table(("code", "about"), CODES.items())


def _flags() -> str:
    return _table(("kompose", "here"), kompose.FLAGS)


def _labels() -> str:
    return _table(("label of kompose", "here"), kompose.LABELS)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join([*lines, ""])


PARTS: Mapping[str, Callable[[], str]] = {
    "flags": _flags,
    "labels": _labels,
    "keys": _keys,
    "codes": _codes,
}
