"""The last look at finished manifests: nothing that reaches the host may be in them.

The model was checked already; this catches a mistake of the converter itself before anything is
applied. The namespace's Pod Security admission is the third net.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agent.compose.diagnostics import Report
from agent.compose.origin import NOWHERE
from agent.compose.result import Manifest
from agent.compose.security import BASELINE_CAPABILITIES, SAFE_SYSCTLS

KINDS = frozenset(
    {
        *("Secret", "ConfigMap", "PersistentVolumeClaim", "Service", "Deployment", "Job"),
        *("CronJob", "NetworkPolicy"),
    }
)
_HOST_FIELDS = ("hostNetwork", "hostPID", "hostIPC", "serviceAccountName", "nodeName")
_POD_VOLUMES = frozenset({"configMap", "secret", "emptyDir", "persistentVolumeClaim"})


def verify(manifests: Iterable[Manifest], namespace: str, report: Report) -> None:
    """Report every forbidden field, which is a defect of the converter, and objects that
    collide."""
    seen: set[str] = set()
    for manifest in manifests:
        name = f"{manifest['kind']}/{manifest['metadata']['name']}"
        if name in seen:
            report.error(
                "CMP130", NOWHERE, name, "two things of the file become this object", "Rename one."
            )
        seen.add(name)
        for problem in _problems(manifest, namespace):
            report.error(
                "CMP399", NOWHERE, name, f"refused by the final check: {problem}", "Report this."
            )


def pod_spec(manifest: Manifest) -> dict[str, Any] | None:
    """The pod spec inside a workload manifest, None for other kinds."""
    spec = manifest.get("spec", {})
    if manifest["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    elif manifest["kind"] not in {"Deployment", "Job"}:
        return None
    pod: dict[str, Any] = spec["template"]["spec"]
    return pod


def _problems(manifest: Manifest, namespace: str) -> Iterable[str]:
    if manifest["kind"] not in KINDS:
        yield f"kind {manifest['kind']}"
    if manifest["metadata"].get("namespace") != namespace:
        yield "another namespace"
    if manifest["kind"] == "Service" and manifest["spec"].get("type") != "ClusterIP":
        yield "a Service that is not ClusterIP"
    spec = pod_spec(manifest)
    if spec is not None:
        yield from _pod_problems(spec)


def _pod_problems(spec: dict[str, Any]) -> Iterable[str]:
    yield from (field for field in _HOST_FIELDS if spec.get(field))
    if spec.get("automountServiceAccountToken") is not False:
        yield "a service account token"
    for sysctl in spec.get("securityContext", {}).get("sysctls", []):
        if sysctl["name"] not in SAFE_SYSCTLS:
            yield f"sysctl {sysctl['name']}"
    for volume in spec.get("volumes", []):
        yield from (f"a {kind} volume" for kind in set(volume) - {"name"} - _POD_VOLUMES)
    for container in (*spec.get("initContainers", []), *spec["containers"]):
        security = container.get("securityContext", {})
        if security.get("privileged"):
            yield "privileged"
        if security.get("procMount"):
            yield "procMount"
        for name in security.get("capabilities", {}).get("add", []):
            if name not in BASELINE_CAPABILITIES:
                yield f"capability {name}"
        if any("hostPort" in port for port in container.get("ports", [])):
            yield "a host port"
