"""The rows of the table of keys as text for people: `--explain`, the editor's schema, docs/compose.md."""

from __future__ import annotations

import re

from agent.compose import keys
from agent.compose.codes import CODES
from agent.compose.key import Key, Treatment

_NAMES_ABOVE = ("services", "networks", "volumes", "configs", "secrets", "models", "depends_on")


def explain(wanted: str) -> str:
    """What the table says about a key (`ports`, `services.web.ports`) or a code; empty if
    nothing."""
    if wanted.upper() in CODES:
        return _explain_code(wanted.upper())
    pattern = _table_path(wanted)
    found = [
        key
        for key in keys.table()
        if f".{key.path}.".endswith(f".{pattern}.") or f".{pattern}." in f".{key.path}"
    ]
    return "".join(f"{_line(key)}\n" for key in found)


def treatment_text(key: Key) -> str:
    """The treatment and its code, as `refused CMP311`."""
    if key.treatment is Treatment.AS_PARENT:
        return "as the key above"
    return f"{key.treatment} {key.code}".rstrip()


def words(key: Key) -> str:
    """What the table says to a person, in sentences."""
    sentences = [f"{key.text.rstrip('.')}." if key.text else "", key.hint]
    if key.harmless:
        sentences.append(f"Fine: {', '.join(key.harmless)}.")
    return " ".join(sentence for sentence in sentences if sentence)


def _explain_code(code: str) -> str:
    lines = [f"{code}: {CODES[code]}"]
    lines += [f"  {_line(key)}" for key in keys.table() if key.code == code]
    return "\n".join(lines) + "\n"


def _line(key: Key) -> str:
    return f"{key.path} ({key.shape}): {treatment_text(key)}. {words(key)}".rstrip()


def _table_path(wanted: str) -> str:
    """The path with its own names replaced: `services.web.ports[0]` is `services.*.ports.[]`."""
    parts = re.sub(r"\.?\[\d*\]", ".[]", wanted.strip().strip(".")).split(".")
    return ".".join(
        "*" if index and part != "[]" and parts[index - 1] in _NAMES_ABOVE else part
        for index, part in enumerate(parts)
    )
