"""What tenants may not ask for, where it depends on the value.

Runs on the merged and interpolated model. Keys that are refused whatever they say are in the table
of keys; `verify` looks again at the finished manifests. The measure is Pod Security `baseline`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from agent.compose.fields import Fields
from agent.compose.model import Network, Project, Service, Volume
from agent.compose.yaml_nodes import shorten

BASELINE_CAPABILITIES = frozenset(
    {
        *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD"),
        *("NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
    }
)
SAFE_SYSCTLS = frozenset(
    {
        *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies"),
        *("net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start"),
        *("net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time"),
        *("net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl"),
        "net.ipv4.tcp_keepalive_probes",
    }
)
_REMOVE = "Remove the line."


def check_project(project: Project, services: dict[str, Service]) -> None:
    """Report everything in the model that a tenant may not have."""
    for service in services.values():
        _check_namespaces(service.fields)
        _check_capabilities(service.fields)
        _check_security_options(service.fields)
        _check_sysctls(service.fields)
        _check_hosts(service.fields)
        _check_dns(service.fields)
        _check_image(service)
    for network in project.networks.values():
        _check_network(network)
    for volume in project.volumes.values():
        _check_volume(volume)


def capability(name: str) -> str:
    """The capability as Kubernetes writes it: `cap_net_admin` is NET_ADMIN."""
    return name.strip().upper().removeprefix("CAP_")


def refused_address(address: str) -> str | None:
    """Why an address may not be given a host name or asked for DNS, None if it may.

    Loopback is the pod itself and allowed. Private ranges are where nodes and pods live.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return "it is not an IP address"
    mapped = getattr(ip, "ipv4_mapped", None)
    ip = mapped or ip
    if ip.is_loopback:
        return None
    if ip.is_link_local:
        return "link-local addresses reach the node's metadata"
    if ip.is_private or ip.is_multicast or ip.is_unspecified or ip.is_reserved:
        return "private addresses reach the nodes and the cluster"
    return None


def _check_namespaces(fields: Fields) -> None:
    mode = fields.text("network_mode")
    if mode == "host":
        fields.error(
            "CMP301", "network_mode", '"host" gives access to the node\'s network', "Use ports."
        )
    elif mode.startswith("container:"):
        fields.error(
            "CMP301", "network_mode", "containers outside the app are not reachable", _REMOVE
        )
    elif mode not in ("", "bridge", "default", "none") and not mode.startswith("service:"):
        fields.error("CMP301", "network_mode", f'"{shorten(mode)}" is not available', _REMOVE)
    private: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
        ("pid", "the node's processes", lambda v: v == "" or v.startswith("service:")),
        (
            "ipc",
            "the node's shared memory",
            lambda v: v in ("", "private", "shareable", "none") or v.startswith("service:"),
        ),
        ("uts", "the node's host name", lambda v: v == ""),
        ("userns_mode", "the node's users", lambda v: v == ""),
        ("cgroup", "the node's cgroups", lambda v: v in ("", "private")),
    )
    for key, what, harmless in private:
        value = fields.text(key)
        if value == "host":
            fields.error("CMP313", key, f'"host" gives access to {what}', _REMOVE)
        elif not harmless(value):
            fields.error("CMP313", key, f'"{shorten(value)}" is not available', _REMOVE)


def _check_capabilities(fields: Fields) -> None:
    for index, node in enumerate(fields.texts("cap_add")):
        name = capability(node.text)
        if name not in BASELINE_CAPABILITIES:
            fields.report.error(
                "CMP310",
                node.origin,
                f"{fields.at('cap_add')}[{index}]",
                f"capability {shorten(name)} is not allowed for tenants",
                "Remove the line; if the app needs it, ask the operator.",
            )


def _check_security_options(fields: Fields) -> None:
    for index, node in enumerate(fields.texts("security_opt")):
        option = node.text.replace(":", "=", 1)
        path = f"{fields.at('security_opt')}[{index}]"
        if option.startswith("no-new-privileges"):
            continue
        if option.startswith(("seccomp=", "apparmor=", "label=", "systempaths=")):
            fields.report.error(
                "CMP318",
                node.origin,
                path,
                f'"{shorten(option)}" changes the confinement of the container',
                _REMOVE,
            )
        else:
            fields.report.error(
                "CMP318", node.origin, path, f'"{shorten(option)}" is not available', _REMOVE
            )


def _check_sysctls(fields: Fields) -> None:
    for name, _, origin in fields.pairs("sysctls"):
        if name not in SAFE_SYSCTLS:
            fields.report.error(
                "CMP314",
                origin,
                f"{fields.at('sysctls')}.{shorten(name)}",
                "this sysctl is not among the safe ones of Kubernetes",
                "Remove the line; if the app needs it, ask the operator.",
            )


def _check_hosts(fields: Fields) -> None:
    hosts = fields.child("extra_hosts")
    if hosts is None:
        return
    for name in hosts.node.entries:
        for node in hosts.texts(name):
            path = hosts.at(shorten(name))
            if node.text == "host-gateway":
                fields.report.error(
                    "CMP303", node.origin, path, '"host-gateway" is the node', _REMOVE
                )
            elif reason := refused_address(node.text):
                fields.report.error(
                    "CMP303", node.origin, path, f'"{shorten(node.text)}": {reason}', _REMOVE
                )


def _check_dns(fields: Fields) -> None:
    for index, node in enumerate(fields.texts("dns")):
        if reason := refused_address(node.text):
            fields.report.error(
                "CMP303",
                node.origin,
                f"{fields.at('dns')}[{index}]",
                f'"{shorten(node.text)}": {reason}',
                _REMOVE,
            )


def _check_image(service: Service) -> None:
    if service.fields.text("pull_policy") == "never":
        service.fields.error(
            "CMP319",
            "pull_policy",
            '"never" would run whatever another tenant left on the node',
            "Use missing or always.",
        )


def _check_network(network: Network) -> None:
    driver = network.fields.text("driver")
    if driver in ("host", "macvlan", "ipvlan"):
        network.fields.error(
            "CMP301", "driver", f'"{driver}" gives access to the node\'s network', _REMOVE
        )
    elif driver not in ("", "bridge", "overlay", "default", "none"):
        network.fields.error(
            "CMP301", "driver", f'the network driver "{shorten(driver)}" is not available', _REMOVE
        )


def _check_volume(volume: Volume) -> None:
    fields = volume.fields
    driver = fields.text("driver")
    if driver not in ("", "local"):
        fields.error(
            "CMP331",
            "driver",
            f'the volume driver "{shorten(driver)}" is not available',
            "Remove the line, or set x-skerry.storage_class.",
        )
    options = fields.child("driver_opts")
    if options is None or not any(options.text(name) for name in options.node.entries):
        return
    device = options.text("device")
    is_path = device.startswith("/") and not device.startswith("//")
    if is_path or "bind" in options.text("o"):
        fields.error(
            "CMP330",
            "driver_opts",
            f'"{shorten(device)}" is a host path, which tenants do not have',
            "Remove driver_opts; the volume then lives in the cluster's storage.",
        )
    elif options.text("type") == "tmpfs":
        fields.error(
            "CMP331", "driver_opts", "a tmpfs volume cannot be shared", "Use tmpfs: in the service."
        )
    else:
        fields.error(
            "CMP331",
            "driver_opts",
            "volumes of other file systems are the operator's",
            "Remove driver_opts, or set x-skerry.storage_class.",
        )
