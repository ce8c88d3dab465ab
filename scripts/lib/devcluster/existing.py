"""Is there a cluster to use already? `$KUBECONFIG` first, then a K3s on this machine.

`up` asks this before it builds anything.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from devcluster.settings import Settings

K3S_KUBECONFIG = Path("/etc/rancher/k3s/k3s.yaml")


@dataclass(frozen=True, slots=True)
class Existing:
    """A reachable cluster that is not ours. `kind` is "kubeconfig" or "k3s"."""

    kind: str
    kubeconfig: Path
    version: str


def find(settings: Settings, kubectl: Path, say: Callable[[str], None]) -> Existing | None:
    """The cluster to use instead of building one, or None."""
    external = settings.external_kubeconfig
    if external is not None and not _is_ours(external, settings):
        if version := server_version(kubectl, external):
            return Existing("kubeconfig", external, version)
        say(f"KUBECONFIG={external} cannot be reached; going on without it")
    if K3S_KUBECONFIG.exists() and (version := server_version(kubectl, K3S_KUBECONFIG)):
        return Existing("k3s", K3S_KUBECONFIG, version)
    return None


def server_version(kubectl: Path, kubeconfig: Path) -> str | None:
    """The version the API server answers with, or None when it does not answer."""
    argv = [str(kubectl), "--kubeconfig", str(kubeconfig), "--request-timeout=5s", "get", "--raw"]
    done = subprocess.run([*argv, "/version"], text=True, capture_output=True, check=False)
    if done.returncode:
        return None
    _, _, rest = done.stdout.partition('"gitVersion": "')
    return rest.partition('"')[0] or None


def _is_ours(kubeconfig: Path, settings: Settings) -> bool:
    # Exporting our own kubeconfig must not turn the dev cluster into somebody else's.
    if kubeconfig.resolve() == settings.kubeconfig.resolve():
        return True
    try:
        return kubeconfig.read_bytes() == settings.kubeconfig.read_bytes()
    except OSError:
        return False
