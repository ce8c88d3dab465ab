"""What a compose file says, read a second time without the converter.

A small evaluator of its own over PyYAML and python-dotenv: every scalar is text, `${…}` is
evaluated by recursive descent. Tests hold the converter's manifests, and what runs in a cluster,
against it. It covers what the files it is used on contain and no more.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import Any

import yaml
from dotenv import dotenv_values

Tree = Any


class _TextLoader(yaml.SafeLoader):
    """YAML where only null and merge keys are more than text: compose keeps what was written."""

    yaml_implicit_resolvers: Mapping[str, Any] = {}


for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:null", r"^(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:merge", r"^<<$", ["<"]),
):
    _TextLoader.add_implicit_resolver(_tag, re.compile(_pattern), _first)


def read(content: bytes, variables: Mapping[str, str] | None = None) -> dict[str, Tree]:
    """The first document with its variables put in. Raises yaml.YAMLError."""
    return dict(evaluated(yaml.load(content, _TextLoader) or {}, variables or {}))


def evaluated(tree: Tree, variables: Mapping[str, str]) -> Tree:
    """The tree with every `${…}` in a value replaced; keys stay as they are."""
    if isinstance(tree, dict):
        return {key: evaluated(value, variables) for key, value in tree.items()}
    if isinstance(tree, list):
        return [evaluated(value, variables) for value in tree]
    return substituted(tree, variables) if isinstance(tree, str) else tree


def substituted(text: str, variables: Mapping[str, str]) -> str:
    """One value with its variables; a required one that is missing is empty."""
    return _expand(text, 0, variables, closing=False)[0]


def _expand(text: str, at: int, variables: Mapping[str, str], *, closing: bool) -> tuple[str, int]:
    out: list[str] = []
    while at < len(text):
        if closing and text[at] == "}":
            return "".join(out), at
        if text[at] != "$":
            out.append(text[at])
            at += 1
        elif text.startswith("$$", at):
            out.append("$")
            at += 2
        elif text.startswith("${", at):
            value, at = _braced(text, at + 2, variables)
            out.append(value)
        elif name := re.compile(r"[A-Za-z_][A-Za-z0-9_]*").match(text, at + 1):
            out.append(variables.get(name[0], ""))
            at = name.end()
        else:
            out.append("$")
            at += 1
    return "".join(out), at


def _braced(text: str, at: int, variables: Mapping[str, str]) -> tuple[str, int]:
    head = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(:?[-?+])?").match(text, at)
    if head is None:
        raise ValueError(text)
    name, operator = head[1], head[2] or ""
    word, end = _expand(text, head.end(), variables, closing=True)
    if text[end : end + 1] != "}":
        raise ValueError(text)
    value = variables.get(name)
    present = value is not None and not (operator.startswith(":") and value == "")
    match operator[-1:]:
        case "-":
            found = value if present else word
        case "+":
            found = word if present else ""
        case _:
            found = value
    return found or "", end + 1


def pairs(value: Tree) -> dict[str, str | None]:
    """A mapping, or a list of KEY=VALUE, as a mapping; None where no value is given."""
    if isinstance(value, list):
        split = [str(item).partition("=") for item in value]
        return {key: text if equals else None for key, equals, text in split}
    return dict(value or {})


def texts(value: Tree) -> list[str]:
    """One text or a list of them."""
    return [value] if isinstance(value, str) else list(value or [])


def env_file(content: bytes, variables: Mapping[str, str]) -> dict[str, str]:
    """The values of an env file; its own earlier ones and `variables` fill `${…}`."""
    found: dict[str, str] = {}
    values = dotenv_values(stream=io.StringIO(content.decode()), interpolate=False)
    for key, value in values.items():
        if value is not None:
            found[key] = substituted(value, {**found, **variables})
    return found


def environment(
    service: Mapping[str, Tree], files: Mapping[str, bytes], variables: Mapping[str, str]
) -> dict[str, str]:
    """What Compose would put into the container's environment."""
    found: dict[str, str | None] = {}
    for item in texts(service.get("env_file")):
        path = item["path"] if isinstance(item, dict) else item
        content = files.get(path.removeprefix("./"))
        if content is not None:
            found |= env_file(content, variables)
    found |= {
        key: variables.get(key) if value is None else value
        for key, value in pairs(service.get("environment")).items()
    }
    return {key: value for key, value in found.items() if value is not None}
