"""What a set of manifests means for each service, so that two converters can be compared.

Names of objects, labels and where a value is kept do not count; what the container gets does.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any

Manifest = Mapping[str, Any]
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod")


def meaning(manifests: Iterable[Manifest]) -> dict[str, dict[str, Any]]:
    """Service → aspect → value; aspects that are empty are left out."""
    objects = [m for m in manifests if m]
    by_name = {(m["kind"], m["metadata"]["name"]): m for m in objects}
    found: dict[str, dict[str, Any]] = {}
    for manifest in objects:
        if manifest["kind"] in _WORKLOADS:
            labels = manifest["metadata"].get("labels", {})
            name = labels.get("skerry.dev/service", manifest["metadata"]["name"])
            found[name] = _workload(manifest, by_name)
    for manifest in objects:
        name = manifest["metadata"]["name"]
        if manifest["kind"] == "Service":
            found.setdefault(name, {})["service"] = _service(manifest)
        elif manifest["kind"] in ("Ingress", "HorizontalPodAutoscaler", "NetworkPolicy"):
            found.setdefault(name, {})[manifest["kind"].lower()] = True
    return {
        name: {aspect: value for aspect, value in aspects.items() if value not in (None, {}, [])}
        for name, aspects in found.items()
    }


def _workload(manifest: Manifest, by_name: Mapping[tuple[str, str], Manifest]) -> dict[str, Any]:
    kind = manifest["kind"]
    spec = manifest["spec"]
    if kind == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    pod = spec if kind == "Pod" else spec["template"]["spec"]
    container = pod["containers"][0]
    environment = _environment(container, by_name)
    security = {**pod.get("securityContext", {}), **container.get("securityContext", {})}
    return {
        "kind": kind,
        "containers": len(pod["containers"]) if len(pod["containers"]) > 1 else None,
        "schedule": manifest["spec"].get("schedule"),
        "image": container["image"],
        "pull": container.get("imagePullPolicy"),
        "command": _expanded(container.get("command"), environment),
        "args": _expanded(container.get("args"), environment),
        "env": environment,
        "ports": sorted(
            f"{p['containerPort']}/{p.get('protocol', 'TCP')}" for p in container.get("ports", ())
        ),
        "host ports": [p["hostPort"] for p in container.get("ports", ()) if "hostPort" in p],
        "mounts": _mounts(pod, container, by_name),
        "replicas": spec.get("replicas", 1),
        "resources": _quantities(container.get("resources", {})),
        "restart": pod.get("restartPolicy", "Always"),
        **{
            f"{probe} probe": _probe(container.get(f"{probe}Probe"))
            for probe in ("liveness", "readiness")
        },
        "user": security.get("runAsUser"),
        "group": security.get("runAsGroup"),
        "groups": security.get("supplementalGroups"),
        "fs group": security.get("fsGroup"),
        "capabilities": security.get("capabilities"),
        "privileged": security.get("privileged"),
        "read-only root": security.get("readOnlyRootFilesystem"),
        "working dir": container.get("workingDir"),
        "tty": container.get("tty") or None,
        "stdin": container.get("stdin") or None,
        "host name": pod.get("hostname"),
        "grace": pod.get("terminationGracePeriodSeconds"),
        "placement": bool(pod.get("affinity") or pod.get("topologySpreadConstraints")) or None,
        "init containers": [
            c["image"] for c in pod.get("initContainers", ()) if not c["name"].startswith("skerry-")
        ],
    }


def _environment(
    container: Manifest, by_name: Mapping[tuple[str, str], Manifest]
) -> dict[str, str]:
    """With Kubernetes' own expansion of `$(NAME)`, which envFrom does not have."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        for kind, ref in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
            if ref in source:
                found |= _texts(by_name.get((kind, source[ref]["name"]), {}))
    for entry in container.get("env", ()):
        if "value" in entry:
            found[entry["name"]] = expanded(entry["value"], found)
        elif "valueFrom" in entry:
            ((reference, at),) = entry["valueFrom"].items()
            kind = {"configMapKeyRef": "ConfigMap", "secretKeyRef": "Secret"}.get(reference)
            values = _texts(by_name.get((kind or "", at.get("name", "")), {}))
            found[entry["name"]] = values.get(at.get("key", ""), f"({reference})")
        else:
            found[entry["name"]] = ""
    return found


