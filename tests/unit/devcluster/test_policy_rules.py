"""From policies to rules. A small reader of the generated table plays the kernel: who may reach whom."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from devcluster.policy import model, rules
from hypothesis import given, settings
from hypothesis import strategies as st

NAMESPACES = {
    "home": {"team": "home", "kubernetes.io/metadata.name": "home"},
    "abroad": {"team": "abroad"},
}


def pod(
    namespace: str, address: str, labels: dict[str, str] | None = None, **ports: int
) -> model.Pod:
    named = tuple(model.NamedPort(name, "TCP", number) for name, number in ports.items())
    return model.Pod(namespace, f"pod-{address}", address, labels or {}, named)


SERVER = pod("home", "10.42.0.2", {"app": "server"}, web=8080)
CLIENT = pod("home", "10.42.0.3", {"app": "client"})
FOREIGN = pod("abroad", "10.42.0.4", {"app": "client", "tier": "front"}, web=9090)
PODS = [SERVER, CLIENT, FOREIGN]
API = "192.0.2.2"


def policy(namespace: str = "home", **spec: Any) -> model.Policy:
    return model.policy(
        {"metadata": {"namespace": namespace, "name": "p"}, "spec": {"podSelector": {}, **spec}}
    )


@dataclass
class Kernel:
    """Understands the little of nft's language that `rules` writes, and nothing else."""

    text: str

    def allows(self, source: str, target: str, port: int = 80, protocol: str = "tcp") -> bool:
        for side, address in (("outgoing", source), ("incoming", target)):
            chain = self._chain_for(side, address)
            if chain is not None and not self._passes(chain, source, target, port, protocol):
                return False
        return True

    def _chain_for(self, side: str, address: str) -> list[str] | None:
        elements = re.search(rf"map {side} {{[^\n]*elements = {{ ([^}}]*) }}", self.text)
        pairs = dict(re.findall(r"(\S+) : jump (\S+?)(?:,|$)", elements[1])) if elements else {}
        if address not in pairs:
            return None
        body = re.search(rf"chain {pairs[address]} {{\n(.*?)\n  }}", self.text, re.DOTALL)
        assert body is not None
        return [line.strip() for line in body[1].splitlines() if "#" not in line]

    def _passes(self, chain: list[str], source: str, target: str, port: int, protocol: str) -> bool:
        for line in chain:
            *matches, verdict = re.split(
                r" (?=(?:ip|tcp|udp|sctp) (?:[sd]addr|protocol|dport)|return$|reject)", line
            )
            values = (source, target, port, protocol)
            if verdict.startswith(("return", "reject")) and all(
                self._matches(match, *values) for match in matches
            ):
                return verdict == "return"
        raise AssertionError("a chain without an end")

    def _matches(self, match: str, source: str, target: str, port: int, protocol: str) -> bool:
        word = re.fullmatch(r"(ip|tcp|udp|sctp) (saddr|daddr|protocol|dport) (!= )?(.*)", match)
        if match == "":
            return True
        assert word is not None, match
        space, field, negated, text = word.groups()
        values = text.strip("{ }").split(", ")
        if field == "protocol":
            return protocol in values
        if field == "dport":
            ranges = [(value + "-" + value).split("-")[:2] for value in values]
            within = any(int(first) <= port <= int(last) for first, last in ranges)
            return space == protocol and within
        address = IPv4Address(source if field == "saddr" else target)
        inside = any(address in IPv4Network(value) for value in values)
        return inside is not bool(negated)


def kernel(*policies: model.Policy) -> Kernel:
    return Kernel(rules.table(PODS, NAMESPACES, policies))


def test_without_policies_everything_passes() -> None:
    assert kernel().allows(FOREIGN.address, SERVER.address)


def test_default_deny_holds_both_directions() -> None:
    deny = kernel(policy(policyTypes=["Ingress", "Egress"]))
    assert not deny.allows(FOREIGN.address, SERVER.address)
    assert not deny.allows(SERVER.address, FOREIGN.address)
    assert not deny.allows(SERVER.address, API, 6443)
    assert deny.allows(SERVER.address, SERVER.address)  # a pod always reaches itself
    assert deny.allows(FOREIGN.address, "203.0.113.9")  # another namespace is not concerned


def test_the_types_left_out_are_ingress_and_egress_if_it_has_rules() -> None:
    assert not kernel(policy()).allows(FOREIGN.address, SERVER.address)
    assert kernel(policy()).allows(SERVER.address, FOREIGN.address)
    assert not kernel(policy(ingress=[{}], egress=[{"to": [{"podSelector": {}}]}])).allows(
        SERVER.address, FOREIGN.address
    )


def test_policies_add_up() -> None:
    both = kernel(policy(), policy(ingress=[{"from": [{"podSelector": {}}]}]))
    assert both.allows(CLIENT.address, SERVER.address)
    assert not both.allows(FOREIGN.address, SERVER.address)


def test_a_pod_selector_alone_means_the_own_namespace() -> None:
    only = kernel(policy(ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "client"}}}]}]))
    assert only.allows(CLIENT.address, SERVER.address)
    assert not only.allows(FOREIGN.address, SERVER.address)


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ({"key": "team", "operator": "In", "values": ["abroad"]}, True),
        ({"key": "team", "operator": "NotIn", "values": ["abroad"]}, False),
        ({"key": "team", "operator": "Exists"}, True),
        ({"key": "team", "operator": "DoesNotExist"}, False),
        ({"key": "none", "operator": "NotIn", "values": ["x"]}, True),
    ],
)
def test_expressions_select_namespaces(expression: dict[str, Any], allowed: bool) -> None:
    peer = {"namespaceSelector": {"matchExpressions": [expression]}}
    assert (
        kernel(policy(ingress=[{"from": [peer]}])).allows(FOREIGN.address, SERVER.address)
        is allowed
    )


