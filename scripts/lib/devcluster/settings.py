"""Where everything lies and which numbers are used. The only module that reads the environment.

`Settings.from_environment` is called once, by `cli`; everybody else is handed the result.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from devcluster.errors import DevClusterError

ABANDONED = 24 * 3600.0
REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class Settings:
    """Paths and numbers of one dev cluster. Nothing here changes while a command runs."""

    cache: Path
    state: Path
    run: Path
    repository: Path
    external_kubeconfig: Path | None
    node_ip: str | None
    api_port: int
    etcd_port: int
    etcd_peer_port: int
    cgroup: str = "skerry-dev"
    node_name: str = "skerry-dev"
    pod_cidr: str = "10.42.0.0/16"
    node_pod_cidr: str = "10.42.0.0/24"
    service_cidr: str = "10.43.0.0/16"
    api_service_ip: str = "10.43.0.1"
    dns_service_ip: str = "10.43.0.10"
    cluster_domain: str = "cluster.local"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Read `SKERRY_CACHE`, `SKERRY_STATE`, `SKERRY_DEVCLUSTER_*`, `XDG_CACHE_HOME` and `KUBECONFIG`.

        Raises DevClusterError when a port is not a number.
        """
        home = Path(environ.get("HOME", "/root"))
        caches = Path(environ.get("XDG_CACHE_HOME") or home / ".cache")
        state = Path(environ.get("SKERRY_STATE") or "/var/lib/skerry-dev")
        # Several entries are legal in KUBECONFIG; kubectl merges them, the first one decides.
        first = environ.get("KUBECONFIG", "").split(os.pathsep)[0]
        return cls(
            cache=Path(environ.get("SKERRY_CACHE") or caches / "skerry"),
            state=state / "devcluster",
            run=Path(environ.get("SKERRY_DEVCLUSTER_RUN") or "/run/skerry-dev"),
            repository=REPOSITORY,
            external_kubeconfig=Path(first) if first else None,
            node_ip=environ.get("SKERRY_DEVCLUSTER_NODE_IP") or None,
            api_port=_port(environ, "SKERRY_DEVCLUSTER_API_PORT", 6443),
            etcd_port=_port(environ, "SKERRY_DEVCLUSTER_ETCD_PORT", 12379),
            etcd_peer_port=_port(environ, "SKERRY_DEVCLUSTER_ETCD_PEER_PORT", 12380),
            cgroup=environ.get("SKERRY_DEVCLUSTER_CGROUP") or "skerry-dev",
        )

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kubeconfig"

    @property
    def logs(self) -> Path:
        return self.state / "log"

    @property
    def containerd_socket(self) -> Path:
        return self.run / "containerd" / "containerd.sock"

    def scratch(self) -> Path:
        """A folder for half-made things on the cache's own file system, so that a rename is atomic.

        What builds that were killed left there is removed after a day.
        """
        folder = self.cache / "tmp"
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            if time.time() - old.stat().st_mtime > ABANDONED:
                shutil.rmtree(old, ignore_errors=True)
        return Path(tempfile.mkdtemp(dir=folder))


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name, "")
    if not text:
        return default
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise DevClusterError(f"{name}={text!r} is not a port: give a number from 1 to 65535")
    return int(text)
