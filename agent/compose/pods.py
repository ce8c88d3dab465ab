"""A service, and those that share its pod → the pod template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent.compose.assembly import Assembly
from agent.compose.containers import container, hook_containers
from agent.compose.context import Context
from agent.compose.copying import TOOLS_VOLUME, copy_container, layout_container
from agent.compose.diagnostics import Report
from agent.compose.grants import mount_grants
from agent.compose.hooks import grace_seconds
from agent.compose.host_names import MAX_SERVERS, host_names
from agent.compose.labels import pod_annotations
from agent.compose.metadata import CHECKSUM, PREFIX, Metadata
from agent.compose.model import Project, Service
from agent.compose.names import checksum, object_name
from agent.compose.pod_volumes import PodVolumes, merge_volumes
from agent.compose.users import extra_groups, user_and_group
from agent.compose.waiting import HOSTS_VOLUME, prepare_container, seed_containers
from agent.compose.yaml_nodes import shorten

MAX_GRACE = 300
_ARCHITECTURES = {
    "amd64": "amd64",
    "x86_64": "amd64",
    "arm64": "arm64",
    "aarch64": "arm64",
    "arm": "arm",
}


class Pods:
    """Builds pod templates; collects nothing, so the order of services does not matter."""

    def __init__(
        self, project: Project, context: Context, metadata: Metadata, report: Report
    ) -> None:
        self._project = project
        self._context = context
        self._metadata = metadata
        self._report = report

    def template(self, assembly: Assembly, restart_policy: str) -> dict[str, Any]:
        """`template` of a workload: the service's container first, then those of its members."""
        pod = assembly.pod
        shared = len(pod) > 1
        processes = any(
            "pid" in member.service.joins or member.service.fields.flag("init") for member in pod
        )
        for member in pod:
            mount_grants(member, self._project, self._metadata, self._report)
            if member.hosts:
                member.volumes.volumes.append({"name": HOSTS_VOLUME, "emptyDir": {}})
                member.volumes.mounts.append(
                    {
                        "name": HOSTS_VOLUME,
                        "mountPath": "/etc/hosts",
                        "subPath": "hosts",
                        "readOnly": True,
                    }
                )
            if member is not assembly:
                _rename_own_volumes(member)
        volumes = merge_volumes([member.volumes for member in pod])
        containers = [container(member, self._report, shared, processes) for member in pod]
        waits = list(dict.fromkeys(wait for member in pod for wait in member.waits))
        image = self._context.wait_image
        security = self._security(pod, bool(volumes.claims), shared)
        # What depends on another service finds the volumes they share as that one left them.
        init = [
            *seed_containers(volumes.seeds, image),
            *prepare_container(waits, assembly.hosts, image),
            *self._copies(list(zip(pod, containers, strict=True)), volumes, security),
        ]
        for member, main in zip(pod, containers, strict=True):
            init += hook_containers(member, main)
        spec: dict[str, Any] = {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": restart_policy,
            **({"shareProcessNamespace": True} if processes else {}),
            "securityContext": security,
            **({"initContainers": init} if init else {}),
            "containers": containers,
            **({"volumes": volumes.volumes} if volumes.volumes else {}),
        }
        grace = self._grace(pod)
        if grace is not None:
            spec["terminationGracePeriodSeconds"] = grace
        spec |= _host_names(pod)
        spec |= self._placement(assembly)
        annotations: dict[str, str] = {}
        for member in pod:
            annotations |= pod_annotations(member.service.fields)
        annotations[CHECKSUM] = _checksum(pod)
        if assembly.restarts_with:
            annotations[f"{PREFIX}/restarts-with"] = assembly.restarts_with
        return {
            "metadata": {"labels": self._labels(assembly), "annotations": annotations},
            "spec": spec,
        }

    def _copies(
        self,
        pod: Sequence[tuple[Assembly, dict[str, Any]]],
        volumes: PodVolumes,
        security: dict[str, Any],
    ) -> list[dict[str, Any]]:
        """What fills empty volumes from the images of the containers; none if nothing is to be."""
        found = [
            copy_container(member.name, member.volumes.copies, main, security.get("fsGroup"))
            for member, main in pod
            if member.volumes.copies
        ]
        if not found:
            return []
        volumes.volumes.append({"name": TOOLS_VOLUME, "emptyDir": {}})
        return [layout_container(self._context.wait_image), *found]

    def _security(
        self, pod: tuple[Assembly, ...], has_claims: bool, shared: bool
    ) -> dict[str, Any]:
        security: dict[str, Any] = {"seccompProfile": {"type": "RuntimeDefault"}}
        groups: dict[int, None] = {}
        sysctls: dict[str, str] = {}
        for member in pod:
            service = member.service
            user, group = user_and_group(service)
            if user is not None and not shared:
                security["runAsUser"] = user
            if group is not None and not shared:
                security["runAsGroup"] = group
            owner = service.hints.group or (group if group is not None else user)
            if owner and has_claims and "fsGroup" not in security:
                security["fsGroup"] = owner
                security["fsGroupChangePolicy"] = "OnRootMismatch"
            groups |= dict.fromkeys(extra_groups(service))
            sysctls |= {name: node.text for name, node, _ in service.fields.pairs("sysctls")}
        if groups:
            security["supplementalGroups"] = list(groups)
        if sysctls:
            security["sysctls"] = [
                {"name": name, "value": value} for name, value in sysctls.items()
            ]
        return security

    def _grace(self, pod: tuple[Assembly, ...]) -> int | None:
        asking = [m.service for m in pod if m.service.fields.has("stop_grace_period")]
        for service in asking:
            if grace_seconds(service) > MAX_GRACE:
                service.fields.warning(
                    "CMP404", "stop_grace_period", f"services have at most {MAX_GRACE}s to stop"
                )
        return min(max(map(grace_seconds, asking)), MAX_GRACE) if asking else None

    def _placement(self, assembly: Assembly) -> dict[str, Any]:
        found: dict[str, Any] = {}
        architectures = {
            name: member.service
            for member in assembly.pod
            if (name := _architecture(member.service))
        }
        if architectures:
            (architecture, _), *others = architectures.items()
            found["nodeSelector"] = {"kubernetes.io/arch": architecture}
            for _, service in others:
                service.fields.error(
                    "CMP363", "platform", f"the other containers of its pod need {architecture}"
                )
        if assembly.volume_group:
            # A ReadWriteOnce volume is usable by several pods on one node only.
            match = {
                f"{PREFIX}/volume-group": assembly.volume_group,
                f"{PREFIX}/app": self._metadata.app,
            }
            term = {
                "labelSelector": {"matchLabels": match},
                "topologyKey": "kubernetes.io/hostname",
            }
            found["affinity"] = {
                "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
            }
        return found

    def _labels(self, assembly: Assembly) -> dict[str, str]:
        labels = self._metadata.labels(assembly.name)
        for member in assembly.pod:
            labels |= {f"alias.{PREFIX}/{alias}": "true" for alias in member.aliases}
        labels |= assembly.network_labels
        if assembly.volume_group:
            labels[f"{PREFIX}/volume-group"] = assembly.volume_group
        return labels


