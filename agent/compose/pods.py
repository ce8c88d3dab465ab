"""A service → its pod template: the container, its security, its volumes, what it waits for."""

from __future__ import annotations

import re
from typing import Any

from agent.compose import images
from agent.compose.assembly import Assembly
from agent.compose.context import Context
from agent.compose.diagnostics import Report
from agent.compose.durations import ceil_seconds
from agent.compose.fields import Fields
from agent.compose.grants import mount_grants
from agent.compose.metadata import CHECKSUM, PREFIX, Metadata
from agent.compose.model import Project, Service
from agent.compose.names import checksum, dns_label, is_dns_label, is_dns_name
from agent.compose.probes import probes
from agent.compose.resources import resources
from agent.compose.result import WorkloadKind
from agent.compose.security import capability
from agent.compose.waiting import HOSTS_VOLUME, prepare_container, seed_containers
from agent.compose.yaml_nodes import shorten

MAX_GRACE = 300
_NUMBER = re.compile(r"\d{1,10}", re.ASCII)
_LARGEST_ID = (1 << 31) - 1
_ARCHITECTURES = {
    "amd64": "amd64",
    "x86_64": "amd64",
    "arm64": "arm64",
    "aarch64": "arm64",
    "arm": "arm",
}
_PULL_POLICIES = {
    "always": "Always",
    "missing": "IfNotPresent",
    "if_not_present": "IfNotPresent",
    "never": "IfNotPresent",
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
        """`template` of a workload."""
        service, volumes = assembly.service, assembly.volumes
        mount_grants(assembly, self._project, self._metadata, self._report)
        if assembly.hosts:
            volumes.volumes.append({"name": HOSTS_VOLUME, "emptyDir": {}})
            volumes.mounts.append(
                {
                    "name": HOSTS_VOLUME,
                    "mountPath": "/etc/hosts",
                    "subPath": "hosts",
                    "readOnly": True,
                }
            )
        security = self._pod_security(assembly)
        init = [
            *seed_containers(volumes.seeds, self._context.wait_image),
            *prepare_container(assembly.waits, assembly.hosts, self._context.wait_image),
        ]
        spec: dict[str, Any] = {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": restart_policy,
            "securityContext": security,
            **({"initContainers": init} if init else {}),
            "containers": [self._container(assembly)],
            **({"volumes": volumes.volumes} if volumes.volumes else {}),
        }
        grace = self._grace(service)
        if grace is not None:
            spec["terminationGracePeriodSeconds"] = grace
        spec |= self._host_names(service)
        spec |= self._placement(assembly)
        annotations = {CHECKSUM: self._checksum(assembly)}
        return {
            "metadata": {"labels": self._labels(assembly), "annotations": annotations},
            "spec": spec,
        }

    def _container(self, assembly: Assembly) -> dict[str, Any]:
        service = assembly.service
        fields = service.fields
        container: dict[str, Any] = {
            "name": self._container_name(assembly),
            "image": service.image,
        }
        policy = fields.text("pull_policy")
        if policy in _PULL_POLICIES:
            container["imagePullPolicy"] = _PULL_POLICIES[policy]
        elif policy == "build":
            fields.warning("CMP202", "pull_policy", "images are not built here; it is pulled")
        elif policy:
            container["imagePullPolicy"] = "Always"
            fields.info("CMP420", "pull_policy", "the image is pulled whenever a pod starts")
        container |= self._arguments(service)
        if fields.has("working_dir"):
            container["workingDir"] = fields.text("working_dir")
        if assembly.env_secret:
            container["envFrom"] = [{"secretRef": {"name": assembly.env_secret}}]
        if assembly.ports:
            container["ports"] = [
                {
                    "name": port_name(fact.port, fact.protocol),
                    "containerPort": fact.port,
                    "protocol": fact.protocol.upper(),
                }
                for fact in assembly.ports
            ]
        limits = resources(service)
        if limits:
            container["resources"] = limits
        if assembly.kind is WorkloadKind.DEPLOYMENT:
            container |= probes(service, self._report)
        elif service.healthcheck is not None and not service.healthcheck.disabled:
            fields.info("CMP243", "healthcheck", "a service that ends is not checked")
        for key, name in (("stdin_open", "stdin"), ("tty", "tty")):
            if fields.flag(key):
                container[name] = True
        security = self._container_security(service)
        if security:
            container["securityContext"] = security
        if assembly.volumes.mounts:
            container["volumeMounts"] = assembly.volumes.mounts
        return container

    def _container_name(self, assembly: Assembly) -> str:
        wanted = assembly.service.fields.text("container_name")
        return dns_label(wanted) if wanted else assembly.name

    def _arguments(self, service: Service) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        if service.entrypoint:
            found["command"] = [_escape(word) for word in service.entrypoint]
        elif service.entrypoint is not None:
            if service.command:
                found["command"] = [_escape(word) for word in service.command]
                return found
            service.fields.error(
                "CMP222",
                "entrypoint",
                "the image's entrypoint is cleared and there is no command",
                "Write a command.",
            )
        if service.command:
            found["args"] = [_escape(word) for word in service.command]
        elif service.command is not None and not service.entrypoint:
            service.fields.warning(
                "CMP222", "command", "an empty command does not clear the image's command"
            )
        return found

    def _container_security(self, service: Service) -> dict[str, Any]:
        fields = service.fields
        security: dict[str, Any] = {}
        options = [node.text.replace(":", "=", 1) for node in fields.texts("security_opt")]
        if any(option in ("no-new-privileges", "no-new-privileges=true") for option in options):
            security["allowPrivilegeEscalation"] = False
        add = [capability(node.text) for node in fields.texts("cap_add")]
        drop = [capability(node.text) for node in fields.texts("cap_drop")]
        capabilities = {
            key: list(dict.fromkeys(names))
            for key, names in (("add", add), ("drop", drop))
            if names
        }
        if capabilities:
            security["capabilities"] = capabilities
        if fields.flag("read_only"):
            security["readOnlyRootFilesystem"] = True
        return security

    def _pod_security(self, assembly: Assembly) -> dict[str, Any]:
        service = assembly.service
        security: dict[str, Any] = {"seccompProfile": {"type": "RuntimeDefault"}}
        user, group = self._user(service)
        if user is not None:
            security["runAsUser"] = user
        if group is not None:
            security["runAsGroup"] = group
        owner = group if group is not None else user
        if owner and assembly.volumes.claims:
            security["fsGroup"] = owner
            security["fsGroupChangePolicy"] = "OnRootMismatch"
        groups = self._groups(service)
        if groups:
            security["supplementalGroups"] = groups
        sysctls = [
            {"name": name, "value": node.text} for name, node, _ in service.fields.pairs("sysctls")
        ]
        if sysctls:
            security["sysctls"] = sysctls
        return security

    def _user(self, service: Service) -> tuple[int | None, int | None]:
        wanted = service.fields.text("user").strip()
        if not wanted:
            return None, None
        name, _, group = wanted.partition(":")
        user = _id(name, service.image)
        number = _id(group, service.image)
        if user is None or (group and number is None):
            service.fields.error(
                "CMP361",
                "user",
                f'the number of the user "{shorten(wanted)}" is not known here',
                "Write the number, as 1000:1000.",
            )
            return None, None
        return user, number

    def _groups(self, service: Service) -> list[int]:
        found: list[int] = []
        for node in service.fields.texts("group_add"):
            number = _id(node.text, "")
            if number is not None:
                found.append(number)
            else:
                service.fields.warning(
                    "CMP362",
                    "group_add",
                    f'the number of the group "{shorten(node.text)}" is not known here',
                    "Write the number.",
                )
        return found

    def _grace(self, service: Service) -> int | None:
        grace = service.fields.duration("stop_grace_period")
        if grace is None:
            return None
        seconds = ceil_seconds(grace)
        if seconds > MAX_GRACE:
            service.fields.warning(
                "CMP404", "stop_grace_period", f"services have at most {MAX_GRACE}s to stop"
            )
        return min(seconds, MAX_GRACE)

    def _host_names(self, service: Service) -> dict[str, Any]:
        fields = service.fields
        found: dict[str, Any] = {}
        hostname = fields.text("hostname")
        if hostname:
            found["hostname"] = dns_label(hostname)
            if not is_dns_label(hostname):
                fields.warning(
                    "CMP405",
                    "hostname",
                    f'inside the container the host name is "{found["hostname"]}"',
                )
        hosts = fields.child("extra_hosts")
        if hosts is not None:
            by_address: dict[str, list[str]] = {}
            for name in hosts.node.entries:
                if not self._is_host_name(name, hosts, name):
                    continue
                for node in hosts.texts(name):
                    by_address.setdefault(node.text, []).append(name.lower())
            if by_address:
                found["hostAliases"] = [
                    {"ip": address, "hostnames": names} for address, names in by_address.items()
                ]
        dns: dict[str, Any] = {}
        servers = [node.text for node in fields.texts("dns")]
        if servers:
            dns["nameservers"] = servers[:2]
            fields.warning(
                "CMP416", "dns", "the servers are asked after the cluster's own, and at most two"
            )
        searches = [
            node.text
            for node in fields.texts("dns_search")
            if node.text != "." and self._is_host_name(node.text, fields, "dns_search")
        ]
        if searches:
            dns["searches"] = searches
        options = [node.text.partition(":") for node in fields.texts("dns_opt") if node.text]
        if options:
            dns["options"] = [
                {"name": name, **({"value": value} if value else {})} for name, _, value in options
            ]
        if dns:
            found["dnsConfig"] = dns
        return found

    def _is_host_name(self, name: str, fields: Fields, key: str) -> bool:
        """Whether Kubernetes takes the name in hosts and search lists; reported if not."""
        if is_dns_name(name.lower()):
            return True
        fields.warning(
            "CMP134", key, f'"{shorten(name)}" is not a host name Kubernetes takes; it is left out'
        )
        return False

    def _placement(self, assembly: Assembly) -> dict[str, Any]:
        found: dict[str, Any] = {}
        platform = assembly.service.fields.text("platform")
        if platform:
            system, _, machine = platform.partition("/")
            machine = machine.partition("/")[0] or system
            architecture = _ARCHITECTURES.get(machine)
            if system in ("windows", "wasi", "wasip1") or architecture is None:
                assembly.service.fields.error(
                    "CMP363", "platform", f'no node runs "{shorten(platform)}"', "Use linux/amd64."
                )
            else:
                found["nodeSelector"] = {"kubernetes.io/arch": architecture}
        if assembly.volume_group:
            # A ReadWriteOnce volume is usable by several pods on one node only.
            match = {f"{PREFIX}/volume-group": assembly.volume_group, f"{PREFIX}/app": self._app}
            term = {
                "labelSelector": {"matchLabels": match},
                "topologyKey": "kubernetes.io/hostname",
            }
            found["affinity"] = {
                "podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
            }
        return found

    @property
    def _app(self) -> str:
        return self._metadata.app

    def _labels(self, assembly: Assembly) -> dict[str, str]:
        labels = self._metadata.labels(assembly.name)
        labels |= {f"alias.{PREFIX}/{alias}": "true" for alias in assembly.aliases}
        labels |= assembly.network_labels
        if assembly.volume_group:
            labels[f"{PREFIX}/volume-group"] = assembly.volume_group
        return labels

    def _checksum(self, assembly: Assembly) -> str:
        parts = [f"{key}={value}".encode() for key, value in assembly.environment.items()]
        return checksum(b"\x00".join([*parts, b"", *assembly.volumes.contents]))


def port_name(port: int, protocol: str) -> str:
    """Name of a port: unique within a service, at most 15 characters."""
    return f"p-{port}" if protocol == "tcp" else f"p-{port}-{protocol}"


def _id(name: str, image: str) -> int | None:
    """The number of a user or group; None if it is neither a valid number nor a known name."""
    if _NUMBER.fullmatch(name):
        return int(name) if int(name) <= _LARGEST_ID else None
    return images.user_id(name, image)


def _escape(word: str) -> str:
    """Kubernetes expands `$(NAME)` and `$$` in commands; compose's text is final already."""
    return word.replace("$", "$$")
