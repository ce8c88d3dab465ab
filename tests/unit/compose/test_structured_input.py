"""Files made along the table of keys: what holds for every plan, whatever is in the file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from agent.compose import Plan, SourceFile, plan
from tests.unit.compose import strategies
from tests.unit.compose.helpers import CONTEXT

VARIABLES = {"V": "value", "X": "$(A)$$"}
THOROUGH = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def convert(*trees: Any) -> Plan:
    """JSON is YAML."""
    sources = [SourceFile(f"{i}.yml", json.dumps(tree).encode()) for i, tree in enumerate(trees)]
    return plan(sources, replace(CONTEXT, files=strategies.FILES, variables=VARIABLES))


def as_bytes(result: Plan) -> bytes:
    return json.dumps(asdict(result), sort_keys=False).encode()


def objects(result: Plan) -> dict[str, Any]:
    """The manifests by name; the order of keys and of objects does not count."""
    return {f"{m['kind']}/{m['metadata']['name']}": m for m in result.manifests}


def reordered(tree: Any, draw: st.DrawFn) -> Any:
    if isinstance(tree, dict):
        names = draw(st.permutations(list(tree)))
        return {name: reordered(tree[name], draw) for name in names}
    return tree


@st.composite
def files_in_two_orders(draw: st.DrawFn) -> tuple[Any, Any]:
    """Keys of mappings change places, lists stay; the order of services decides between several
    that could be public, and of the names they share, so it stays too."""
    tree = draw(strategies.files())
    other = reordered(tree, draw)
    services = {name: other["services"][name] for name in tree["services"]}
    return tree, {**other, "services": services}


@THOROUGH
@given(strategies.files())
def test_the_same_file_gives_the_same_bytes(tree: Any) -> None:
    result = convert(tree)
    event("refused" if result.rejected else "accepted")
    assert as_bytes(result) == as_bytes(convert(tree))
    assert result.rejected == (not result.waves)


@THOROUGH
@given(files_in_two_orders())
def test_the_order_of_keys_has_no_meaning(trees: tuple[Any, Any]) -> None:
    one, other = (convert(tree) for tree in trees)
    assert one.rejected == other.rejected
    assert objects(one) == objects(other)
    assert {d.code for d in one.diagnostics} == {d.code for d in other.diagnostics}


@THOROUGH
@given(strategies.files())
def test_a_file_over_itself_is_itself(tree: Any) -> None:
    """Lists are made unique by what identifies an item, so a second helping changes nothing."""
    once, twice = convert(tree), convert(tree, tree)
    assert objects(once) == objects(twice)


@THOROUGH
@given(strategies.files())
def test_an_empty_override_changes_nothing(tree: Any) -> None:
    assert objects(convert(tree)) == objects(convert(tree, {"services": {}}))


@THOROUGH
@given(strategies.files())
def test_what_is_accepted_refers_only_to_what_is_there(tree: Any) -> None:
    result = convert(tree)
    known = objects(result)
    for manifest in result.manifests:
        if manifest["kind"] not in ("Deployment", "Job", "CronJob"):
            continue
        spec = manifest["spec"]
        pod = (spec["jobTemplate"]["spec"] if "jobTemplate" in spec else spec)["template"]["spec"]
        volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
        assert len(volumes) == len(pod.get("volumes", ()))
        for container in (*pod["containers"], *pod.get("initContainers", ())):
            paths = [mount["mountPath"] for mount in container.get("volumeMounts", ())]
            assert len(paths) == len(set(paths))
            assert {m["name"] for m in container.get("volumeMounts", ())} <= volumes.keys()
            for source in container.get("envFrom", ()):
                assert f"Secret/{source['secretRef']['name']}" in known
        external = {v.claim for v in result.volumes if v.external}
        for volume in volumes.values():
            claim = volume.get("persistentVolumeClaim", {}).get("claimName")
            assert claim in (None, *external) or f"PersistentVolumeClaim/{claim}" in known


def test_the_bytes_do_not_depend_on_the_seed_of_hashes() -> None:
    """Sets of texts come in another order in every process; none of that may be seen."""
    program = (
        "import hashlib, random, sys\n"
        "from hypothesis import given, settings, seed, HealthCheck, Phase\n"
        "from tests.unit.compose import strategies\n"
        "from tests.unit.compose.test_structured_input import as_bytes, convert\n"
        "digest = hashlib.sha256()\n"
        "@seed(7)\n"
        "@settings(max_examples=40, deadline=None, database=None, phases=[Phase.generate],\n"
        "          suppress_health_check=list(HealthCheck))\n"
        "@given(strategies.files())\n"
        "def run(tree): digest.update(as_bytes(convert(tree)))\n"
        "run()\n"
        "print(digest.hexdigest())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1", "4711")
    }
    assert len(digests) == 1
