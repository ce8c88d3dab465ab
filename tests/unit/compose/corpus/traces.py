"""Where each key of a service leaves its trace in the manifests: one small look for each key.

Written from the compose specification and Kubernetes' API, without the converter's table of keys.
A key without a look here must be named by a diagnostic.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.compose import Manifest, Plan
from tests.unit.compose import oracle

Tree = Any


@dataclass(frozen=True)
class Converted:
    """One service of the file and all that was made of it."""

    name: str
    file: Mapping[str, Tree]
    plan: Plan
    environment: Mapping[str, str]
    """What Compose would give the container."""

    @property
    def service(self) -> Mapping[str, Tree]:
        return self.file["services"][self.name] or {}

    def dns_name(self, name: str) -> str:
        return next(f.name for f in self.plan.services if f.original_name == name)

    @property
    def workload(self) -> Manifest:
        facts = next(f for f in self.plan.services if f.original_name == self.name)
        (found,) = (
            m
            for m in self.plan.manifests
            if m["kind"] == facts.workload and m["metadata"]["name"] == facts.workload_name
        )
        return found

    @property
    def template(self) -> Manifest:
        spec = self.workload["spec"]
        return (spec["jobTemplate"]["spec"] if "jobTemplate" in spec else spec)["template"]

    @property
    def pod(self) -> Manifest:
        return self.template["spec"]

    @property
    def container(self) -> Manifest:
        containers = self.pod["containers"]
        own = self.dns_name(self.name)
        return next((found for found in containers if found["name"] == own), containers[0])

    @property
    def mounts(self) -> dict[str, Manifest]:
        return {mount["mountPath"]: mount for mount in self.container.get("volumeMounts", ())}

    def objects(self, kind: str) -> dict[str, Manifest]:
        return {m["metadata"]["name"]: m for m in self.plan.manifests if m["kind"] == kind}

    def resolves(self, name: str) -> bool:
        """Whether a name reaches some service of the app."""
        aliases = {alias.hostname for alias in self.plan.host_aliases}
        return name.lower() in self.objects("Service") or name in aliases


def _undoubled(words: list[str]) -> list[str]:
    return [word.replace("$$", "$") for word in words]


def _words(value: Tree) -> list[str]:
    return shlex.split(value) if isinstance(value, str) else [str(item) for item in value or ()]


def _argv(c: Converted) -> bool:
    """Entrypoint and command together: an empty entrypoint moves the command to its place."""
    expected = _words(c.service.get("entrypoint")) + _words(c.service.get("command"))
    made = [*c.container.get("command", ()), *c.container.get("args", ())]
    return _undoubled(made) == expected


def _environment(c: Converted) -> bool:
    sources = c.container.get("envFrom", ())
    data: dict[str, str] = {}
    for source in sources:
        secret = c.objects("Secret")[source["secretRef"]["name"]]["data"]
        data |= {key: base64.b64decode(value).decode() for key, value in secret.items()}
    return data == dict(c.environment)


def _numbers(text: str) -> list[int]:
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def _ports(c: Converted, key: str) -> bool:
    wanted: set[tuple[int, str]] = set()
    for port in c.service[key] or ():
        if isinstance(port, Mapping):
            wanted.add((int(port["target"]), str(port.get("protocol") or "tcp").upper()))
            continue
        numbers, _, protocol = str(port).partition("/")
        target = numbers.rpartition(":")[2]
        wanted |= {(number, (protocol or "tcp").upper()) for number in _numbers(target)}
    service = c.objects("Service").get(c.dns_name(c.name))
    if service is None:  # a Job has none
        return c.workload["kind"] != "Deployment"
    return wanted <= {(p["targetPort"], p["protocol"]) for p in service["spec"].get("ports", ())}


def volumes(c: Converted, item: Tree) -> bool:
    if isinstance(item, Mapping):
        target, read_only = item["target"], item.get("read_only") == "true"
    else:
        parts = item.split(":")
        target = parts[1] if len(parts) > 1 else parts[0]
        read_only = "ro" in ",".join(parts[2:]).split(",")
    mount = c.mounts.get(target.rstrip("/") or "/")
    return mount is not None and (not read_only or mount.get("readOnly") is True)


def _volumes_from(c: Converted) -> bool:
    wanted, left, seen = set[str](), [c.name], set[str]()
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        service = c.file["services"][name]
        left += [item.partition(":")[0] for item in service.get("volumes_from") or ()]
        wanted |= {item.split(":")[-1] for item in service.get("volumes") or ()}
    return wanted <= c.mounts.keys()


def _healthcheck(c: Converted) -> bool:
    check = c.service["healthcheck"] or {}
    test = check.get("test")
    off = check.get("disable") == "true" or test in ("NONE", ["NONE"])
    if off:
        return "readinessProbe" not in c.container
    if isinstance(test, str):
        command = ["/bin/sh", "-c", test]
    elif test and test[0] == "CMD-SHELL":
        command = ["/bin/sh", "-c", *test[1:]]
    else:
        command = [str(word) for word in (test or ())[1:]]
    probes = [c.container.get(f"{kind}Probe") for kind in ("readiness", "startup")]
    return bool(command) and all(p and p["exec"]["command"] == command for p in probes)


def _waves(c: Converted) -> dict[str, int]:
    return {
        f.original_name: index
        for f in c.plan.services
        for index, wave in enumerate(c.plan.waves)
        if any(
            m["kind"] == f.workload and m["metadata"]["name"] == f.workload_name
            for m in wave.manifests
        )
    }


def _depends_on(c: Converted) -> bool:
    dependencies = c.service["depends_on"] or {}
    if isinstance(dependencies, list):
        dependencies = {name: {} for name in dependencies}
    waits = [word for box in c.pod.get("initContainers", ()) for word in box.get("command", ())]
    waves = _waves(c)
    for name, options in dependencies.items():
        condition = (options or {}).get("condition", "service_started")
        if condition == "service_completed_successfully":
            if waves[name] >= waves[c.name]:
                return False
        else:
            word = "healthy" if condition == "service_healthy" else "started"
            host = c.dns_name(name)
            if not any(w.split()[:2] == [word, host] for w in waits):
                return False
    return True


def _restart(c: Converted) -> bool:
    return (c.workload["kind"] == "Deployment") == (
        c.service["restart"] in ("always", "unless-stopped")
    )


def _aliases(c: Converted) -> bool:
    networks = c.service["networks"]
    if not isinstance(networks, Mapping):
        return True
    return all(
        c.resolves(alias) for n in networks.values() for alias in (n or {}).get("aliases") or ()
    )


def _links(c: Converted) -> bool:
    return all(c.resolves(link.rpartition(":")[2]) for link in c.service["links"])


def _user(c: Converted) -> bool:
    wanted, _, group = c.service["user"].partition(":")
    security = c.pod["securityContext"]
    known = {"root": 0, "nobody": 65534, "postgres": security.get("runAsUser", -1)}
    user = int(wanted) if wanted.isdigit() else known[wanted]
    return security["runAsUser"] == user and (
        not group.isdigit() or security["runAsGroup"] == int(group)
    )


def _shares_a_pod(c: Converted, key: str) -> bool:
    _, _, other = c.service[key].partition(":")
    there = Converted(other, c.file, c.plan, {})
    return there.workload is c.workload and there.container is not c.container


def _capabilities(c: Converted, key: str) -> bool:
    made = c.container["securityContext"]["capabilities"]["add" if key == "cap_add" else "drop"]
    return made == [name.upper().removeprefix("CAP_") for name in c.service[key]]


def _grants(c: Converted, key: str) -> bool:
    folder = "/" if key == "configs" else "/run/secrets/"
    for grant in c.service[key]:
        long = {"source": grant} if isinstance(grant, str) else grant
        target = long.get("target") or long["source"]
        if (target if target.startswith("/") else folder + target) not in c.mounts:
            return False
    return True


def _flag(name: str) -> Callable[[Converted], bool]:
    key = {"stdin": "stdin_open"}.get(name, name)
    return lambda c: c.container.get(name, False) == (c.service[key].lower() == "true")


def _hosts(c: Converted) -> bool:
    made = {name for entry in c.pod.get("hostAliases", ()) for name in entry["hostnames"]}
    hosts = c.service["extra_hosts"]
    if isinstance(hosts, Mapping):
        return hosts.keys() <= made
    return all(host.replace("=", ":").partition(":")[0] in made for host in hosts)


def _pull(c: Converted) -> bool:
    wanted = {"always": "Always", "missing": "IfNotPresent", "if_not_present": "IfNotPresent"}
    return c.container.get("imagePullPolicy") == wanted.get(c.service["pull_policy"])


def _dns(c: Converted, key: str, name: str) -> bool:
    return set(oracle.texts(c.service[key])) <= set(c.pod.get("dnsConfig", {}).get(name, ()))


def _tmpfs(c: Converted) -> bool:
    targets = [text.partition(":")[0] for text in oracle.texts(c.service["tmpfs"])]
    memory = {v["name"] for v in c.pod["volumes"] if "Memory" in str(v.get("emptyDir"))}
    return all(c.mounts[target.rstrip("/")]["name"] in memory for target in targets)


KEYS: dict[str, Callable[[Converted], bool]] = {
    "image": lambda c: c.container["image"] == c.service["image"],
    "command": _argv,
    "entrypoint": _argv,
    "environment": _environment,
    "env_file": _environment,
    "ports": lambda c: _ports(c, "ports"),
    "expose": lambda c: _ports(c, "expose"),
    "volumes_from": _volumes_from,
    "healthcheck": _healthcheck,
    "depends_on": _depends_on,
    "restart": _restart,
    "container_name": lambda c: c.resolves(c.service["container_name"]),
    "hostname": lambda c: (
        c.resolves(c.service["hostname"]) and c.pod.get("hostname") == c.service["hostname"].lower()
    ),
    "networks": _aliases,
    "links": _links,
    "user": _user,
    "working_dir": lambda c: c.container["workingDir"] == c.service["working_dir"],
    "read_only": lambda c: (
        c.service["read_only"] == "false"
        or c.container["securityContext"]["readOnlyRootFilesystem"]
    ),
    "tty": _flag("tty"),
    "stdin_open": _flag("stdin"),
    "cap_add": lambda c: _capabilities(c, "cap_add"),
    "cap_drop": lambda c: _capabilities(c, "cap_drop"),
    "configs": lambda c: _grants(c, "configs"),
    "secrets": lambda c: _grants(c, "secrets"),
    "extra_hosts": _hosts,
    "pull_policy": _pull,
    "tmpfs": _tmpfs,
    "shm_size": lambda c: "/dev/shm" in c.mounts,
    "dns": lambda c: _dns(c, "dns", "nameservers"),
    "dns_search": lambda c: _dns(c, "dns_search", "searches"),
    "mem_limit": lambda c: "memory" in c.container["resources"]["limits"],
    "cpus": lambda c: "cpu" in c.container["resources"]["limits"],
    "mem_reservation": lambda c: "memory" in c.container["resources"]["requests"],
    "platform": lambda c: c.pod["nodeSelector"]["kubernetes.io/arch"] in c.service["platform"],
    "security_opt": lambda c: c.container["securityContext"]["allowPrivilegeEscalation"] is False,
    "group_add": lambda c: (
        [str(g) for g in c.pod["securityContext"]["supplementalGroups"]]
        == oracle.texts(c.service["group_add"])
    ),
    "sysctls": lambda c: (
        {s["name"] for s in c.pod["securityContext"]["sysctls"]}
        == oracle.pairs(c.service["sysctls"]).keys()
    ),
    "stop_grace_period": lambda c: c.pod["terminationGracePeriodSeconds"] > 0,
    "privileged": lambda c: c.service["privileged"] == "false",
    "scale": lambda c: str(c.workload["spec"]["replicas"]) == c.service["scale"],
    "network_mode": lambda c: (
        c.service["network_mode"] in ("bridge", "default") or _shares_a_pod(c, "network_mode")
    ),
    "pid": lambda c: _shares_a_pod(c, "pid") and c.pod["shareProcessNamespace"],
    "ipc": lambda c: _shares_a_pod(c, "ipc"),
    "init": lambda c: c.service["init"] == "false" or c.pod["shareProcessNamespace"],
    "runtime": lambda c: c.service["runtime"] == "runc",
}

DEPLOY: dict[str, Callable[[Converted, Tree], bool]] = {
    "replicas": lambda c, v: (
        c.workload["kind"] != "Deployment" or str(c.workload["spec"]["replicas"]) == v
    ),
    "mode": lambda c, v: v == "replicated",
    "endpoint_mode": lambda c, v: (
        (v == "dnsrr")
        == (c.objects("Service")[c.dns_name(c.name)]["spec"].get("clusterIP") == "None")
    ),
    "resources.limits.cpus": lambda c, v: "cpu" in c.container["resources"]["limits"],
    "resources.limits.memory": lambda c, v: "memory" in c.container["resources"]["limits"],
    "resources.reservations.cpus": lambda c, v: "cpu" in c.container["resources"]["requests"],
    "resources.reservations.memory": lambda c, v: "memory" in c.container["resources"]["requests"],
    "restart_policy.condition": lambda c, v: (
        (c.workload["kind"] == "Deployment") == (v in ("any", "always", "unless-stopped"))
    ),
    "restart_policy.max_attempts": lambda c, v: str(c.workload["spec"].get("backoffLimit")) == v,
    "update_config.parallelism": lambda c, v: "rollingUpdate" in c.workload["spec"]["strategy"],
    "update_config.order": lambda c, v: "rollingUpdate" in c.workload["spec"]["strategy"],
    "update_config.delay": lambda c, v: c.workload["spec"]["minReadySeconds"] > 0,
}
