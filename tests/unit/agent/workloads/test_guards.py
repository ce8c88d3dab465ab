"""The guards of an environment: complete, marked, and exact."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agent.workloads.guards import (
    EnvironmentLimits,
    excess,
    guards,
    namespace_manifest,
    record,
    spec_in_labels,
    spec_in_record,
)
from agent.workloads.model import EnvironmentSpec, LinkedEnvironment
from agent.workloads.policies import ClusterNetwork, name_servers, network_policies

SHOP = EnvironmentSpec(
    *("shop-prod-abc123", "01UID", "default", "shop", "prod"),
    links=(LinkedEnvironment("blog-prod-def456", "01PEER"),),
    generation=3,
)
NETWORK = ClusterNetwork(())
values = st.recursive(
    st.none() | st.booleans() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)


def merged(live: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(live) if isinstance(live, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def test_every_guard_lies_in_the_namespace_and_is_marked() -> None:
    for manifest in guards(SHOP, EnvironmentLimits(), NETWORK, "01CLUSTER"):
        assert manifest["metadata"]["namespace"] == SHOP.namespace
        assert manifest["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "skerry"
        assert manifest["metadata"]["labels"]["skerry.dev/guard"]


def test_limits_come_first_and_the_record_last() -> None:
    kinds = [
        manifest["kind"] for manifest in guards(SHOP, EnvironmentLimits(), NETWORK, "01CLUSTER")
    ]
    assert (kinds[0], kinds[-1]) == ("LimitRange", "ConfigMap")


def test_a_link_opens_both_directions_to_the_peer_alone() -> None:
    made = guards(SHOP, EnvironmentLimits(), NETWORK, "01CLUSTER")
    (link,) = [m for m in made if m["metadata"]["labels"]["skerry.dev/guard"] == "link"]
    peer = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "blog-prod-def456"}},
        "podSelector": {},
    }
    assert link["spec"]["ingress"] == [{"from": [peer]}]
    assert link["spec"]["egress"] == [{"to": [peer]}]


def test_an_environment_is_read_back_from_its_record() -> None:
    config_map = record(SHOP, "01CLUSTER")
    config_map["metadata"]["namespace"] = SHOP.namespace
    assert spec_in_record(config_map) == SHOP


def test_a_record_copied_into_another_namespace_counts_for_nothing() -> None:
    config_map = record(SHOP, "01CLUSTER")
    config_map["metadata"]["namespace"] = "elsewhere"
    assert spec_in_record(config_map) is None


def test_labels_alone_tell_an_environment_without_links() -> None:
    found = spec_in_labels(namespace_manifest(SHOP, "01CLUSTER"))
    assert found == EnvironmentSpec("shop-prod-abc123", "01UID", "default", "shop", "prod")
    assert spec_in_labels({"metadata": {"name": "kube-system"}}) is None


@given(st.dictionaries(st.text(max_size=2), values), st.dictionaries(st.text(max_size=2), values))
def test_excess_takes_away_exactly_what_is_too_much(
    wanted: dict[str, Any], added: dict[str, Any]
) -> None:
    live = {"spec": {**added, **wanted}}
    patch = excess({"spec": wanted}, live)
    after = merged(live, patch) if patch else live
    assert after["spec"] == wanted


def test_nothing_is_too_much_of_what_is_as_wanted() -> None:
    for manifest in guards(SHOP, EnvironmentLimits(), NETWORK, "01CLUSTER"):
        assert excess(manifest, manifest) is None


def dns_policy(*slices: dict[str, Any], **spec: Any) -> list[Any]:
    service = {"spec": {"ports": [{"name": "dns", "port": 53}], **spec}}
    network = ClusterNetwork((), name_servers(service, slices))
    found = next(p for p in network_policies(network) if p["metadata"]["name"] == "skerry-dns")
    rules: list[Any] = found["spec"]["egress"]
    return rules


def test_dns_is_allowed_where_it_is_answered() -> None:
    ports = [{"name": "dns", "port": 5353}, {"name": "metrics", "port": 9153}]
    (rule,) = dns_policy({"ports": ports}, selector={"dns": "default"})
    assert {port["port"] for port in rule["ports"]} == {5353}
    assert rule["to"][0]["podSelector"] == {"matchLabels": {"dns": "default"}}


def test_dns_beside_the_cluster_is_allowed_by_address() -> None:
    endpoints = {
        "endpoints": [{"addresses": ["203.0.113.53"]}],
        "ports": [{"name": "dns", "port": 53}],
    }
    (rule,) = dns_policy(endpoints)
    assert rule["to"] == [{"ipBlock": {"cidr": "203.0.113.53/32"}}]


def test_dns_that_nobody_answers_allows_nothing() -> None:
    """A rule without peers would let everything pass."""
    assert dns_policy() == []
