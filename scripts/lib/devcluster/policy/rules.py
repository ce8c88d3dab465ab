"""Works out the nftables table for a set of pods and policies. Pure: objects in, text out.

Each pod that a policy selects gets a chain per direction: one line for every way it may be reached (or may
reach), and a refusal at the end. Two verdict maps lead from a packet's addresses to the chains, so a pod
without policies costs one lookup. The hooks: `forward` sees pod to pod and pod to world, `input` sees pod to
host (the API server is there, after service translation); packets of the host itself pass, for the kubelet
must reach its own pods whatever the policies say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address

from devcluster.policy.model import PROTOCOLS, Block, NamedPort, Peer, Pod, Policy, Port, Rule

TABLE = "skerry-dev-policy"
_REFUSE = "reject with icmp port-unreachable"


def table(
    pods: Sequence[Pod], namespaces: Mapping[str, Mapping[str, str]], policies: Sequence[Policy]
) -> str:
    """An nft script that replaces the whole table in one transaction.

    `namespaces` maps names to labels. Equal input in any order gives equal text.
    """
    compiler = _Compiler(sorted(pods, key=lambda one: one.address), namespaces)
    ordered = sorted(policies, key=lambda one: (one.namespace, one.name))
    chains: list[str] = []
    outgoing: list[str] = []
    incoming: list[str] = []
    for pod in compiler.pods:
        selecting = [
            one
            for one in ordered
            if one.namespace == pod.namespace and one.pods.matches(pod.labels)
        ]
        name = pod.address.replace(".", "_")
        ingress = [one.ingress for one in selecting if one.ingress is not None]
        if ingress:
            lines = compiler.ingress(pod, [rule for rules in ingress for rule in rules])
            chains.append(_chain(f"in_{name}", pod, [f"ip saddr {pod.address} return", *lines]))
            incoming.append(f"{pod.address} : jump in_{name}")
        egress = [one.egress for one in selecting if one.egress is not None]
        if egress:
            lines = compiler.egress(pod, [rule for rules in egress for rule in rules])
            chains.append(_chain(f"out_{name}", pod, [f"ip daddr {pod.address} return", *lines]))
            outgoing.append(f"{pod.address} : jump out_{name}")
    return "\n".join(
        [
            f"table ip {TABLE}",
            f"delete table ip {TABLE}",
            f"table ip {TABLE} {{",
            *chains,
            _map("outgoing", outgoing),
            _map("incoming", incoming),
            _hook("forward", ["ip saddr vmap @outgoing", "ip daddr vmap @incoming"]),
            _hook("input", ["ip saddr vmap @outgoing"]),
            "}",
            "",
        ]
    )


class _Compiler:
    """Turns rules into nft matches, knowing all pods and namespaces."""

    def __init__(self, pods: Sequence[Pod], namespaces: Mapping[str, Mapping[str, str]]) -> None:
        self.pods = pods
        self._namespaces = namespaces

    def ingress(self, pod: Pod, rules: Iterable[Rule]) -> list[str]:
        """Lines for who may reach the pod. A named port is one of the pod itself."""
        lines = []
        for rule in rules:
            ports = _port_matches(rule.ports, pod.ports)
            for peer in self._peer_matches(pod.namespace, rule.peers, "saddr"):
                lines += [" ".join((*peer, *port, "return")) for port in ports]
        return list(dict.fromkeys(lines))

    def egress(self, pod: Pod, rules: Iterable[Rule]) -> list[str]:
        """Lines for whom the pod may reach. A named port is one of the peer, so it depends on which."""
        lines = []
        for rule in rules:
            numbered = tuple(port for port in rule.ports if not isinstance(port.port, str))
            if numbered or not rule.ports:
                for peer in self._peer_matches(pod.namespace, rule.peers, "daddr"):
                    ports = _port_matches(numbered, ())
                    lines += [" ".join((*peer, *port, "return")) for port in ports]
            for port in rule.ports:
                if isinstance(port.port, str):
                    lines += self._named_egress(pod.namespace, rule.peers, port)
        return list(dict.fromkeys(lines))

    def _named_egress(self, namespace: str, peers: Sequence[Peer], wanted: Port) -> list[str]:
        addresses: dict[int, list[str]] = {}
        for pod in self.pods:
            if not peers or any(self._is_peer(namespace, peer, pod) for peer in peers):
                for number in _numbers_of(wanted, pod.ports):
                    addresses.setdefault(number, []).append(pod.address)
        return [
            f"ip daddr {_set(found)} {wanted.protocol.lower()} dport {number} return"
            for number, found in sorted(addresses.items())
        ]

    def _peer_matches(
        self, namespace: str, peers: Sequence[Peer], side: str
    ) -> list[tuple[str, ...]]:
        """For each alternative the matches that must all hold; an empty tuple matches everybody."""
        if not peers:
            return [()]
        matches = [_block_match(peer.block, side) for peer in peers if peer.block is not None]
        selecting = [peer for peer in peers if peer.block is None]
        addresses = [
            pod.address
            for pod in self.pods
            if any(self._is_peer(namespace, peer, pod) for peer in selecting)
        ]
        if addresses:
            matches.append((f"ip {side} {_set(addresses)}",))
        return matches

    def _is_peer(self, namespace: str, peer: Peer, pod: Pod) -> bool:
        if peer.block is not None:
            address = IPv4Address(pod.address)
            inside = address in peer.block.network
            return inside and not any(address in network for network in peer.block.excepted)
        assert peer.pods is not None
        if peer.namespaces is None:
            return pod.namespace == namespace and peer.pods.matches(pod.labels)
        labels = self._namespaces.get(pod.namespace)
        return (
            labels is not None and peer.namespaces.matches(labels) and peer.pods.matches(pod.labels)
        )


def _block_match(block: Block, side: str) -> tuple[str, ...]:
    inside = [f"ip {side} {block.network}"] if block.network.prefixlen else []
    return (*inside, *(f"ip {side} != {network}" for network in block.excepted))


def _port_matches(ports: Sequence[Port], named: Sequence[NamedPort]) -> list[tuple[str, ...]]:
    """One match per protocol; [()] when every port is meant, [] when none is (a name nobody has)."""
    if not ports:
        return [()]
    matches: list[tuple[str, ...]] = []
    for protocol in PROTOCOLS:
        wanted = [port for port in ports if port.protocol == protocol]
        if any(port.port is None for port in wanted):
            matches.append((f"ip protocol {protocol.lower()}",))
            continue
        ranges: list[tuple[int, int]] = []
        for port in wanted:
            if isinstance(port.port, str):
                ranges += [(number, number) for number in _numbers_of(port, named)]
            elif port.port is not None:
                ranges.append((port.port, port.end or port.port))
        if ranges:
            matches.append((f"{protocol.lower()} dport {_set(_ranges(ranges))}",))
    return matches


def _numbers_of(wanted: Port, named: Sequence[NamedPort]) -> list[int]:
    return [
        port.number
        for port in named
        if (port.name, port.protocol) == (wanted.port, wanted.protocol)
    ]


def _ranges(ranges: Iterable[tuple[int, int]]) -> list[str]:
    """Sorted and merged: nft refuses a set whose intervals overlap."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return [str(first) if first == last else f"{first}-{last}" for first, last in merged]


def _set(elements: Iterable[str]) -> str:
    return "{ " + ", ".join(dict.fromkeys(elements)) + " }"


def _chain(name: str, pod: Pod, lines: Sequence[str]) -> str:
    body = "".join(f"    {line}\n" for line in (*lines, _REFUSE))
    return f"  chain {name} {{\n    # {pod.namespace}/{pod.name}\n{body}  }}"


def _map(name: str, elements: Sequence[str]) -> str:
    body = f" elements = {{ {', '.join(elements)} }};" if elements else ""
    return f"  map {name} {{ type ipv4_addr : verdict;{body} }}"


def _hook(name: str, lines: Sequence[str]) -> str:
    body = "".join(f"    {line}\n" for line in ("ct state established,related accept", *lines))
    return f"  chain {name} {{\n    type filter hook {name} priority filter; policy accept;\n{body}  }}"
