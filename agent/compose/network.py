"""Services, aliases and host names: how the services of an app find each other.

Every service gets a Service under its compose name, with ports if any are known and headless
otherwise; every other name (container_name, hostname, network aliases, links) gets one more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from agent.compose.assembly import Assembly
from agent.compose.containers import port_name
from agent.compose.diagnostics import Report
from agent.compose.metadata import ORIGINAL_NAME, PREFIX, Metadata
from agent.compose.model import Project
from agent.compose.names import is_dns_label
from agent.compose.nodes import ScalarNode
from agent.compose.result import HostAlias, Manifest
from agent.compose.yaml_nodes import shorten

_HOST_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}", re.ASCII)
_EXTERNAL_HINT = "The platform's front door reaches the service without it."


def service_manifests(assembly: Assembly, metadata: Metadata) -> list[Manifest]:
    """The Service of a service and one for each alias."""
    if not assembly.has_service:
        return []
    original = assembly.service.name
    annotations = {} if original == assembly.name else {ORIGINAL_NAME: original}
    own = metadata.manifest(
        "v1",
        "Service",
        assembly.name,
        assembly.name,
        annotations,
        {"spec": _spec(assembly, metadata.selector(assembly.pod_name))},
    )
    return [own]


def alias_manifests(assemblies: Iterable[Assembly], metadata: Metadata) -> list[Manifest]:
    """Services for the other names; services that share one share its traffic, as in Compose."""
    found: dict[str, Manifest] = {}
    for assembly in assemblies:
        for alias in assembly.aliases:
            if alias in found or not assembly.has_service:
                continue
            selector = {f"{PREFIX}/app": metadata.app, f"alias.{PREFIX}/{alias}": "true"}
            found[alias] = metadata.manifest(
                "v1", "Service", alias, assembly.name, {}, {"spec": _spec(assembly, selector)}
            )
    return list(found.values())


def add_aliases(assemblies: dict[str, Assembly], report: Report) -> tuple[HostAlias, ...]:
    """Decide the other names of all services.

    Names a Service can carry are put on the assemblies. The rest is returned, with the compose
    names that had to be changed, for `hostAliases`.
    """
    taken = {assembly.name for assembly in assemblies.values()}
    wanted: dict[str, list[tuple[ScalarNode, str]]] = {name: [] for name in assemblies}
    for name, assembly in assemblies.items():
        path = assembly.service.path
        wanted[name] += [(node, path) for node in assembly.service.aliases]
        for index, node in enumerate(assembly.service.fields.texts("links")):
            target, _, alias = node.text.partition(":")
            if alias and target in assemblies:
                linked = ScalarNode(alias, node.origin, plain=False)
                wanted[target].append((linked, f"{path}.links[{index}]"))
    hosts: dict[str, HostAlias] = {}
    for name, assembly in assemblies.items():
        if assembly.name != name.lower():
            hosts[name] = HostAlias(name, assembly.name)
        aliases: dict[str, None] = {}
        for node, path in wanted[name]:
            alias = node.text
            if alias.lower() == assembly.name or alias in hosts:
                continue
            if alias in taken:
                report.warning(
                    "CMP132",
                    node.origin,
                    path,
                    f'the name "{shorten(alias)}" is another service\'s and stays with it',
                )
            elif is_dns_label(alias.lower()) and alias[0].isalpha():
                # DNS does not tell upper from lower case.
                aliases[alias.lower()] = None
            elif _HOST_NAME.fullmatch(alias) is None:
                report.warning(
                    "CMP134", node.origin, path, f'"{shorten(alias)}" is not a host name'
                )
            else:
                hosts[alias] = HostAlias(alias, assembly.name)
        assembly.aliases = tuple(aliases)
    return tuple(hosts.values())


def check_networks(project: Project, assemblies: dict[str, Assembly], report: Report) -> None:
    """Report networks that are not defined or not part of the app."""
    for assembly in assemblies.values():
        for attachment in assembly.service.networks:
            if attachment.network not in project.networks and attachment.network != "default":
                report.error(
                    "CMP140",
                    attachment.origin,
                    attachment.path,
                    f'there is no network "{shorten(attachment.network)}"',
                    'Add it below the top-level "networks:".',
                )
    for network in project.networks.values():
        if network.external:
            network.fields.warning(
                "CMP320", "external", "an external network is not joined", _EXTERNAL_HINT
            )


def report_no_isolation(project: Project, assemblies: dict[str, Assembly], report: Report) -> None:
    """Say that what the file keeps apart is not kept apart."""
    for network in project.networks.values():
        if network.internal:
            network.fields.warning(
                "CMP322", "internal", "services on it can still reach the internet"
            )
    for assembly in assemblies.values():
        if assembly.service.fields.text("network_mode") == "none":
            assembly.service.fields.warning(
                "CMP305", "network_mode", "the network is not taken away from the service"
            )
    first = next(iter(project.networks.values()), None)
    if first is not None and not all(network.internal for network in project.networks.values()):
        report.warning(
            "CMP323",
            first.fields.node.origin,
            "networks",
            "services on different networks can reach each other within the app",
        )


def _spec(assembly: Assembly, selector: dict[str, str]) -> dict[str, Any]:
    spec: dict[str, Any] = {"type": "ClusterIP", "selector": selector}
    if assembly.headless:
        spec["clusterIP"] = "None"
    application = {
        (port.target, port.protocol): port.app_protocol
        for port in assembly.service.ports
        if port.app_protocol
    }
    ports: list[dict[str, Any]] = []
    for fact in assembly.ports:
        entry: dict[str, Any] = {
            "name": port_name(fact.port, fact.protocol),
            "port": fact.port,
            "targetPort": fact.port,
            "protocol": fact.protocol.upper(),
        }
        protocol = application.get((fact.port, fact.protocol))
        if protocol:
            entry["appProtocol"] = protocol
        ports.append(entry)
    if ports:
        spec["ports"] = ports
    return spec
