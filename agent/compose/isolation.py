"""Networks of the file → NetworkPolicies, where services are on different ones.

Policies only add up, so separation needs a namespace whose own policies leave pods with the label
`skerry.dev/isolated` alone, and do not let pods with `skerry.dev/internal` reach the internet.
`Context.network_isolation` says that this is so; without it nothing is made and a finding says that
the separation does not hold.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.compose.assembly import Assembly
from agent.compose.metadata import PREFIX, Metadata
from agent.compose.model import Project
from agent.compose.names import unique_label
from agent.compose.result import Manifest

ISOLATED = f"{PREFIX}/isolated"
INTERNAL = f"{PREFIX}/internal"
DEFAULT_NETWORK = "default"


def memberships(assembly: Assembly) -> frozenset[str]:
    """The networks of a service; one that names none is on `default`, `network_mode: none` on
    none."""
    if assembly.service.fields.text("network_mode") == "none":
        return frozenset()
    return frozenset(a.network for a in assembly.service.networks) or frozenset({DEFAULT_NETWORK})


def is_separated(project: Project, assemblies: Mapping[str, Assembly]) -> bool:
    """Whether the file keeps services apart, or one of them from the internet."""
    distinct = {memberships(assembly) for assembly in assemblies.values()}
    return len(distinct) > 1 or any(_is_internal(project, m) for m in distinct)


def isolate(
    project: Project, assemblies: Mapping[str, Assembly], metadata: Metadata
) -> list[Manifest]:
    """Label the pods by their networks and make a policy for each network."""
    networks: dict[str, None] = {}
    for assembly in assemblies.values():
        joined = memberships(assembly)
        assembly.network_labels = {
            ISOLATED: "true",
            **{_label(network): "true" for network in sorted(joined)},
        }
        if _is_internal(project, joined):
            assembly.network_labels[INTERNAL] = "true"
        networks.update(dict.fromkeys(sorted(joined)))
    return [_policy(network, metadata) for network in networks]


def _is_internal(project: Project, joined: frozenset[str]) -> bool:
    """Whether all networks of a service are internal (on none counts too)."""
    return all(
        network in project.networks and project.networks[network].internal for network in joined
    )


def _label(network: str) -> str:
    return f"network.{PREFIX}/{unique_label(network)}"


def _policy(network: str, metadata: Metadata) -> Manifest:
    members = {"matchLabels": {f"{PREFIX}/app": metadata.app, _label(network): "true"}}
    spec = {
        "podSelector": members,
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [{"podSelector": members}]}],
        "egress": [{"to": [{"podSelector": members}]}],
    }
    return metadata.manifest(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        metadata.name("network", unique_label(network)),
        body={"spec": spec},
    )
