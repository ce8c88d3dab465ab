"""Our manifests beside what kompose itself expects of its fixtures, compared by meaning.

Every difference has its line in `kompose_differences.toml`; one without a line fails, and so does a
line without a difference.
"""

from __future__ import annotations

import json
import tomllib
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from agent.bundle import FolderBundle
from agent.compose import Context, Plan, SourceFile, plan
from tests.unit.compose.corpus.files import ROOT, needs_corpus
from tests.unit.compose.corpus.meaning import differences, expanded, meaning

pytestmark = needs_corpus

EXPLAINED: dict[str, dict[str, str]] = tomllib.loads(
    (Path(__file__).parent / "kompose_differences.toml").read_text()
)


@cache
def pairs() -> dict[str, list[str]]:
    """Expected file → compose files, for the complete pairs of the Kubernetes provider."""
    path = ROOT / "kompose-expected/MAP.json"
    if not path.exists():
        return {}
    return {
        pair["expected"]: pair["compose"]
        for pair in json.loads(path.read_text())
        if pair["expected_present"]
        and pair["compose_present"]
        and "openshift" not in pair["options"]
    }


def convert(compose: list[str]) -> Plan:
    paths = [ROOT / "kompose" / name for name in compose]
    context = Context(app="app", namespace="ns", files=FolderBundle(paths[0].parent))
    return plan([SourceFile(path.name, path.read_bytes()) for path in paths], context)


def compared(expected: str) -> dict[str, Any]:
    result = convert(pairs()[expected])
    if result.rejected:
        return {"refused": [str(d) for d in result.diagnostics]}
    theirs = yaml.safe_load_all((ROOT / "kompose-expected" / expected).read_text())
    return differences(meaning(theirs), meaning(result.manifests))


def test_all_complete_pairs_are_compared() -> None:
    assert len(pairs()) == 42
    assert EXPLAINED.keys() <= pairs().keys()


@pytest.mark.parametrize("expected", pairs())
def test_every_difference_is_explained(expected: str) -> None:
    found = compared(expected)
    reasons = EXPLAINED.get(expected, {})
    unexplained = {
        place: values
        for place, values in found.items()
        if not any(fnmatchcase(place, pattern) for pattern in reasons)
    }
    stale = [
        pattern for pattern in reasons if not any(fnmatchcase(place, pattern) for place in found)
    ]
    assert (unexplained, stale) == ({}, [])


def test_the_comparison_sees_differences() -> None:
    container = {
        "name": "a",
        "image": "a",
        "args": ["x $(A) $$(A)"],
        "env": [{"name": "A", "value": "b"}],
    }
    pod = {"containers": [container]}
    one = {"kind": "Deployment", "metadata": {"name": "a"}, "spec": {"template": {"spec": pod}}}
    other = {**container, "args": ["x b $$(A)"]}
    two = {**one, "spec": {"template": {"spec": {"containers": [other]}}}}
    assert meaning([one])["a"]["args"] == ["x b $(A)"]
    assert differences(meaning([one]), meaning([two])) == {}
    three = {**one, "spec": {"replicas": 2, "template": {"spec": pod}}}
    assert differences(meaning([one]), meaning([three])) == {"a.replicas": (1, 2)}
    assert expanded("$(B)$$$", {"A": "b"}) == "$(B)$$"
