"""The table of keys as a JSON Schema (draft 2020-12), for editors: completion, hover text, and the
shape of values while there is no plan yet.

Given out by `skerry-agent convert --schema` and by the `compose_schema` stream. It takes every file
that the converter takes; what only a value's meaning decides is left to the converter.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

from agent.compose import keys
from agent.compose.key import Key, Shape, Treatment
from agent.compose.key_values import VALUES, Values
from agent.compose.keys import Branch
from agent.compose.reference import treatment_text, words

Schema: TypeAlias = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SCALAR = ["string", "number", "boolean", "null"]
_VARIABLE = r"\$"
"""Text that may be anything once its variables are filled in."""


@cache
def json_schema() -> Schema:
    """The schema of one compose file. Not to be changed in place."""
    root = keys.tree()
    definitions: dict[str, Schema] = {}
    schema: Schema = {
        "$schema": DIALECT,
        "title": "Compose file",
        "description": "A compose project as Skerry runs it on Kubernetes.",
        **_object(root),
    }
    for section in ("services", "networks", "volumes", "configs", "secrets"):
        named = schema["properties"][section]
        name = section.removesuffix("s")
        definitions[name] = named["additionalProperties"]
        named["additionalProperties"] = {"$ref": f"#/$defs/{name}"}
    return {**schema, "$defs": definitions}


def _value(branch: Branch) -> Schema:
    """What the value of a key may be, with what becomes of it."""
    return {**_about(branch.key), **_shape(branch)}


def _about(key: Key) -> Schema:
    """Hover text; editors strike refused keys through."""
    key = _governing(key)
    code = f" `{key.code}`" if key.code else ""
    about: Schema = {
        "description": f"{_capital(treatment_text(key))}: {words(key)}",
        "markdownDescription": f"**{key.treatment}**{code}: {words(key)}",
    }
    if key.treatment is Treatment.REFUSED:
        about["deprecated"] = True
    return about


def _governing(key: Key) -> Key:
    """The row that says what becomes of the key: its own, or the one above that covers it."""
    rows = {row.path: row for row in keys.table()}
    path = key.path
    while (row := rows.get(path)) is None or row.treatment is Treatment.AS_PARENT:
        path = path.rpartition(".")[0]
    return row


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def _shape(branch: Branch) -> Schema:
    shape, values = branch.key.shape, VALUES.get(branch.key.path)
    if values is not None:
        return _choice(values)
    if shape in _BY_SHAPE:
        return _BY_SHAPE[shape](branch)
    return _plain(shape)


def _choice(values: Values) -> Schema:
    choices: list[Schema] = [{"enum": [*values.words, None]}]
    if values.more:
        choices.append({"type": _SCALAR})
    else:
        pattern = f"{values.pattern}|{_VARIABLE}" if values.pattern else _VARIABLE
        choices.append({"type": "string", "pattern": pattern})
    return {"anyOf": choices}


def _plain(shape: Shape) -> Schema:
    match shape:
        case Shape.ANY:
            return {}
        case Shape.FLAG:
            # Quoted words as `"yes"` are cast, as compose does it.
            return {"type": ["boolean", "string", "null"]}
        case Shape.WHOLE:
            return {
                "type": ["integer", "string", "null"],
                "pattern": rf"^\s*[-+]?\d+\s*$|{_VARIABLE}",
            }
        case Shape.NUMBER | Shape.SIZE | Shape.DURATION:
            return {"type": ["number", "string", "null"]}
        case _:
            return {"type": _SCALAR}


def _object(branch: Branch) -> Schema:
    """A mapping with the keys of the table: any other is an error, unless it begins with x-."""
    schema: Schema = {"type": ["object", "null"]}
    if branch.names:
        schema["properties"] = {name: _value(branch.children[name]) for name in branch.names}
    any_name = branch.children.get("*")
    if any_name is not None:
        return {**schema, "additionalProperties": _value(any_name)}
    return {**schema, "patternProperties": {"^x-": True}, "additionalProperties": False}


def _named(branch: Branch) -> Schema:
    return _object(branch) if branch.children else {"type": ["object", "null"]}


def _texts(_: Branch) -> Schema:
    return {"anyOf": [{"type": _SCALAR}, _list(_text_item())]}


def _pairs(_: Branch) -> Schema:
    pairs = {"type": "object", "additionalProperties": {"type": _SCALAR}}
    return _or_nothing(pairs, _list(_text_item()))


def _hosts(_: Branch) -> Schema:
    addresses = {"anyOf": [_text_item(), _list(_text_item())]}
    return _or_nothing({"type": "object", "additionalProperties": addresses}, _list(_text_item()))


def _text_or_object(branch: Branch) -> Schema:
    return {"anyOf": [{"type": _SCALAR}, _object(branch)]}


def _names_or_object(branch: Branch) -> Schema:
    return _or_nothing(_list(_text_item()), _named(branch))


def _items(branch: Branch) -> Schema:
    """A list of short forms and mappings."""
    item = branch.item
    if item is None:
        return {"type": ["array", "null"]}
    if not item.children:
        return {"type": ["array", "null"], "items": True}
    return {"type": ["array", "null"], "items": {"anyOf": [_text_item(), _item_object(item)]}}


def _one_or_items(branch: Branch) -> Schema:
    return {"anyOf": [{"type": _SCALAR}, _items(branch)]}


def _item_object(item: Branch) -> Schema:
    return {**_object(item), "type": "object"}


def _text_item() -> Schema:
    return {"type": ["string", "number", "boolean"]}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _or_nothing(*choices: Schema) -> Schema:
    return {"anyOf": [*choices, {"type": "null"}]}


_BY_SHAPE: dict[Shape, Callable[[Branch], Schema]] = {
    Shape.TEXTS: _texts,
    Shape.COMMAND: _texts,
    Shape.LIST: _items,
    Shape.DEVICES: _items,
    Shape.PORTS: _items,
    Shape.MOUNTS: _items,
    # One shape for the long form, and a name alone.
    Shape.GRANTS: _items,
    Shape.INCLUDES: _items,
    Shape.ENV_FILES: _one_or_items,
    Shape.MAPPING: _object,
    Shape.NAMED: _named,
    Shape.LIMITS: lambda branch: {
        "type": ["object", "null"],
        "additionalProperties": _text_or_object(branch.children["*"]),
    },
    Shape.PAIRS: _pairs,
    Shape.HOSTS: _hosts,
    Shape.BUILD: _text_or_object,
    Shape.EXTENDS: _text_or_object,
    Shape.EXTERNAL: _text_or_object,
    Shape.DEPENDENCIES: _names_or_object,
    Shape.ATTACHMENTS: _names_or_object,
}
