"""Nothing but what apps have passes the gate, whatever was done to a manifest on its way."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agent.kube import Manifest
from agent.workloads.errors import RefusedError
from agent.workloads.gate import admit, problems_of
from agent.workloads.model import EnvironmentSpec
from agent.workloads.objects import owned
from tests.unit.agent.workloads.tampering import REFUSED_HERE, REFUSED_TWICE, good, one

SHOP = EnvironmentSpec("shop-prod", "uid", "default", "shop", "prod")
CORPUS = {**REFUSED_TWICE, **REFUSED_HERE}
GOLDEN = sorted((Path(__file__).parents[3] / "golden" / "compose").glob("*/expected.yaml"))


def test_a_plain_app_passes() -> None:
    admit(good(SHOP), "demo", SHOP)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_everything_that_the_converter_makes_passes(path: Path) -> None:
    manifests = [m for m in yaml.safe_load_all(path.read_text(encoding="utf-8")) if m]
    admit([owned(manifest, "shop", SHOP) for manifest in manifests], "shop", SHOP)


@pytest.mark.parametrize("name", CORPUS)
def test_a_changed_manifest_is_stopped(name: str) -> None:
    kind, change = CORPUS[name]
    manifests = good(SHOP)
    change(one(manifests, kind))
    with pytest.raises(RefusedError, match="nothing was applied"):
        admit(manifests, "demo", SHOP)


def policy(**spec: Any) -> list[str]:
    manifest: Manifest = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "n"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], **spec},
    }
    return problems_of(owned(manifest, "demo", SHOP), "demo", SHOP)


def test_policies_join_pods_of_the_environment_alone() -> None:
    members = {"podSelector": {"matchLabels": {"a": "b"}}}
    assert policy(ingress=[{"from": [members]}], egress=[{"to": [members]}]) == []
    for peer in (
        {"namespaceSelector": {}},
        {"podSelector": {}, "namespaceSelector": {}},
        {"ipBlock": {"cidr": "0.0.0.0/0"}},
        {},
    ):
        assert policy(ingress=[{"from": [peer]}])
        assert policy(egress=[{"to": [peer]}])
    # Each of these means everybody.
    assert policy(ingress=[{}])
    assert policy(egress=[{"to": []}])
    assert policy(egress=[{"ports": [{"port": 6443}]}])


def test_all_that_is_wrong_is_named_with_its_path() -> None:
    manifests = good(SHOP)
    for name in ("hostPath", "hostNetwork"):
        CORPUS[name][1](one(manifests, "Deployment"))
    with pytest.raises(RefusedError) as caught:
        admit(manifests, "demo", SHOP)
    assert "spec.template.spec.hostNetwork is not allowed" in str(caught.value)
    assert ".hostPath is not allowed" in str(caught.value)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2)
    ),
    max_leaves=6,
)


@given(st.data())
def test_no_shape_breaks_it(data: st.DataObject) -> None:
    """Whatever stands anywhere in a manifest, the gate answers and does not fall over."""
    manifest = copy.deepcopy(one(good(SHOP), "Deployment"))
    place: Any = manifest
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            place[key] = data.draw(junk)
            break
        place = place[key]
    problems_of(manifest, "demo", SHOP)
