"""The last look at finished manifests: only what is known not to reach the host may be in them.

The model was checked already; this catches a mistake of the converter itself before anything is
applied, so it allows what is listed and refuses the rest. The namespace's Pod Security admission is
the third net.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agent.compose.diagnostics import Report
from agent.compose.metadata import PREFIX
from agent.compose.origin import NOWHERE
from agent.compose.result import Manifest
from agent.compose.security import BASELINE_CAPABILITIES, SAFE_SYSCTLS, refused_address

KINDS = frozenset(
    {
        *("Secret", "ConfigMap", "PersistentVolumeClaim", "Service", "Deployment", "Job"),
        *("CronJob", "NetworkPolicy"),
    }
)
_POD = frozenset(
    {
        *("automountServiceAccountToken", "enableServiceLinks", "restartPolicy", "containers"),
        *("initContainers", "volumes", "securityContext", "shareProcessNamespace", "hostname"),
        *("terminationGracePeriodSeconds", "hostAliases", "dnsConfig", "nodeSelector", "affinity"),
    }
)
_CONTAINER = frozenset(
    {
        *("name", "image", "imagePullPolicy", "command", "args", "workingDir", "env", "envFrom"),
        *("ports", "resources", "startupProbe", "readinessProbe", "livenessProbe", "lifecycle"),
        *("stdin", "tty", "securityContext", "volumeMounts"),
    }
)
_POD_SECURITY = frozenset(
    {
        *("seccompProfile", "runAsUser", "runAsGroup", "fsGroup", "fsGroupChangePolicy"),
        *("supplementalGroups", "sysctls"),
    }
)
_CONTAINER_SECURITY = frozenset(
    {
        *("allowPrivilegeEscalation", "capabilities", "readOnlyRootFilesystem", "runAsNonRoot"),
        *("runAsUser", "runAsGroup"),
    }
)
_PORT = frozenset({"name", "containerPort", "protocol"})
_MOUNT = frozenset({"name", "mountPath", "subPath", "readOnly"})
_SERVICE = frozenset({"type", "selector", "clusterIP", "ports", "sessionAffinity"})
_SERVICE_PORT = frozenset({"name", "port", "targetPort", "protocol", "appProtocol"})
_CLAIM = frozenset({"accessModes", "resources", "storageClassName"})
_POD_VOLUMES = frozenset({"configMap", "secret", "emptyDir", "persistentVolumeClaim", "image"})
_NODE_LABELS = frozenset({"kubernetes.io/arch"})
_OUR_KEYS = (f"{PREFIX}/", f"alias.{PREFIX}/", f"network.{PREFIX}/")
_COMMON_LABELS = frozenset({"app.kubernetes.io/managed-by", "app.kubernetes.io/name"})


def verify(manifests: Iterable[Manifest], namespace: str, report: Report) -> None:
    """Report everything that is not allowed, which is a defect of the converter, and objects that
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