def _texts(manifest: Manifest) -> dict[str, str]:
    data = dict(manifest.get("data") or {})
    if manifest.get("kind") == "Secret":
        data = {key: base64.b64decode(value).decode() for key, value in data.items()}
    return data


def expanded(text: str, environment: Mapping[str, str]) -> str:
    """As the kubelet does it: `$$` is `$`, `$(NAME)` is replaced where it is known."""

    def one(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return environment.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([-._a-zA-Z0-9]+)\)", one, text)


def _expanded(words: list[str] | None, environment: Mapping[str, str]) -> list[str] | None:
    return None if words is None else [expanded(word, environment) for word in words]


def _mounts(
    pod: Manifest, container: Manifest, by_name: Mapping[tuple[str, str], Manifest]
) -> dict[str, str]:
    volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
    found: dict[str, str] = {}
    for mount in container.get("volumeMounts", ()):
        volume = volumes.get(mount["name"], {"name": "", "claim template": {}})
        (kind,) = volume.keys() - {"name"} or {"emptyDir"}
        text = {"persistentVolumeClaim": "claim"}.get(kind, kind)
        if kind in ("configMap", "secret"):
            text = "files " + ", ".join(_contents(kind, volume[kind], mount, by_name))
        elif mount.get("readOnly"):
            text += " read-only"
        found[mount["mountPath"]] = text
    return found


def _contents(
    kind: str, source: Manifest, mount: Manifest, by_name: Mapping[tuple[str, str], Manifest]
) -> list[str]:
    """What the files say, in short; their names below the mount if it is a folder."""
    name = source.get("name") or source.get("secretName", "")
    held = by_name.get(("ConfigMap" if kind == "configMap" else "Secret", name), {})
    texts = _texts(held)
    items = source.get("items") or [{"key": key, "path": key} for key in texts]
    only = mount.get("subPath")
    chosen = [item for item in items if only is None or item["path"] == only] or items
    return sorted(
        (f"{item['path']}=" if only is None else "") + repr(texts.get(item["key"], "?"))[:60]
        for item in chosen
    )


def _quantities(resources: Manifest) -> dict[str, Any]:
    units = {"m": 0.001, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 10**3, "M": 10**6, "G": 10**9}
    found: dict[str, Any] = {}
    for group, values in resources.items():
        for name, value in values.items():
            match = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(value))
            if match:
                found[f"{group}.{name}"] = float(match[1]) * units.get(match[2], 1)
    return found


def _probe(probe: Manifest | None) -> dict[str, Any] | None:
    if not probe:
        return None
    return {key: value for key, value in probe.items() if value} | (
        {"exec": probe["exec"]["command"]} if "exec" in probe else {}
    )


def _service(manifest: Manifest) -> dict[str, Any]:
    spec = manifest["spec"]
    ports = [
        f"{p['port']}→{p.get('targetPort', p['port'])}/{p.get('protocol', 'TCP')}"
        for p in spec.get("ports", ())
    ]
    kind = "headless" if spec.get("clusterIP") == "None" else spec.get("type", "ClusterIP")
    return {"type": kind, "ports": sorted(ports)}


def differences(
    theirs: Mapping[str, Mapping[str, Any]], ours: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[Any, Any]]:
    """`service.aspect` → (their value, our value), for whatever is not the same."""
    found: dict[str, tuple[Any, Any]] = {}
    for service in theirs.keys() | ours.keys():
        left, right = theirs.get(service, {}), ours.get(service, {})
        for aspect in left.keys() | right.keys():
            if left.get(aspect) != right.get(aspect):
                found[f"{service}.{aspect}"] = (left.get(aspect), right.get(aspect))
    return found
