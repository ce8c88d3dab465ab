"""Which addresses an environment may reach, computed from nodes as they are."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.workloads.policies import cluster_network, network_policies


def node(*addresses: str, pods: str = "10.42.0.0/24") -> dict[str, Any]:
    return {
        "spec": {"podCIDR": pods, "podCIDRs": [pods]},
        "status": {
            "addresses": [
                *({"type": "ExternalIP", "address": address} for address in addresses),
                {"type": "Hostname", "address": "one"},
            ]
        },
    }


def blocks(nodes: list[dict[str, Any]], services: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    policies = network_policies(cluster_network(nodes, services))
    internet = next(p for p in policies if p["metadata"]["name"] == "skerry-internet")
    return [peer["ipBlock"] for peer in internet["spec"]["egress"][0]["to"]]


def is_allowed(found: list[dict[str, Any]], address: str) -> bool:
    ip = ipaddress.ip_address(address)
    return any(
        ip in ipaddress.ip_network(block["cidr"])
        and not any(ip in ipaddress.ip_network(one) for one in block["except"])
        for block in found
    )


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3",
        "172.20.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "127.0.0.1",
        "203.0.113.7",
        "198.51.100.9",
        "11.0.0.10",
    ],
)
def test_private_metadata_node_and_service_addresses_are_out_of_reach(address: str) -> None:
    nodes = [node("203.0.113.7"), node("198.51.100.9")]
    assert not is_allowed(blocks(nodes, ("11.0.0.0/16",)), address)


def test_the_internet_is_within_reach() -> None:
    found = blocks([node("203.0.113.7")])
    assert is_allowed(found, "1.1.1.1")
    assert is_allowed(found, "203.0.113.8")


def test_a_dual_stack_cluster_guards_its_ipv6_addresses_too() -> None:
    found = blocks([node("203.0.113.7", "2001:db8::7")])
    assert not is_allowed(found, "2001:db8::7")
    assert not is_allowed(found, "fd00::1")
    assert is_allowed(found, "2606:4700::1111")


def test_a_single_stack_cluster_has_no_ipv6_rule() -> None:
    assert [block["cidr"] for block in blocks([node("203.0.113.7")])] == ["0.0.0.0/0"]


@given(st.lists(st.ip_addresses().map(str), max_size=6))
def test_no_node_address_is_ever_within_reach(addresses: list[str]) -> None:
    found = blocks([node(*addresses)])
    assert not any(is_allowed(found, address) for address in addresses)
    for block in found:  # the API server refuses exceptions outside of the range
        cidr = ipaddress.ip_network(block["cidr"])
        assert all(ipaddress.ip_network(one).version == cidr.version for one in block["except"])


def test_everything_is_denied_first() -> None:
    policies = {p["metadata"]["name"]: p["spec"] for p in network_policies(cluster_network([]))}
    assert policies["skerry-default-deny"] == {
        "podSelector": {},
        "policyTypes": ["Ingress", "Egress"],
    }
    exposed = policies["skerry-from-ingress"]["podSelector"]["matchLabels"]
    assert exposed == {"skerry.dev/exposed": "true"}


def test_an_api_server_that_is_no_node_is_out_of_reach() -> None:
    network = cluster_network([node("203.0.113.7")], (), ("198.51.100.77", "11.0.0.1"))
    internet = next(
        p for p in network_policies(network) if p["metadata"]["name"] == "skerry-internet"
    )
    found = [peer["ipBlock"] for peer in internet["spec"]["egress"][0]["to"]]
    assert not is_allowed(found, "198.51.100.77")
    assert not is_allowed(found, "11.0.0.1")
    assert is_allowed(found, "198.51.100.78")