def pod_template(manifest: Manifest) -> Mapping[str, Any] | None:
    """The pod template inside a workload manifest, None for other kinds."""
    spec = manifest.get("spec", {})
    if manifest["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    elif manifest["kind"] not in {"Deployment", "Job"}:
        return None
    template: Mapping[str, Any] = spec["template"]
    return template


def _problems(manifest: Manifest, namespace: str) -> Iterable[str]:
    kind, metadata, spec = manifest["kind"], manifest["metadata"], manifest.get("spec", {})
    if kind not in KINDS:
        yield f"kind {kind}"
    if metadata.get("namespace") != namespace:
        yield "another namespace"
    yield from _metadata_problems(metadata)
    if kind == "Service":
        yield from _service_problems(spec)
    elif kind == "NetworkPolicy":
        yield from _policy_problems(spec)
    elif kind == "PersistentVolumeClaim":
        yield from _others(spec, _CLAIM, "a claim with")
    elif kind == "Secret" and manifest.get("type", "Opaque") != "Opaque":
        yield f"a Secret of type {manifest['type']}"
    template = pod_template(manifest)
    if template is not None:
        yield from _metadata_problems(template.get("metadata", {}))
        yield from _pod_problems(template["spec"])


def _metadata_problems(metadata: Mapping[str, Any]) -> Iterable[str]:
    if metadata.get("ownerReferences") or metadata.get("finalizers"):
        yield "owners or finalizers"
    for part in ("labels", "annotations"):
        for name in metadata.get(part, {}):
            prefix = name.rpartition("/")[0]
            reserved = prefix == "" or prefix.endswith(("kubernetes.io", "k8s.io"))
            ours = name.startswith(_OUR_KEYS) or name in _COMMON_LABELS
            if not ours and (part == "labels" or reserved):
                yield f"{part} {name}"


def _service_problems(spec: Mapping[str, Any]) -> Iterable[str]:
    if spec.get("type") != "ClusterIP":
        yield "a Service that is not ClusterIP"
    if not spec.get("selector"):
        yield "a Service without a selector"
    yield from _others(spec, _SERVICE, "a Service with")
    for port in spec.get("ports", []):
        yield from _others(port, _SERVICE_PORT, "a Service port with")


def _policy_problems(spec: Mapping[str, Any]) -> Iterable[str]:
    """Policies may only join pods of the app: each one adds to what the namespace allows."""
    yield from _others(
        spec, frozenset({"podSelector", "policyTypes", "ingress", "egress"}), "a policy with"
    )
    for rule in (*spec.get("ingress", []), *spec.get("egress", [])):
        peers = [*rule.get("from", []), *rule.get("to", [])]
        if not peers or any(set(peer) != {"podSelector"} for peer in peers):
            yield "a policy that opens more than the app"


def _pod_problems(spec: Mapping[str, Any]) -> Iterable[str]:
    yield from _others(spec, _POD, "a pod with")
    if spec.get("automountServiceAccountToken") is not False:
        yield "a service account token"
    security = spec.get("securityContext", {})
    yield from _others(security, _POD_SECURITY, "a pod's securityContext with")
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "another seccomp profile"
    for sysctl in security.get("sysctls", []):
        if sysctl["name"] not in SAFE_SYSCTLS:
            yield f"sysctl {sysctl['name']}"
    for volume in spec.get("volumes", []):
        yield from (f"a {kind} volume" for kind in set(volume) - {"name"} - _POD_VOLUMES)
    for alias in spec.get("hostAliases", []):
        if refused_address(alias["ip"]):
            yield f"host alias {alias['ip']}"
    for server in spec.get("dnsConfig", {}).get("nameservers", []):
        if refused_address(server):
            yield f"name server {server}"
    yield from _others(spec.get("nodeSelector", {}), _NODE_LABELS, "a node selector with")
    yield from _others(spec.get("affinity", {}), frozenset({"podAffinity"}), "an affinity with")
    for container in (*spec.get("initContainers", []), *spec["containers"]):
        yield from _container_problems(container)


def _container_problems(container: Mapping[str, Any]) -> Iterable[str]:
    yield from _others(container, _CONTAINER, "a container with")
    security = container.get("securityContext", {})
    yield from _others(security, _CONTAINER_SECURITY, "a securityContext with")
    capabilities = security.get("capabilities", {})
    yield from _others(capabilities, frozenset({"add", "drop"}), "capabilities with")
    for name in capabilities.get("add", []):
        if name not in BASELINE_CAPABILITIES:
            yield f"capability {name}"
    for port in container.get("ports", []):
        yield from _others(port, _PORT, "a port with")
    for mount in container.get("volumeMounts", []):
        yield from _others(mount, _MOUNT, "a mount with")
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        # Network probes are made by the node, from its own network.
        if not {"httpGet", "tcpSocket", "grpc"}.isdisjoint(container.get(name, {})):
            yield f"a {name} over the network"
    for event, handler in container.get("lifecycle", {}).items():
        if event not in ("postStart", "preStop") or set(handler) != {"exec"}:
            yield f"lifecycle {event} that is no command"
    for source in container.get("env", []):
        if set(source) - {"name", "value"}:
            yield "a variable from elsewhere"
    for source in container.get("envFrom", []):
        if set(source) - {"secretRef"}:
            yield "variables from elsewhere"


def _others(found: Mapping[str, Any], allowed: frozenset[str], what: str) -> Iterable[str]:
    yield from (f"{what} {key}" for key in found if key not in allowed)
