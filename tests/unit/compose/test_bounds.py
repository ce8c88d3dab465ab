"""Whatever a file does, its conversion stays within a count of calls and an amount of memory.

The bounds are those of the largest honest file with room to spare, not of the clock; each file here
would multiply itself far beyond them if nothing stopped it.
"""

from __future__ import annotations

import tracemalloc

import pytest

from agent.compose import Plan, SourceFile, plan
from tests.unit.compose.cost import calls
from tests.unit.compose.helpers import CONTEXT

MOST_CALLS = 15_000_000
MOST_BYTES = 150 * 1024 * 1024


def chained(line: str, count: int = 200) -> str:
    """Services where each has one line about the one before."""
    lines = [f"  s{i}: {{image: a, {line.format(i - 1, i=i) if i else ''}}}" for i in range(count)]
    return "services:\n" + "\n".join(lines)


def meshed(key: str, form: str, count: int = 150) -> str:
    """Services where each names all the ones before."""
    rows = [
        f"  s{i}: {{image: a, {key}: [{', '.join(form.format(j) for j in range(i))}]}}"
        for i in range(count)
    ]
    return "services:\n" + "\n".join(rows)


FILES = {
    "a chain of extends": chained("extends: {{service: s{0}}}"),
    "extends that each add": chained("extends: {{service: s{0}}}, environment: [V{i}=1]"),
    "a chain of depends_on": chained("depends_on: [s{0}]"),
    "a very long chain": chained("depends_on: [s{0}]", 2_000),
    "a very long chain of volumes_from": chained("volumes_from: [s{0}], volumes: [/v{i}]", 2_000),
    "a very long chain of extends": chained("extends: {{service: s{0}}}", 2_000),
    "a mesh of depends_on": meshed("depends_on", "s{0}"),
    "the longest chain that is taken": chained("depends_on: [s{0}]", 200),
    "a mesh of links": meshed("links", "s{0}:l{0}"),
    "a mesh of volumes_from": meshed("volumes_from", "s{0}"),
    "ranges of ports": "services: {a: {image: a, ports: [" + "'1-65000', " * 400 + "'80']}}",
    "many mounts": "services: {a: {image: a, volumes: ["
    + ", ".join(f"/v{i}" for i in range(20_000))
    + "]}}",
    "many networks": "services: {a: {image: a, networks: ["
    + ", ".join(f"n{i}" for i in range(2_000))
    + "]}}\nnetworks: {"
    + ", ".join(f"n{i}: " for i in range(2_000))
    + "}",
    "many variables": "services: {a: {image: a, environment: ["
    + ", ".join(f"'V{i}=${{V{i}:-x}}'" for i in range(20_000))
    + "]}}",
    "deep defaults": "services: {a: {image: a, environment: ['X="
    + "${A:-" * 5_000
    + "}" * 5_000
    + "']}}",
    "an unclosed brace, often": "services: {a: {image: a, environment: ['X="
    + "${A:-" * 50_000
    + "']}}",
    "unknown keys": "services: {a: {image: a, "
    + ", ".join(f"unknown_key_{i}: 1" for i in range(20_000))
    + "}}",
    "merges of merges": "x0: &x0 {a: 1}\n"
    + "".join(f"x{i}: &x{i} {{<<: [*x{i - 1}, *x{i - 1}, *x{i - 1}]}}\n" for i in range(1, 40))
    + "services: {a: {image: a, environment: *x39}}",
    "aliases of aliases": "x0: &x0 [a]\n"
    + "".join(f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]\n" for i in range(1, 30))
    + "services: {a: {image: a, command: *x29}}",
    "long words": "services: {a: {image: a, command: '" + "a " * 50_000 + "'}}",
    "many documents": "services: {a: {image: a}}\n---\n" * 3_000,
}


def convert(text: str) -> Plan:
    return plan([SourceFile("compose.yml", text.encode())], CONTEXT)


@pytest.mark.parametrize("name", FILES)
def test_the_calls_are_bounded(name: str) -> None:
    assert calls(lambda: convert(FILES[name]), MOST_CALLS) <= MOST_CALLS


@pytest.mark.parametrize("name", FILES)
def test_the_memory_is_bounded(name: str) -> None:
    tracemalloc.start()
    try:
        convert(FILES[name])
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= MOST_BYTES
