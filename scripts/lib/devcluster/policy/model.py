"""The parts of Kubernetes objects that decide about traffic, read from their JSON form.

`watch` delivers the JSON, `rules` works on these. Semantics: NetworkPolicy `networking.k8s.io/v1`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

PROTOCOLS = ("TCP", "UDP", "SCTP")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One `matchExpressions` entry."""

    key: str
    operator: str
    values: tuple[str, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels
        raise ValueError(f"unknown operator {self.operator!r}")  # the API server validates it


@dataclass(frozen=True, slots=True)
class Selector:
    """A label selector; without requirements it selects everything."""

    requirements: tuple[Requirement, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(requirement.matches(labels) for requirement in self.requirements)


@dataclass(frozen=True, slots=True)
class NamedPort:
    name: str
    protocol: str
    number: int


@dataclass(frozen=True, slots=True)
class Pod:
    namespace: str
    name: str
    address: str
    labels: Mapping[str, str]
    ports: tuple[NamedPort, ...]


@dataclass(frozen=True, slots=True)
class Block:
    network: IPv4Network
    excepted: tuple[IPv4Network, ...]


@dataclass(frozen=True, slots=True)
class Peer:
    """Either a block, or pods: of the policy's own namespace unless `namespaces` is given."""

    block: Block | None = None
    pods: Selector | None = None
    namespaces: Selector | None = None


@dataclass(frozen=True, slots=True)
class Port:
    """`port` None: every port of the protocol. A text is a container port's name."""

    protocol: str
    port: int | str | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """Empty `peers`: everybody. Empty `ports`: every port and protocol."""

    peers: tuple[Peer, ...]
    ports: tuple[Port, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """`ingress` None: says nothing about ingress; empty: allows none. Likewise `egress`."""

    namespace: str
    name: str
    pods: Selector
    ingress: tuple[Rule, ...] | None
    egress: tuple[Rule, ...] | None


def pod(item: Mapping[str, Any]) -> Pod | None:
    """The pod, or None for one that has no address of its own (yet, any more, or at all)."""
    spec, status, metadata = item.get("spec", {}), item.get("status", {}), item["metadata"]
    address = status.get("podIP", "")
    over = status.get("phase") in ("Succeeded", "Failed")
    if spec.get("hostNetwork") or over or not address or ":" in address:
        return None
    ports = tuple(
        NamedPort(port["name"], port.get("protocol", "TCP"), port["containerPort"])
        # Sidecars are init containers with a restart policy; their ports count too.
        for container in (*spec.get("containers", ()), *spec.get("initContainers", ()))
        for port in container.get("ports", ())
        if port.get("name")
    )
    return Pod(metadata["namespace"], metadata["name"], address, metadata.get("labels", {}), ports)


def policy(item: Mapping[str, Any]) -> Policy:
    spec, metadata = item.get("spec", {}), item["metadata"]
    # Left out, the types are Ingress, and Egress when there are egress rules.
    types = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    return Policy(
        metadata["namespace"],
        metadata["name"],
        _selector(spec.get("podSelector")),
        _rules(spec.get("ingress"), "from") if "Ingress" in types else None,
        _rules(spec.get("egress"), "to") if "Egress" in types else None,
    )


def _rules(items: list[Mapping[str, Any]] | None, side: str) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            tuple(_peer(peer) for peer in item.get(side) or ()),
            tuple(_port(port) for port in item.get("ports") or ()),
        )
        for item in items or ()
    )


def _peer(item: Mapping[str, Any]) -> Peer:
    if block := item.get("ipBlock"):
        if ":" in block["cidr"]:
            # IPv6: no pod here has such an address, so the block holds nobody.
            return Peer(pods=Selector((Requirement("", "In", ()),)))
        excepted = tuple(IPv4Network(text, strict=False) for text in block.get("except") or ())
        return Peer(block=Block(IPv4Network(block["cidr"], strict=False), excepted))
    namespaces = item.get("namespaceSelector")
    return Peer(
        pods=_selector(item.get("podSelector")),
        namespaces=None if namespaces is None else _selector(namespaces),
    )


def _port(item: Mapping[str, Any]) -> Port:
    return Port(item.get("protocol", "TCP"), item.get("port"), item.get("endPort"))


def _selector(item: Mapping[str, Any] | None) -> Selector:
    item = item or {}
    labels = (Requirement(k, "In", (v,)) for k, v in (item.get("matchLabels") or {}).items())
    expressions = (
        Requirement(entry["key"], entry["operator"], tuple(entry.get("values") or ()))
        for entry in item.get("matchExpressions") or ()
    )
    return Selector((*labels, *expressions))
