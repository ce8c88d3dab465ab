"""Takes away everything a node leaves on a host, and nothing else.

What is ours is told by marks of our own: the cgroup, the run folder in every mount and shim's command line, the
names of our nftables tables and of our network. `down` calls `remove_leftovers` after stopping the
programs; `up` calls it before starting containerd, so that a crash or an unclean reboot heals.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from devcluster import host, hostports
from devcluster.errors import DevClusterError
from devcluster.settings import Settings

POLICY_TABLE = "skerry-dev-policy"
# kube-proxy names its tables so; `up` refuses to run beside another Kubernetes node.
PROXY_TABLES = ("ip kube-proxy", "ip6 kube-proxy")
SHIM_SOCKETS = Path("/run/containerd/s")
CONTAINER_LOGS = Path("/var/log/containers")
DEVICE_PLUGINS = Path("/var/lib/kubelet/device-plugins")
GRACE = 3.0


def remove_leftovers(settings: Settings, plugins: Path | None) -> None:
    """Remove pods' processes, mounts, interfaces, rules, cgroups and runtime files of a stopped node.

    `plugins` is the folder of the CNI plugins, None when there are none and so nothing of theirs either.
    """
    sandboxes = _sandboxes(settings)
    _end_pods(settings)
    _unmount_all(settings)
    hostports.forget(plugins)
    _remove_tables()
    host.remove_cgroup(settings, time.monotonic() + 15)
    _remove_runtime_files(settings, sandboxes)
    _wait_for_interfaces(settings)


def _end_pods(settings: Settings) -> None:
    """Ask every process of a pod to end, then make it; the shims last, for they hold the pods' rest."""
    deadline = time.monotonic() + GRACE
    asked: set[int] = set()
    while pids := host.cgroup_processes(settings):
        late = time.monotonic() > deadline
        for pid in pids if late else pids - asked:
            _signal(pid, signal.SIGKILL if late else signal.SIGTERM)
        asked |= pids
        if time.monotonic() > deadline + 20:
            raise DevClusterError(f"processes of pods do not end: {sorted(pids)[:10]}")
        time.sleep(0.05)
    for pid in _shims(settings):
        _signal(pid, signal.SIGKILL)
    while _shims(settings):
        if time.monotonic() > deadline + 30:
            raise DevClusterError(f"containerd's shims do not end: {_shims(settings)[:10]}")
        time.sleep(0.02)


def _shims(settings: Settings) -> list[int]:
    socket = str(settings.containerd_socket).encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                argv = (entry / "cmdline").read_bytes().split(b"\0")
                if socket in argv and argv[0].endswith(b"containerd-shim-runc-v2"):
                    found.append(int(entry.name))
    return found


def _unmount_all(settings: Settings) -> None:
    roots = (settings.state / "kubelet", settings.state / "containerd", settings.run)
    deadline = time.monotonic() + 10
    while mounts := [
        path for path in _mount_points() if any(Path(path).is_relative_to(root) for root in roots)
    ]:
        for path in reversed(mounts):
            late = time.monotonic() > deadline - 5
            subprocess.run(
                ["umount", *(["--lazy"] if late else []), path], capture_output=True, check=False
            )
        if time.monotonic() > deadline:
            raise DevClusterError(f"cannot be unmounted: {', '.join(mounts[:5])}")


def _mount_points() -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4].encode().decode("unicode_escape") for line in lines]


def _remove_tables() -> None:
    for table in (*PROXY_TABLES, f"ip {POLICY_TABLE}"):
        host.nft(f"table {table}\ndelete table {table}\n")
    host.remove_masquerade()


def _sandboxes(settings: Settings) -> list[str]:
    tasks = settings.run / "containerd" / "io.containerd.runtime.v2.task" / "k8s.io"
    return [path.name for path in tasks.glob("*")]


def _remove_runtime_files(settings: Settings, sandboxes: list[str]) -> None:
    for sandbox in sandboxes:
        # containerd puts the sockets of all shims in one place, named by a digest of what they belong to.
        digest = hashlib.sha256(
            f"{settings.containerd_socket}/k8s.io/{sandbox}".encode()
        ).hexdigest()
        (SHIM_SOCKETS / digest).unlink(missing_ok=True)
    for folder in (SHIM_SOCKETS, SHIM_SOCKETS.parent):
        with contextlib.suppress(OSError):
            folder.rmdir()
    shutil.rmtree(settings.run, ignore_errors=True)
    for link in CONTAINER_LOGS.glob("*"):
        if link.is_symlink() and link.readlink().is_relative_to(settings.state / "pod-logs"):
            link.unlink()
    (DEVICE_PLUGINS / "kubelet.sock").unlink(missing_ok=True)
    for folder in (CONTAINER_LOGS, DEVICE_PLUGINS, DEVICE_PLUGINS.parent):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _wait_for_interfaces(settings: Settings) -> None:
    """The kernel removes a pod's interface a moment after its network namespace."""
    deadline = time.monotonic() + 10
    prefix = settings.node_pod_cidr.rsplit(".", 1)[0] + "."
    while True:
        routes = subprocess.run(
            ["ip", "-json", "-4", "route", "show"], text=True, capture_output=True, check=True
        ).stdout
        left = {
            route["dev"]
            for route in json.loads(routes)
            if route["dst"].startswith(prefix) and route["dev"].startswith("veth")
        }
        if not left:
            return
        if time.monotonic() > deadline:
            for name in left:
                subprocess.run(["ip", "link", "delete", name], capture_output=True, check=False)
            return
        time.sleep(0.05)


def _signal(pid: int, sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sign)
