"""Real compose files: no crash, no key without treatment, the same bytes twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.bundle import FolderBundle
from agent.compose import Context, Limits, Plan, SourceFile, keys, plan
from agent.compose.key import Shape
from agent.compose.keys import Branch
from agent.compose.nodes import Budget, MappingNode, Node, SequenceNode
from agent.compose.yaml_nodes import YamlError, compose_documents

CORPUS = Path(__file__).parents[4] / "shared/corpus"
FILES = sorted(
    path
    for folder in ("kompose", "awesome", "dokploy")
    for path in (CORPUS / folder).glob("**/*.y*ml")
)
pytestmark = pytest.mark.skipif(not FILES, reason=f"no corpus of compose files at {CORPUS}")


def convert(path: Path) -> Plan:
    context = Context(app="app", namespace="ns", files=FolderBundle(path.parent))
    return plan([SourceFile(path.name, path.read_bytes())], context)


def keys_without_treatment(node: Node, branch: Branch, path: str) -> list[tuple[str, int]]:
    """Keys of a document that the table does not have, with their lines."""
    if branch.key.shape in (Shape.ANY, Shape.PAIRS, Shape.HOSTS):
        return []
    found: list[tuple[str, int]] = []
    if isinstance(node, SequenceNode) and branch.item is not None:
        for item in node.items:
            found += keys_without_treatment(item, branch.item, f"{path}[]")
    elif isinstance(node, MappingNode):
        for name, entry in node.entries.items():
            below = branch.child(name)
            if below is None:
                found.append((f"{path}.{name}", entry.key.line))
            else:
                found += keys_without_treatment(entry.value, below, f"{path}.{name}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORPUS)))
def test_a_real_file(path: Path) -> None:
    result = convert(path)
    assert result.rejected == (not result.waves)
    assert convert(path) == result
    json.dumps(result.manifests)
    try:
        documents = compose_documents(path.name, path.read_bytes(), Limits(), Budget(100_000, 0))
    except YamlError:
        assert result.rejected
        return
    codes = {d.code for d in result.diagnostics}
    for document in documents:
        for name, line in keys_without_treatment(document, keys.tree(), ""):
            assert codes & {"CMP022"} or any(
                d.code == "CMP002" and d.line == line for d in result.diagnostics
            ), name


def test_most_templates_are_accepted() -> None:
    templates = [path for path in FILES if "dokploy" in path.parts]
    accepted = [path for path in templates if not convert(path).rejected]
    assert len(accepted) >= 0.7 * len(templates)