def test_both_selectors_of_one_peer_must_hold() -> None:
    peer = {
        "namespaceSelector": {"matchLabels": {"team": "abroad"}},
        "podSelector": {"matchLabels": {"app": "server"}},
    }
    assert not kernel(policy(ingress=[{"from": [peer]}])).allows(FOREIGN.address, SERVER.address)


def test_ports_numbers_ranges_and_protocols() -> None:
    ports = [{"port": 80}, {"port": 8000, "endPort": 8010}, {"port": 53, "protocol": "UDP"}]
    some = kernel(policy(ingress=[{"ports": ports}]))
    for port, protocol, allowed in (
        (80, "tcp", True), (81, "tcp", False), (8010, "tcp", True), (8011, "tcp", False),
        (53, "udp", True), (53, "tcp", False), (80, "udp", False),
    ):  # fmt: skip
        assert some.allows(FOREIGN.address, SERVER.address, port, protocol) is allowed


def test_a_protocol_without_a_port_is_all_its_ports() -> None:
    udp = kernel(policy(ingress=[{"ports": [{"protocol": "UDP"}]}]))
    assert udp.allows(FOREIGN.address, SERVER.address, 9999, "udp")
    assert not udp.allows(FOREIGN.address, SERVER.address, 9999, "tcp")


def test_a_named_port_is_the_targets_own() -> None:
    named = [{"ports": [{"port": "web"}]}]
    inward = kernel(policy(ingress=named))
    assert inward.allows(FOREIGN.address, SERVER.address, 8080)
    assert not inward.allows(FOREIGN.address, SERVER.address, 9090)
    assert not inward.allows(FOREIGN.address, CLIENT.address, 8080)  # it has no port of that name
    outward = kernel(policy(egress=named, policyTypes=["Egress"]))
    assert outward.allows(SERVER.address, FOREIGN.address, 9090)
    assert not outward.allows(SERVER.address, FOREIGN.address, 8080)


def test_a_block_with_an_exception() -> None:
    block = {"cidr": "0.0.0.0/0", "except": [f"{API}/32", "10.0.0.0/8"]}
    world = kernel(policy(policyTypes=["Egress"], egress=[{"to": [{"ipBlock": block}]}]))
    assert world.allows(SERVER.address, "203.0.113.9")
    assert not world.allows(SERVER.address, API, 6443)
    assert not world.allows(SERVER.address, FOREIGN.address)


def test_a_block_of_the_other_family_holds_nobody() -> None:
    closed = kernel(policy(ingress=[{"from": [{"ipBlock": {"cidr": "::/0"}}]}]))
    assert not closed.allows(FOREIGN.address, SERVER.address)


def test_the_order_of_objects_does_not_matter() -> None:
    one, two = policy(), policy(ingress=[{"from": [{"podSelector": {}}]}])
    assert rules.table(PODS, NAMESPACES, [one, two]).split("\n")[:3] == [
        "table ip skerry-dev-policy",
        "delete table ip skerry-dev-policy",
        "table ip skerry-dev-policy {",
    ]
    assert rules.table(PODS, NAMESPACES, [one]) == rules.table(PODS[::-1], NAMESPACES, [one])


@pytest.mark.parametrize(
    ("spec", "status"),
    [
        ({"hostNetwork": True}, {"podIP": API, "phase": "Running"}),
        ({}, {"podIP": "10.42.0.9", "phase": "Succeeded"}),
        ({}, {"phase": "Pending"}),
        ({}, {"podIP": "fd00::1", "phase": "Running"}),
    ],
)
def test_pods_without_an_address_of_their_own_are_left_out(
    spec: dict[str, Any], status: dict[str, Any]
) -> None:
    item = {"metadata": {"namespace": "home", "name": "x"}, "spec": spec, "status": status}
    assert model.pod(item) is None


numbers = st.integers(1, 65535)
ports = st.builds(
    lambda first, length, protocol: {
        "port": first, "endPort": min(first + length, 65535), "protocol": protocol,
    },
    numbers, st.integers(0, 500), st.sampled_from(model.PROTOCOLS),
)  # fmt: skip
blocks = st.builds(
    lambda a, length: {"ipBlock": {"cidr": str(IPv4Network((a, length), strict=False))}},
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)
selectors = st.sampled_from(
    [{"podSelector": {}}, {"namespaceSelector": {}}, {"podSelector": {"matchLabels": {"app": "x"}}}]
)
rule = st.builds(
    lambda found, peers: {"ports": found, "from": peers, "to": peers},
    st.lists(ports, max_size=5),
    st.lists(st.one_of(blocks, selectors), max_size=4),
)


@pytest.mark.skipif(shutil.which("nft") is None, reason="nft is not installed")
@settings(deadline=None, max_examples=50)  # each example starts a program
@given(st.lists(rule, max_size=3))
def test_nft_accepts_whatever_is_generated(generated: list[dict[str, Any]]) -> None:
    everything = policy(ingress=generated, egress=generated, policyTypes=["Ingress", "Egress"])
    text = rules.table(PODS, NAMESPACES, [everything])
    checked = subprocess.run(
        ["nft", "--check", "-f", "-"], input=text, text=True, capture_output=True, check=False
    )
    if "Operation not permitted" in checked.stderr:
        pytest.skip("checking rules needs the right to change them")
    assert checked.returncode == 0, f"{checked.stderr}\n{text}"
