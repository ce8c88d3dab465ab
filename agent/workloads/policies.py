"""Who may talk to whom in an environment: default deny, then the few things an app needs.

Pure: from the cluster's nodes to NetworkPolicy manifests. Policies only add up, so nothing here can
be widened by accident but by another policy. Egress is judged after service addresses are
translated: rules name pods and their ports, never Service addresses. Private ranges, metadata
services and the nodes' own addresses are not part of "the internet" (an app that reaches a node
reaches its kubelet).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from agent.kube import Manifest
from agent.workloads.labels import EXPOSED, GUARD, INTERNAL, ISOLATED
from agent.workloads.model import LinkedEnvironment

_DNS_PORT = 53
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# Private (RFC 1918), carrier-grade NAT (RFC 6598), link-local with the metadata services
# (RFC 3927), loopback, this-network, multicast and reserved.
_NOT_INTERNET_V4 = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
# Loopback, IPv4-mapped, unique local (RFC 4193), link-local, multicast.
_NOT_INTERNET_V6 = ("::1/128", "::ffff:0:0/96", "fc00::/7", "fe80::/10", "ff00::/8")


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Pods elsewhere in the cluster that every environment may reach."""

    namespace: str
    labels: tuple[tuple[str, str], ...]
    ports: tuple[int, ...]


SHARED_SERVICES = (
    Neighbour("skerry-storage", (("app.kubernetes.io/name", "garage"),), (3900,)),
    Neighbour("skerry-db", (("cnpg.io/cluster", "shared"),), (5432,)),
)
INGRESS = Neighbour("kube-system", (("app.kubernetes.io/name", "traefik"),), (8000, 8443))


@dataclass(frozen=True, slots=True)
class NameServers:
    """Where the cluster's DNS is answered, after service translation: pods, or addresses where it
    is not pods (a cache on the nodes)."""

    labels: tuple[tuple[str, str], ...] = (("k8s-app", "kube-dns"),)
    """Of the pods in kube-system; empty where `addresses` say it."""
    addresses: tuple[Network, ...] = ()
    ports: tuple[int, ...] = (53,)


@dataclass(frozen=True, slots=True)
class ClusterNetwork:
    """Ranges that belong to the cluster itself, and its DNS."""

    ranges: tuple[Network, ...]
    name_servers: NameServers = NameServers()

    @property
    def has_ipv6(self) -> bool:
        return any(network.version == 6 for network in self.ranges)


def cluster_network(
    nodes: Sequence[Manifest],
    service_cidrs: Iterable[str] = (),
    api_server: Iterable[str] = (),
    name_servers: NameServers | None = None,
) -> ClusterNetwork:
    """Every address of every node, the pod ranges, the service ranges where they are told, and the
    API server's own and service addresses, which need not be among the nodes'."""
    found: set[Network] = set()
    for node in nodes:
        for address in node.get("status", {}).get("addresses") or ():
            if address.get("type") in ("InternalIP", "ExternalIP"):
                found.update(_networks(address.get("address", "")))
        spec = node.get("spec", {})
        for cidr in spec.get("podCIDRs") or [spec.get("podCIDR", "")]:
            found.update(_networks(cidr))
    for text in (*service_cidrs, *api_server):
        found.update(_networks(text))
    ranges = tuple(sorted(found, key=lambda n: (n.version, n)))
    return ClusterNetwork(ranges, name_servers or NameServers())


def endpoint_addresses(slices: Iterable[Manifest]) -> list[str]:
    """The addresses in EndpointSlices."""
    return [
        str(address)
        for one in slices
        for endpoint in one.get("endpoints") or ()
        for address in endpoint.get("addresses") or ()
    ]


def name_servers(service: Manifest | None, slices: Sequence[Manifest]) -> NameServers:
    """What stands behind the cluster's DNS Service (`kube-system/kube-dns`); without one, pods
    labelled as CoreDNS is everywhere."""
    if service is None:
        return NameServers()
    # Of the Service's ports only those for DNS: metrics are nobody's business.
    wanted = {
        str(port.get("name", ""))
        for port in service.get("spec", {}).get("ports") or ()
        if port.get("port") == _DNS_PORT
    }
    ports = {
        int(port["port"])
        for one in slices
        for port in one.get("ports") or ()
        if str(port.get("name") or "") in wanted and port.get("port")
    }
    reached = tuple(sorted(ports)) or (_DNS_PORT,)
    selector = service.get("spec", {}).get("selector")
    if selector:
        return NameServers(tuple(sorted(selector.items())), ports=reached)
    addresses = [network for text in endpoint_addresses(slices) for network in _networks(text)]
    return NameServers((), tuple(addresses), reached)


