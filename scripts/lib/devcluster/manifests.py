"""Fills the manifests under `manifests/` and applies them with kubectl, server-side.

A name in `${…}` is filled from `values`; `$$` stands for a dollar. Applying again changes nothing
that is as it should be, so `up` simply always applies.
"""

from __future__ import annotations

import string
import subprocess
from collections.abc import Mapping
from pathlib import Path

from devcluster.errors import DevClusterError, NotReadyError
from devcluster.settings import Settings
from devcluster.versions import COREDNS, LOCAL_PATH_PROVISIONER, METRICS_SERVER

FOLDER = Path(__file__).with_name("manifests")
FIELD_MANAGER = "skerry-devcluster"


class Manifests:
    """Applies manifests to one cluster."""

    def __init__(self, kubectl: Path, kubeconfig: Path, values: Mapping[str, str]) -> None:
        self._kubectl = [str(kubectl), "--kubeconfig", str(kubeconfig)]
        self._values = values

    def apply(self, name: str) -> None:
        """Apply `manifests/<name>.yaml`. Raises DevClusterError with the API server's words."""
        template = string.Template((FOLDER / f"{name}.yaml").read_text())
        argv = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--field-manager",
            FIELD_MANAGER,
            "-f",
            "-",
        ]
        done = self._run(argv, template.substitute(self._values))
        if done.returncode:
            raise DevClusterError(f"{name}.yaml was not accepted: {done.stderr.strip()}")

    def wait_available(self, kind: str, name: str, condition: str, seconds: int) -> None:
        """Wait for a condition of one object in kube-system (or a node). Raises NotReadyError."""
        for event in ("create", f"condition={condition}"):
            argv = ["wait", f"{kind}/{name}", f"--for={event}", f"--timeout={seconds}s"]
            done = self._run([*argv, "--namespace", "kube-system"])
            if done.returncode == 0:
                continue
            raise NotReadyError(
                f"{kind} {name} is not {condition} after {seconds} s: {done.stderr.strip()}; "
                f"`kubectl -n kube-system describe {kind} {name}` tells more"
            )

    def _run(self, arguments: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
        argv = [*self._kubectl, *arguments]
        return subprocess.run(argv, input=text, text=True, capture_output=True, check=False)


def values(settings: Settings, *, resolvers: bool) -> dict[str, str]:
    """What the manifests are filled with. Without `resolvers` CoreDNS answers for the cluster alone."""
    return {
        "cluster_domain": settings.cluster_domain,
        "coredns_version": COREDNS,
        "dns_service_ip": settings.dns_service_ip,
        "forward": "forward . /etc/resolv.conf" if resolvers else "",
        "local_path_version": LOCAL_PATH_PROVISIONER,
        "metrics_server_version": METRICS_SERVER,
        "volumes": str(settings.state / "volumes"),
    }
