"""The table of keys is complete, and what it says is what happens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.compose import Severity, keys
from agent.compose.codes import CODES
from agent.compose.fields import Fields
from agent.compose.key import Key, Shape, Treatment
from agent.compose.keys import Branch
from tests.unit.compose.helpers import codes, convert, service

SCHEMA = Path(__file__).parents[4] / "shared/corpus/schema/compose-go-compose-spec.json"
# Coolify's dialect and our own extension are not in the specification.
NOT_IN_THE_SPECIFICATION = ("x-skerry", "exclude_from_hc", "volumes.[].content",
                            "volumes.[].is_directory", "volumes.[].isDirectory", "volumes.[].mode")  # fmt: skip


def schema_paths(schema: dict[str, Any], node: dict[str, Any], path: str) -> Iterator[str]:
    """Every key of the JSON schema in the table's notation."""
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
    for name, below in node.get("properties", {}).items():
        child = f"{path}.{name}" if path else name
        yield child
        yield from schema_paths(schema, below, child)
    for pattern, below in node.get("patternProperties", {}).items():
        if not pattern.startswith("^x-"):
            yield from schema_paths(schema, below, f"{path}.*")
    if isinstance(node.get("items"), dict):
        yield from schema_paths(schema, node["items"], f"{path}.[]")
    for choice in (*node.get("oneOf", []), *node.get("anyOf", [])):
        yield from schema_paths(schema, choice, path)


def lookup(path: str) -> Branch | None:
    """The row for a path; a branch that takes anything covers what is below it."""
    branch: Branch | None = keys.tree()
    for part in path.split("."):
        if branch is None or branch.key.shape is Shape.ANY:
            return branch
        branch = branch.item if part == "[]" else branch.child(part)
    return branch


def test_every_key_of_the_specification_is_in_the_table() -> None:
    if not SCHEMA.exists():
        pytest.skip(f"no compose schema at {SCHEMA}")
    schema = json.loads(SCHEMA.read_text())
    missing = [path for path in schema_paths(schema, schema, "") if lookup(path) is None]
    assert missing == []


def test_paths_are_unique() -> None:
    paths = [key.path for key in keys.table()]
    assert len(paths) == len(set(paths))


@pytest.mark.parametrize("key", keys.table(), ids=lambda key: key.path)
def test_a_row_says_what_a_person_should_know(key: Key) -> None:
    if key.treatment is Treatment.AS_PARENT:
        assert not key.code
        return
    assert key.text
    if key.severity is not None:
        assert key.code in CODES


def _reported() -> list[Key]:
    return [
        key
        for key in keys.table()
        if key.severity is not None
        and key.path.startswith("services.*.")
        and key.path.count(".") == 2
    ]


@pytest.mark.parametrize("key", _reported(), ids=lambda key: key.path.split(".")[2])
def test_a_key_that_is_not_converted_is_reported(key: Key) -> None:
    values = {
        Shape.FLAG: "true", Shape.LIST: "[{command: a}]", Shape.TEXTS: "[a]", Shape.PAIRS: "{a: b}",
        Shape.MAPPING: "{driver: a, config: a, type: a}", Shape.NAMED: "{a: {}}", Shape.BUILD: ".",
        Shape.LIMITS: "{nofile: 5}", Shape.DEVICES: "[/dev/x]", Shape.ANY: "{a: b}",
    }  # fmt: skip
    result = service(f"{key.path.split('.')[2]}: {values.get(key.shape, '5')}")
    found = [d for d in result.diagnostics if d.code == key.code]
    assert found, [str(d) for d in result.diagnostics]
    assert (found[0].severity, found[0].line) == (key.severity, 4)


def test_an_unknown_key_is_an_error_with_a_suggestion() -> None:
    result = service("enviroment: {A: 1}")
    assert [str(d) for d in result.diagnostics] == [
        "compose.yml:4:5: error CMP002 services.web.enviroment: unknown key. "
        'Did you mean "environment"?'
    ]


@pytest.mark.parametrize(
    "text",
    [
        "services: {web: {image: a, healthcheck: {tets: x}}}",
        "services: {web: {image: a, ports: [{target: 80, publishd: 1}]}}",
        "services: {web: {image: a, deploy: {resources: {limit: {}}}}}",
        "services: {web: {image: a, depends_on: {db: {conditon: x}}}, db: {image: b}}",
        "services: {web: {image: a, x-skerry: {sice: 1}}}",
        "services: {web: {image: a}}\nvolumes: {v: {drivr: x}}",
        "services: {web: {image: a}}\nnetworks: {v: {drivr: x}}",
        "services: {web: {image: a}}\nconfigs: {v: {content: x, fil: x}}",
        "servces: {}\nservices: {web: {image: a}}",
    ],
)
def test_unknown_keys_are_found_at_every_level(text: str) -> None:
    assert codes(convert(text), Severity.ERROR) == ["CMP002"]


def _misspelt(name: str) -> str:
    return f"{name[:-2]}{name[-1]}{name[-2]}"


def _fixed_keys() -> list[Key]:
    """Keys with a name that can be misspelt, wherever the table looks at names."""
    tree = keys.tree()

    def is_looked_at(path: str) -> bool:
        branch: Branch | None = tree
        for part in path.split(".")[:-1]:
            branch = branch.children.get(part) if branch else None
            if branch is None or branch.key.shape in (Shape.ANY, Shape.PAIRS):
                return False
        return branch is not None and "*" not in branch.children

    return [
        key
        for key in keys.table()
        if (name := key.path.rpartition(".")[2]) not in ("*", "[]")
        and len(name) > 3
        and name[-1] != name[-2]
        and not name.startswith("x-")
        and is_looked_at(key.path)
    ]