def _architecture(service: Service) -> str:
    """The processor the platform names; empty for any. One that no node has is an error."""
    platform = service.fields.text("platform")
    if not platform:
        return ""
    system, _, machine = platform.partition("/")
    machine = machine.partition("/")[0] or system
    architecture = _ARCHITECTURES.get(machine)
    if system in ("windows", "wasi", "wasip1") or architecture is None:
        service.fields.error(
            "CMP363", "platform", f'no node runs "{shorten(platform)}"', "Use linux/amd64."
        )
        return ""
    return architecture


def _rename_own_volumes(member: Assembly) -> None:
    """Memory volumes belong to one container; their names must not meet those of another."""
    own = {
        volume["name"]: object_name(volume["name"], member.name)
        for volume in member.volumes.volumes
        if "emptyDir" in volume and volume["name"] != HOSTS_VOLUME
    }
    for entry in (*member.volumes.volumes, *member.volumes.mounts):
        entry["name"] = own.get(entry["name"], entry["name"])


def _host_names(pod: tuple[Assembly, ...]) -> dict[str, Any]:
    """Those of the first service; addresses and name servers of all of them."""
    found = host_names(pod[0].service)
    for member in pod[1:]:
        other = host_names(member.service)
        found["hostAliases"] = [*found.get("hostAliases", []), *other.get("hostAliases", [])]
        dns = found.setdefault("dnsConfig", {})
        for key, values in other.get("dnsConfig", {}).items():
            known = [*dns.get(key, []), *(v for v in values if v not in dns.get(key, []))]
            dns[key] = known[:MAX_SERVERS] if key == "nameservers" else known
    return {key: value for key, value in found.items() if value}


def _checksum(pod: tuple[Assembly, ...]) -> str:
    parts: list[bytes] = []
    for member in pod:
        parts += [f"{key}={value}".encode() for key, value in member.environment.items()]
        parts += [b"", *member.volumes.contents]
    return checksum(b"\x00".join(parts))
