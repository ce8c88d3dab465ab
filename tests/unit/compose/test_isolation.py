"""Networks that keep services apart."""

from __future__ import annotations

from agent.compose import Manifest, Plan
from tests.unit.compose.helpers import accepted, codes, convert, find, names

SHOP = """
services:
  proxy: {image: a, networks: [front]}
  app: {image: b, networks: [front, back]}
  db: {image: c, networks: [back]}
networks: {front: , back: {internal: true}}
"""


def pod_labels(result: Plan, name: str) -> dict[str, str]:
    labels: dict[str, str] = find(result, "Deployment", name)["spec"]["template"]["metadata"][
        "labels"
    ]
    return labels


def may_connect(result: Plan, client: str, server: str) -> bool:
    """What the plan's policies say about two services."""

    def selects(selector: Manifest, name: str) -> bool:
        return selector["matchLabels"].items() <= pod_labels(result, name).items()

    return any(
        selects(m["spec"]["podSelector"], client)
        and selects(m["spec"]["podSelector"], server)
        and any(selects(peer["podSelector"], client) for peer in m["spec"]["ingress"][0]["from"])
        and any(selects(peer["podSelector"], server) for peer in m["spec"]["egress"][0]["to"])
        for m in accepted(result).manifests
        if m["kind"] == "NetworkPolicy"
    )


def test_only_services_on_a_common_network_may_connect() -> None:
    result = convert(SHOP, network_isolation=True)
    services = ("proxy", "app", "db")
    found = {(a, b) for a in services for b in services if a != b and may_connect(result, a, b)}
    assert found == {("proxy", "app"), ("app", "proxy"), ("app", "db"), ("db", "app")}


def test_services_on_internal_networks_only_are_marked() -> None:
    result = convert(SHOP, network_isolation=True)
    marked = [n for n in ("proxy", "app", "db") if "skerry.dev/internal" in pod_labels(result, n)]
    assert marked == ["db"]


def test_a_service_without_network_has_no_peers() -> None:
    result = convert(
        "services: {a: {image: a, network_mode: none}, b: {image: b}}", network_isolation=True
    )
    assert not may_connect(result, "b", "a")
    assert "skerry.dev/internal" in pod_labels(result, "a")


def test_one_common_network_needs_no_policy() -> None:
    result = convert(
        "services: {a: {image: a, networks: [n]}, b: {image: b, networks: [n]}}\nnetworks: {n: }",
        network_isolation=True,
    )
    assert names(result, "NetworkPolicy") == []
    assert "skerry.dev/isolated" not in pod_labels(result, "a")


def test_where_the_namespace_cannot_isolate_it_is_said() -> None:
    result = convert(SHOP)
    assert names(result, "NetworkPolicy") == []
    assert sorted(codes(result)) == ["CMP322", "CMP323"]
    assert codes(convert("services: {a: {image: a, network_mode: none}}")) == ["CMP305"]


def test_policies_are_there_before_the_pods() -> None:
    waves = {
        w.name: [m["kind"] for m in w.manifests]
        for w in convert(SHOP, network_isolation=True).waves
    }
    assert waves["network"] == ["Service"] * 3 + ["NetworkPolicy"] * 2


def test_networks_that_look_alike_stay_apart() -> None:
    result = convert(
        "services: {a: {image: a, networks: [n_x]}, b: {image: b, networks: [n-x]}}\n"
        "networks: {n_x: , n-x: }",
        network_isolation=True,
    )
    assert len(set(names(result, "NetworkPolicy"))) == 2
    assert not may_connect(result, "a", "b")