@pytest.mark.parametrize("key", _fixed_keys(), ids=lambda key: key.path)
def test_a_misspelt_key_gets_a_suggestion_at_its_place(key: Key) -> None:
    above, _, name = key.path.rpartition(".")
    document: object = {_misspelt(name): "x"}
    for part in reversed(above.split(".") if above else []):
        document = [document] if part == "[]" else {"name" if part == "*" else part: document}
    found = [d for d in convert(json.dumps(document)).diagnostics if d.code == "CMP002"]
    assert [d.path.rpartition(".")[2] for d in found] == [_misspelt(name)]
    assert "Did you mean" in found[0].hint
    assert found[0].line == 1


def test_extensions_of_others_are_left_alone() -> None:
    result = convert("x-a: {b: 1}\nservices: {web: {image: a, x-b: [1], deploy: {x-c: 1}}}")
    assert codes(result) == []


@pytest.mark.parametrize(
    "line",
    ["privileged: false", "use_api_socket: false", "runtime: runc", "stop_signal: SIGTERM",
     "network_mode: bridge", "ipc: private", "cgroup: private", "pid: ''", "external_links: []",
     "labels: {}", "devices: []"],
)  # fmt: skip
def test_harmless_values_need_no_finding(line: str) -> None:
    assert codes(service(line)) == []


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("image: [a]", "text"),
        ("ports: {a: b}", "list of ports"),
        ("environment: text", "mapping or list of KEY=VALUE"),
        ("environment: [{A: b}]", "KEY=VALUE"),
        ("environment: {A: [b]}", "text"),
        ("healthcheck: []", "mapping"),
        ("depends_on: db", "list of services or mapping"),
        ("volumes: ./x:/y", "list of volumes"),
        ("tty: {}", "true or false"),
        ("command: {a: b}", "list"),
    ],
)
def test_a_wrong_type_says_what_is_wanted(line: str, wanted: str) -> None:
    result = (
        service(line) if not line.startswith("image") else convert(f"services: {{web: {{{line}}}}}")
    )
    found = [d for d in result.diagnostics if d.code == "CMP003"]
    assert len(found) == 1
    assert wanted in found[0].message


@pytest.mark.parametrize(
    "line",
    ["tty: maybe", "scale: many", "cpus: lots", "mem_limit: huge", "stop_grace_period: soon",
     "restart: sometimes", "healthcheck: {test: x, interval: 30}", "secrets: [{source: a, mode: 9}]"],
)  # fmt: skip
def test_a_value_that_cannot_be_read_is_an_error_at_its_place(line: str) -> None:
    found = [d for d in service(line).diagnostics if d.code == "CMP004"]
    assert len(found) == 1
    assert found[0].line == 4
    assert found[0].column > 5


@pytest.mark.parametrize("key", ["environment", "labels", "ports", "volumes", "command"])
def test_an_empty_value_is_no_value(key: str) -> None:
    assert codes(service(f"{key}:")) == []


READ_BEFORE_THE_MODEL = {
    # Used up while files are put together.
    *("include", "include.[].path", "include.[].env_file", "include.[].project_directory"),
    *("services.*.extends", "services.*.extends.service", "services.*.extends.file"),
    # Says what is the case anyway.
    "services.*.volumes.[].bind",
    "x-skerry",
}


def test_every_converted_key_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row that says "converted" while nobody looks at the key would be a silent drop."""
    read: set[str] = set()

    def recording(original: Any) -> Any:
        def method(self: Fields, key: str, *arguments: Any, **named: Any) -> Any:
            read.add(re.sub(r"\[\d+\]", ".[]", self.at(key)))
            return original(self, key, *arguments, **named)

        return method

    for name in ("scalar", "texts", "child", "items", "pairs"):
        monkeypatch.setattr(Fields, name, recording(getattr(Fields, name)))
    convert(
        """
        name: x
        services:
          web:
            image: a
            env_file: [{path: a.env}]
            ports: [{target: 80, published: 80}]
            volumes:
              - {type: volume, source: v, target: /v, volume: {subpath: x}}
              - {type: tmpfs, target: /t, tmpfs: {size: 1m}}
              - {type: image, source: i, target: /i, image: {subpath: x}}
              - {type: volume, target: /c, volume: {nocopy: true}}
            command: [a]
            entrypoint: [a]
            working_dir: /x
            stop_grace_period: 5s
            healthcheck: {test: [CMD, x]}
            depends_on: {db: {condition: service_started}}
            networks: {n: {}}
            configs: [{source: c}]
            secrets: [{source: s}]
            extra_hosts: [a=1.2.3.4]
            deploy:
              resources: {limits: {cpus: 1}, reservations: {cpus: 1}}
              restart_policy: {condition: any}
            pre_start: [{command: a}]
            post_start: [{command: a}]
            pre_stop: [{command: a}]
            x-skerry: {public: {port: 80}}
          s3: {provider: {type: skerry-s3}}
          db: {image: b, deploy: {update_config: {parallelism: 1}}}
        networks: {n: {}}
        volumes: {v: {driver_opts: {o: a}, x-skerry: {size: 1Gi}}}
        configs: {c: {content: x}, d: {environment: X}, e: {file: x}, f: {external: true}}
        secrets: {s: {content: x}, d: {environment: X}, e: {file: x}, f: {external: true}}
        """,
        files={"a.env": b""},
        data_services=frozenset({"s3"}),
    )
    converted = {key.path for key in keys.table() if key.treatment is Treatment.CONVERTED}
    for section in ("services", "networks", "volumes", "configs", "secrets", "depends_on"):
        read |= {re.sub(rf"(^|\.){section}\.[\w-]+", rf"\1{section}.*", path) for path in read}
    assert converted - read - READ_BEFORE_THE_MODEL - {"services.*.depends_on.*"} == set()
