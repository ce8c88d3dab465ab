"""`scripts/devcluster down`: stops everything `up` started and puts the host back as it was.

Data stay, so that the next `up` finds them; `--purge` deletes them. A cluster that is not ours is left alone.
"""

from __future__ import annotations

import shutil

from devcluster import addons, host, locks, teardown
from devcluster.cluster import BACKGROUND, Cluster

# The API server would wait a minute for watchers that are gone; the datastore has all it was given.
PATIENCE = 3.0
# Who might start something again goes first; containerd and the datastore last.
ORDER = (
    BACKGROUND,
    "helm-controller",
    "kubelet",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "network-policy",
    "kube-apiserver",
    "containerd",
    "etcd",
)


def down(cluster: Cluster, *, purge: bool) -> None:
    """Stop and clean up; also what was left by a crash. Raises DevClusterError when something resists."""
    settings = cluster.settings
    remembered = cluster.remembered()
    if remembered and remembered["kind"] != "own":
        cluster.display.line(
            f"the cluster in use ({remembered['kubeconfig']}) is not ours: it is left running"
        )
        cluster.forget()
        if not cluster.processes.pids():
            return
    if not settings.state.exists():
        cluster.display.line("nothing to stop")
        return
    host.require_root()
    waiting = "waiting for another devcluster command (pid {}); `kill` it to go on"
    with locks.held(settings.state / "lock", lambda pid: cluster.display.line(waiting.format(pid))):
        names = cluster.processes.names()
        for name in (*ORDER, *(name for name in names if name not in ORDER)):
            if cluster.processes.stop(name, PATIENCE):
                cluster.display.line(f"stopped {name}")
        tools = cluster.builds.find(cluster.recipes.tools)
        teardown.remove_leftovers(settings, tools and tools / "usr/lib/cni")
        host.remove_service_route(settings)
        host.remove_own_address()
        host.restore_sysctls(settings)
        addons.forget(cluster)
        cluster.forget()
        if purge:
            shutil.rmtree(settings.state)
            cluster.display.line(f"deleted {settings.state}")
