"""What the host must offer before a node can run on it: an address, forwarding, a cgroup, a few rules.

`up` calls the `ensure_*` functions, `down` the `remove_*` ones. Whatever is changed here is
written down first, so that `down` can put it back.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from devcluster.errors import DevClusterError
from devcluster.settings import Settings

# Given to the loopback interface of a host that has no address: every kernel has one, and pods reach it,
# for their packets are routed by the host.
OWN_ADDRESS = "10.44.0.1"
NAT_TABLE = "skerry-dev-nat"

# The kubelet and kube-proxy change these as well; remembering them here is what lets `down` undo it.
SYSCTLS = (
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
)
# Interfaces that belong to other virtual networks: their address is not how the host is reached.
VIRTUAL = ("lo", "docker", "br-", "cni", "veth", "virbr", "flannel", "podman", "tailscale", "wg")


def require_root() -> None:
    if os.geteuid() != 0:
        raise DevClusterError(
            "a node needs root: run this as root, or point KUBECONFIG at a cluster you have"
        )


def require_no_other_node(ours: set[int]) -> None:
    """Two kubelets or kube-proxies in one network take each other's rules away. Raises DevClusterError."""
    network = Path("/proc/self/ns/net").readlink()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in ours:
            continue
        try:
            name = (entry / "comm").read_text().strip()
            elsewhere = (entry / "ns/net").readlink() != network
        except OSError:
            continue  # it has ended
        if not elsewhere and name in ("kubelet", "kube-proxy", "k3s-server", "k3s-agent", "k3s"):
            raise DevClusterError(
                f"another Kubernetes node runs on this machine ({name}, pid {entry.name}): use it by "
                "pointing KUBECONFIG at it, or stop it first"
            )


def node_address(settings: Settings) -> str:
    """The IPv4 address pods reach this host at: the setting, the first real one, or one of our own."""
    if settings.node_ip:
        return settings.node_ip
    links = json.loads(_run("ip", "-json", "-4", "address", "show", "up"))
    for link in links:
        if link["ifname"].startswith(VIRTUAL):
            continue
        for address in link["addr_info"]:
            if address["scope"] == "global":
                return str(address["local"])
    if not _has_own_address():
        _run("ip", "address", "add", f"{OWN_ADDRESS}/32", "dev", "lo")
    return OWN_ADDRESS


def ensure_sysctls(settings: Settings) -> None:
    """Turn forwarding on, after writing the present values down."""
    record = settings.state / "host.json"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    known = json.loads(record.read_text()) if record.exists() else {}
    if known.get("boot") != boot:
        values = {name: _sysctl(name).read_text().strip() for name in SYSCTLS}
        record.write_text(json.dumps({"boot": boot, "sysctls": values}))
    _sysctl("net/ipv4/ip_forward").write_text("1\n")


def restore_sysctls(settings: Settings) -> None:
    record = settings.state / "host.json"
    if not record.exists():
        return
    known = json.loads(record.read_text())
    if known["boot"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip():
        for name, value in known["sysctls"].items():
            _sysctl(name).write_text(value + "\n")
    record.unlink()


def ensure_cgroup(settings: Settings) -> None:
    """Make the cgroup that every pod of this cluster lives under, in each hierarchy there is."""
    for hierarchy in _cgroup_hierarchies():
        folder = hierarchy / settings.cgroup
        folder.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            # In version 1 a new cpuset is empty and takes no process until it is filled.
            file = folder / name
            if file.exists() and not file.read_text().strip():
                file.write_text((hierarchy / name).read_text())


def cgroup_processes(settings: Settings) -> set[int]:
    """Pids of all processes below our cgroup."""
    pids: set[int] = set()
    for hierarchy in _cgroup_hierarchies():
        for file in (hierarchy / settings.cgroup).rglob("cgroup.procs"):
            try:
                pids.update(int(line) for line in file.read_text().split())
            except (FileNotFoundError, OSError):
                continue  # the group went away while we were reading
    return pids


def remove_cgroup(settings: Settings, deadline: float) -> None:
    """Remove our cgroup; the kernel lets go of the last processes a moment after their end."""
    for hierarchy in _cgroup_hierarchies():
        root = hierarchy / settings.cgroup
        while root.exists():
            children = [path for path in root.rglob("*") if path.is_dir()]
            try:
                for folder in sorted(children, key=lambda path: -len(path.parts)):
                    folder.rmdir()
                root.rmdir()
            except FileNotFoundError:
                continue
            except OSError as error:
                if time.monotonic() > deadline:
                    raise DevClusterError(f"the cgroup {root} does not empty: {error}") from error
                time.sleep(0.05)


def ensure_masquerade(settings: Settings) -> None:
    """Let pods reach the world under the host's address. A table of our own is removed in one stroke."""
    nft(
        f"""
        table ip {NAT_TABLE}
        delete table ip {NAT_TABLE}
        table ip {NAT_TABLE} {{
          chain postrouting {{
            type nat hook postrouting priority srcnat; policy accept;
            ip saddr {settings.pod_cidr} ip daddr != {settings.pod_cidr} fib daddr type != local masquerade
          }}
        }}
        """
    )


def remove_masquerade() -> None:
    nft(f"table ip {NAT_TABLE}\ndelete table ip {NAT_TABLE}\n")


def ensure_service_route(settings: Settings, address: str) -> None:
    """Without a default route the host itself could not address a service: give it a route to them."""
    probe = ["ip", "-4", "route", "get", settings.dns_service_ip]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        _run("ip", "route", "replace", settings.service_cidr, "dev", "lo", "src", address)


def remove_service_route(settings: Settings) -> None:
    if _run("ip", "-4", "route", "show", settings.service_cidr, "dev", "lo"):
        _run("ip", "route", "delete", settings.service_cidr, "dev", "lo")


def remove_own_address() -> None:
    if _has_own_address():
        _run("ip", "address", "delete", f"{OWN_ADDRESS}/32", "dev", "lo")


def nft(script: str) -> None:
    """Apply an nftables script in one transaction."""
    done = subprocess.run(
        ["nft", "-f", "-"], input=script, text=True, capture_output=True, check=False
    )
    if done.returncode:
        raise DevClusterError(f"nft refused a rule set: {done.stderr.strip()}")


def _has_own_address() -> bool:
    return f" {OWN_ADDRESS}/32 " in _run("ip", "-4", "address", "show", "dev", "lo")


def _cgroup_hierarchies() -> list[Path]:
    """Mount points of all hierarchies: version 2's, version 1's, or both where a host mixes them."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    return [Path(fields[1]) for fields in mounts if fields[2] in ("cgroup", "cgroup2")]


def _sysctl(name: str) -> Path:
    return Path("/proc/sys") / name


def _run(*argv: str) -> str:
    done = subprocess.run(argv, text=True, capture_output=True, check=False)
    if done.returncode:
        raise DevClusterError(f"`{' '.join(argv)}` failed: {done.stderr.strip()}")
    return done.stdout
