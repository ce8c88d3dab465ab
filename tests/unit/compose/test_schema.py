"""The editor's schema takes what the converter takes, and says what the table says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from agent.bundle import FolderBundle
from agent.compose import Context, Limits, SourceFile, keys, plan
from agent.compose.key import Key, Shape, Treatment
from agent.compose.key_values import VALUES
from agent.compose.nodes import Budget, MappingNode, Node, ScalarNode
from agent.compose.scalars import Kind, number
from agent.compose.schema import json_schema
from agent.compose.yaml_nodes import YamlError, compose_documents
from tests.unit.compose.helpers import convert, errors

ROOT = Path(__file__).parents[3]
CORPUS = ROOT.parent / "shared/corpus"
SPECIFICATIONS = sorted((CORPUS / "schema").glob("*.json"))
REAL = sorted(
    path
    for folder in ("kompose", "awesome", "dokploy")
    for path in (CORPUS / folder).glob("**/*.y*ml")
)
OWN = sorted(
    [
        *(ROOT / "examples").glob("*/docker-compose.yml"),
        *(ROOT / "tests/golden/compose").glob("*/compose.yml"),
    ]
)
VALIDATOR = Draft202012Validator(json_schema())


def plain(node: Node) -> Any:
    """A document as an editor sees it, read by the rules of compose."""
    if isinstance(node, MappingNode):
        return {name: plain(entry.value) for name, entry in node.entries.items()}
    if not isinstance(node, ScalarNode):
        return [plain(item) for item in node.items]
    match node.kind:
        case Kind.NULL:
            return None
        case Kind.BOOL:
            return node.go_text == "true"
        case Kind.INT | Kind.FLOAT:
            return number(node.text)
        case _:
            return node.text


def documents(name: str, content: bytes) -> list[Any]:
    found = compose_documents(name, content, Limits(), Budget(100_000, 0))
    return [plain(document) for document in found]


def complaints(document: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(document)]


def text_complaints(text: str) -> list[str]:
    (document,) = documents("compose.yml", text.encode())
    return complaints(document)


def place(path: str) -> dict[str, Any] | None:
    """Where the schema has a key of the table."""
    found = [json_schema()]
    for part in path.split("."):
        found = [below for schema in found for below in _below(schema, part)]
    return found[0] if found else None


def _below(schema: dict[str, Any], part: str) -> Iterator[dict[str, Any]]:
    if "$ref" in schema:
        schema = json_schema()["$defs"][schema["$ref"].rpartition("/")[2]]
    below = {"*": schema.get("additionalProperties"), "[]": schema.get("items")}.get(
        part, schema.get("properties", {}).get(part)
    )
    if below is True:
        below = {}
    if isinstance(below, dict):
        yield json_schema()["$defs"][below["$ref"][8:]] if "$ref" in below else below
    for choice in schema.get("anyOf", ()):
        yield from _below(choice, part)


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())
    assert json.loads(json.dumps(json_schema())) == json_schema()


@pytest.mark.parametrize("key", keys.table(), ids=lambda key: key.path)
def test_every_row_has_its_place_and_its_words(key: Key) -> None:
    schema = place(key.path)
    assert schema is not None
    if key.treatment is Treatment.AS_PARENT:
        return
    if not key.path.endswith(("[]", "*")):
        assert key.text.rstrip(".") in schema["description"]
        assert f"**{key.treatment}**" in schema["markdownDescription"]
        assert key.code in schema["description"]
    assert schema.get("deprecated", False) is (key.treatment is Treatment.REFUSED)


def test_what_a_refused_key_holds_is_struck_through_too() -> None:
    schema = place("services.*.build.context")
    assert schema is not None
    assert schema["deprecated"]
    assert "CMP202" in schema["description"]


@pytest.mark.parametrize("specification", SPECIFICATIONS, ids=lambda path: path.stem)
def test_no_key_of_the_specification_is_missing(specification: Path) -> None:
    wanted = json.loads(specification.read_text())
    definitions = wanted.get("$defs") or wanted.get("definitions")

    def paths(node: Any, path: str, above: tuple[str, ...] = ()) -> Iterator[str]:
        if not isinstance(node, dict):
            return
        if "$ref" in node:
            if node["$ref"] in above:
                return
            above = (*above, node["$ref"])
            node = definitions[node["$ref"].rpartition("/")[2]]
        for name, below in node.get("properties", {}).items():
            yield (child := f"{path}.{name}" if path else name)
            yield from paths(below, child, above)
        for pattern, below in node.get("patternProperties", {}).items():
            if not pattern.startswith("^x-"):
                yield from paths(below, f"{path}.*", above)
        yield from paths(node.get("items"), f"{path}.[]", above)
        for choice in (*node.get("oneOf", ()), *node.get("anyOf", ())):
            yield from paths(choice, path, above)

    missing = [path for path in paths(wanted, "") if _lacks(path)]
    assert missing == []
    assert len(list(paths(wanted, ""))) > 200


def _lacks(path: str) -> bool:
    """Whether the schema has no place for the key; what takes anything has places for all."""
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        found = place(".".join(parts[:end]))
        if found is not None:
            free = not {"type", "anyOf", "properties"} & found.keys()
            free = free or keys_below_are_free(".".join(parts[:end]))
            return end < len(parts) and not free
    return True


def keys_below_are_free(path: str) -> bool:
    branch: keys.Branch | None = keys.tree()
    for part in path.split("."):
        branch = branch.children.get(part) if branch else None
    return branch is not None and (
        branch.key.shape in (Shape.PAIRS, Shape.HOSTS) or branch.key.shape is Shape.ANY
    )


def test_there_are_both_specifications_to_compare_with() -> None:
    if not CORPUS.exists():
        pytest.skip(f"no compose schemas at {CORPUS}")
    assert len(SPECIFICATIONS) == 2


@pytest.mark.skipif(not REAL, reason=f"no corpus of compose files at {CORPUS}")
@pytest.mark.parametrize("path", REAL, ids=lambda path: str(path.relative_to(CORPUS)))
def test_a_real_file_that_is_accepted_is_valid(path: Path) -> None:
    context = Context(app="app", namespace="ns", files=FolderBundle(path.parent))
    content = path.read_bytes()
    if plan([SourceFile(path.name, content)], context).rejected:
        return
    for document in documents(path.name, content):
        assert complaints(document) == []


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.parent.name)
def test_an_own_file_is_valid(path: Path) -> None:
    try:
        found = documents(path.name, path.read_bytes())
    except YamlError as error:
        pytest.fail(str(error))
    for document in found:
        assert complaints(document) == []


@pytest.mark.parametrize(
    "text",
    [
        "services: {web: {image: a, imagee: b}}",
        "servces: {}",
        "services: {web: {image: a, healthcheck: {tets: x}}}",
        "services: {web: {image: a, ports: [{target: 80, publishd: 1}]}}",
        "services: {web: {image: a, deploy: {resources: {limit: {}}}}}",
        "services: {web: {image: a, deploy: {mode: everywhere}}}",
        "services: {web: {image: a, depends_on: {db: {condition: service_ready}}}}",
        "services: {web: {image: a, depends_on: {db: {conditon: service_started}}}}",
        "services: {web: {image: a, x-skerry: {sice: 1}}}",
        "services: {web: {image: a, restart: sometimes}}",
        "services: {web: {image: a, scale: many}}",
        "services: {web: [image]}",
        "services: [web]",
        "volumes: {v: {drivr: x}}",
        "networks: {v: {drivr: x}}",
        "configs: {v: {fil: x}}",
        "secrets: {v: {fil: x}}",
        "include: [{pth: x}]",
        "services: {web: {image: a, env_file: [{pth: x}]}}",
        "services: {web: {image: a, extends: {fil: x, service: y}}}",
        "services: {web: {image: a, environment: [{A: b}]}}",
        "services: {web: {image: a, x-skerry: {public: {hots: x}}}}",
    ],
)
def test_a_mistake_is_underlined(text: str) -> None:
    assert text_complaints(text)
    with_service = text if "services" in text else f"{text}\nservices: {{w: {{image: a}}}}"
    assert errors(convert(with_service)), "the converter says so, too"


@pytest.mark.parametrize(
    "text",
    [
        "services: {web: {image: $IMAGE, scale: $N, privileged: $P, restart: '${R:-no}'}}",
        "services: {web: {image: a, deploy: {mode: '${MODE}', replicas: '${N}'}}}",
        "services: {web: {image: a, restart: no}}",
        "services: {web: {image: a, restart: on-failure:3}}",
        "services: {web: {image: a, pull_policy: every_2h}}",
        "services: {web: {image: a, ports: [80, '8080:80', {target: 80}]}}",
        "services: {web: {image: a, ports: [22222:22]}}",
        "services: {web: {image: a, x-other: {any: thing}}}\nx-more: [1]",
        "services: {web: {image: a, environment: {A: , B: 1, C: true}}}",
        "services: {web: {image: a, environment: [A, B=1]}}",
        "services: {web: {image: a, x-skerry: {public: true}}}",
        "services: {web: {image: a, x-skerry: {public: {port: 80}}}}",
        "services: {web: {image: a, networks: {n: }}}\nnetworks: {n: }\nvolumes: {v: }",
        "services: {web: {image: a, extra_hosts: {a: [8.8.8.8, 1.1.1.1]}}}",
        "services: {web: {image: a, ulimits: {nofile: 5, nproc: {soft: 1, hard: 2}}}}",
    ],
)
def test_what_is_fine_is_not_underlined(text: str) -> None:
    assert text_complaints(text) == []


@pytest.mark.parametrize("path", VALUES)
def test_values_are_of_keys_of_the_table(path: str) -> None:
    assert path in {key.path for key in keys.table()}


def test_variables_are_fine_wherever_words_are() -> None:
    for path in VALUES:
        schema = place(path)
        assert schema is not None
        assert Draft202012Validator(schema).is_valid("${ANY:-thing}"), path