def network_policies(network: ClusterNetwork) -> list[Manifest]:
    """The policies of one environment, without a namespace."""
    return [
        _policy("default-deny", ["Ingress", "Egress"]),
        # Pods of an app whose file keeps its services apart have that app's own policies instead.
        _policy(
            "same-namespace",
            ["Ingress", "Egress"],
            selector=_without(ISOLATED),
            ingress=[{"from": [{"podSelector": {}}]}],
            egress=[{"to": [{"podSelector": {}}]}],
        ),
        _policy("dns", ["Egress"], egress=_to_name_servers(network.name_servers)),
        _policy("shared-services", ["Egress"], egress=[_to(n) for n in SHARED_SERVICES]),
        _policy(
            "from-ingress",
            ["Ingress"],
            selector={"matchLabels": {EXPOSED: "true"}},
            ingress=[{"from": [_peer(INGRESS.namespace, dict(INGRESS.labels))]}],
        ),
        # An app that calls its own public address ends up at the ingress controller's pods.
        _policy("to-ingress", ["Egress"], egress=[_to(INGRESS)]),
        _policy(
            "internet",
            ["Egress"],
            selector=_without(INTERNAL),
            egress=[{"to": _internet(network)}],
        ),
    ]


def link_policy(link: LinkedEnvironment) -> Manifest:
    """One side of a link: pods here and pods there may reach each other. The other side has the
    mirror of it, and without both nothing passes. A namespace is known by the label that the API
    server itself keeps."""
    there = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": link.namespace}},
        "podSelector": {},
    }
    made = _policy(
        f"link-{link.uid.lower()}",
        ["Ingress", "Egress"],
        ingress=[{"from": [there]}],
        egress=[{"to": [there]}],
    )
    made["metadata"]["labels"] = {GUARD: "link"}
    return made


def _to_name_servers(servers: NameServers) -> list[Manifest]:
    peers: list[Manifest] = [{"ipBlock": {"cidr": str(one)}} for one in servers.addresses]
    if servers.labels:
        peers = [_peer("kube-system", dict(servers.labels))]
    if not peers:  # a rule without peers would let everything pass
        return []
    ports = [
        {"protocol": protocol, "port": port}
        for port in servers.ports
        for protocol in ("UDP", "TCP")
    ]
    return [{"to": peers, "ports": ports}]


def _without(label: str) -> Manifest:
    return {"matchExpressions": [{"key": label, "operator": "DoesNotExist"}]}


def _internet(network: ClusterNetwork) -> list[Manifest]:
    blocks: list[tuple[str, Sequence[str]]] = [("0.0.0.0/0", _NOT_INTERNET_V4)]
    if network.has_ipv6:
        blocks.append(("::/0", _NOT_INTERNET_V6))
    return [
        {"ipBlock": {"cidr": cidr, "except": _excepted(cidr, fixed, network.ranges)}}
        for cidr, fixed in blocks
    ]


def _excepted(cidr: str, fixed: Sequence[str], own: Sequence[Network]) -> list[str]:
    version = ipaddress.ip_network(cidr).version
    if version == 4:
        v4 = [ipaddress.IPv4Network(text) for text in fixed]
        v4 += [network for network in own if isinstance(network, ipaddress.IPv4Network)]
        return [str(network) for network in ipaddress.collapse_addresses(v4)]
    v6 = [ipaddress.IPv6Network(text) for text in fixed]
    v6 += [network for network in own if isinstance(network, ipaddress.IPv6Network)]
    return [str(network) for network in ipaddress.collapse_addresses(v6)]


def _policy(
    name: str,
    types: list[str],
    *,
    selector: Manifest | None = None,
    ingress: list[Manifest] | None = None,
    egress: list[Manifest] | None = None,
) -> Manifest:
    spec: Manifest = {"podSelector": selector or {}, "policyTypes": types}
    if ingress is not None:
        spec["ingress"] = ingress
    if egress is not None:
        spec["egress"] = egress
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"skerry-{name}"},
        "spec": spec,
    }


def _to(neighbour: Neighbour) -> Manifest:
    return {
        "to": [_peer(neighbour.namespace, dict(neighbour.labels))],
        "ports": [{"protocol": "TCP", "port": port} for port in neighbour.ports],
    }


def _peer(namespace: str, labels: dict[str, str]) -> Manifest:
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "podSelector": {"matchLabels": labels},
    }


def _networks(text: str) -> list[Network]:
    """The network in a text; nothing for what is none (a node address may be a host name)."""
    try:
        return [ipaddress.ip_network(text, strict=False)]
    except ValueError:
        return []
