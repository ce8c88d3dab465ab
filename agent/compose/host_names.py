"""What a pod calls itself and how it finds others beside the cluster's DNS.

Which addresses are allowed is decided in `security`.
"""

from __future__ import annotations

from typing import Any

from agent.compose.fields import Fields
from agent.compose.model import Service
from agent.compose.names import dns_label, is_dns_label, is_dns_name
from agent.compose.yaml_nodes import shorten

MAX_SERVERS = 2
"""Kubernetes takes three, one of which is the cluster's own."""


def host_names(service: Service) -> dict[str, Any]:
    """`hostname`, `hostAliases` and `dnsConfig` of the pod, as far as the service asks for them."""
    fields = service.fields
    found: dict[str, Any] = {}
    hostname = fields.text("hostname")
    if hostname:
        found["hostname"] = dns_label(hostname)
        if not is_dns_label(hostname):
            fields.warning(
                "CMP405",
                "hostname",
                f'inside the container the host name is "{found["hostname"]}"',
            )
    hosts = fields.child("extra_hosts")
    if hosts is not None:
        by_address: dict[str, list[str]] = {}
        for name in hosts.node.entries:
            if not _is_host_name(name, hosts, name):
                continue
            for node in hosts.texts(name):
                by_address.setdefault(node.text, []).append(name.lower())
        if by_address:
            found["hostAliases"] = [
                {"ip": address, "hostnames": names} for address, names in by_address.items()
            ]
    dns: dict[str, Any] = {}
    servers = [node.text for node in fields.texts("dns")]
    if servers:
        dns["nameservers"] = servers[:MAX_SERVERS]
        fields.warning(
            "CMP416", "dns", "the servers are asked after the cluster's own, and at most two"
        )
    searches = [
        node.text
        for node in fields.texts("dns_search")
        if node.text != "." and _is_host_name(node.text, fields, "dns_search")
    ]
    if searches:
        dns["searches"] = searches
    options = [node.text.partition(":") for node in fields.texts("dns_opt") if node.text]
    if options:
        dns["options"] = [
            {"name": name, **({"value": value} if value else {})} for name, _, value in options
        ]
    if dns:
        found["dnsConfig"] = dns
    return found


def _is_host_name(name: str, fields: Fields, key: str) -> bool:
    """Whether Kubernetes takes the name in hosts and search lists; reported if not."""
    if is_dns_name(name.lower()):
        return True
    fields.warning(
        "CMP134", key, f'"{shorten(name)}" is not a host name Kubernetes takes; it is left out'
    )
    return False
