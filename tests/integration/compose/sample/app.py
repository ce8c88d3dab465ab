"""One app of the sample: deployed by the agent's own deployer, looked at from inside."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from agent.compose import Context, Plan, SourceFile, plan
from agent.kube import KubeClient, Manifest
from agent.workloads.conversion import ConversionSettings
from agent.workloads.deploy import Deployer, DeploySettings
from agent.workloads.environments import Environments
from agent.workloads.model import DeployRequest, EnvironmentSpec
from agent.workloads.rollout import RolloutPolicy
from tests.integration.compose.sample.probe import IMAGE, Told, probing
from tests.unit.compose import oracle

CLOCK = ("/etc/localtime", "/etc/timezone")
# What the container runtime and Kubernetes add to every environment.
ADDED = ("PATH", "HOSTNAME", "HOME", "TERM", "KUBERNETES_")
# Where Compose puts what has no absolute target.
GRANTS = {"configs": "/", "secrets": "/run/secrets"}
STARTED_AT_MOST = timedelta(seconds=30)
_FILES_AT_MOST = 1 << 18


@dataclass
class SampleApp:
    """A compose file of the corpus in a namespace of its own."""

    kube: KubeClient
    namespace: str
    path: Path

    def __post_init__(self) -> None:
        folder = self.path.parent
        self.files = {
            p.relative_to(folder).as_posix(): p.read_bytes()
            for p in folder.rglob("*")
            if p.is_file() and p.stat().st_size < _FILES_AT_MOST
        }
        self.variables = oracle.env_file(self.files.get(".env", b""), {})
        self.file = oracle.read(self.path.read_bytes(), self.variables)
        self.services: Mapping[str, Mapping[str, Any]] = self.file["services"]
        for kind in GRANTS:  # the corpus has the files that name them, not always their content
            for name, given in (self.file.get(kind) or {}).items():
                if "file" in given:
                    self.files.setdefault(_bundled(given), f"$the {name}\n".encode())
        context = Context(app="app", namespace=self.namespace, files=self.files)
        source = SourceFile(self.path.name, self.files[self.path.name])
        self.plan: Plan = plan([source], context)
        self.facts = {f.original_name: f for f in self.plan.services}

    async def deploy(self, round_: int) -> str:
        """Deploy, with pods of their own in every round; what went wrong, or nothing."""
        deployer = Deployer(
            self.kube,
            Environments(self.kube),
            probing(round_),
            DeploySettings(
                conversion=ConversionSettings(wait_image=IMAGE),
                rollout=RolloutPolicy(steady=0.5),
            ),
        )
        request = DeployRequest(
            environment=EnvironmentSpec(
                self.namespace, f"uid-{self.namespace}", "default", "sample", "test"
            ),
            app="app",
            app_uid="uid-app",
            revision=round_,
            deployment=f"deployment-{round_}",
            compose_files=(self.path.name,),
            files=self.files,
            progress_deadline=240,
        )
        outcome = await deployer.deploy(request, lambda *_: None)
        return "" if outcome.code == 0 else f"{outcome.reason}: {outcome.message}"

    async def pods(self, service: str) -> list[Manifest]:
        """The pods of a service that are not on their way out."""
        selector = f"skerry.dev/app=app,skerry.dev/service={self.facts[service].name}"
        found = await self.kube.list("v1", "Pod", self.namespace, selector)
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    async def jobs(self) -> list[Manifest]:
        return await self.kube.list("batch/v1", "Job", self.namespace, "skerry.dev/app=app")

    async def told(self, pod: Manifest) -> Told:
        """What the probe in a pod has said; waits until it is done."""
        log = b""
        async with asyncio.timeout(60):
            async for chunk in self.kube.logs(
                self.namespace,
                pod["metadata"]["name"],
                pod["spec"]["containers"][0]["name"],
                follow=True,
                timestamps=False,
            ):
                log += chunk
                if log.endswith(b"end\n"):
                    break
        return Told.read(log.decode())

    async def run(self, pod: Manifest, script: str) -> str:
        """What a shell script in the container of a pod writes."""
        session = await self.kube.exec(
            self.namespace,
            pod["metadata"]["name"],
            pod["spec"]["containers"][0]["name"],
            ["sh", "-c", script],
        )
        try:
            return b"".join([data async for _, data in session.output()]).decode()
        finally:
            await session.close()

    @property
    def staying(self) -> list[str]:
        """Services that are Deployments."""
        return [name for name, f in self.facts.items() if f.workload == "Deployment"]

    def expected_environment(self, service: str) -> dict[str, str]:
        return oracle.environment(self.services[service], self.files, self.variables)

    def expected_argv(self, service: str) -> list[str]:
        keys = self.services[service]
        return [
            word
            for key in ("entrypoint", "command")
            for word in (
                shlex.split(keys[key])
                if isinstance(keys.get(key), str)
                else map(str, keys.get(key) or ())
            )
        ]

    def expected_mounts(self, service: str) -> Iterator[str]:
        for source, target, _ in self._volumes(service):
            if source not in CLOCK:
                yield target
        for tmpfs in oracle.texts(self.services[service].get("tmpfs")):
            yield tmpfs.partition(":")[0]

    def named_volumes(self, service: str) -> Iterator[tuple[str, str]]:
        """Name and path of the volumes of the file that the service may write to."""
        for source, target, read_only in self._volumes(service):
            if source in (self.file.get("volumes") or {}) and not read_only:
                yield source, target

    def _volumes(self, service: str) -> Iterator[tuple[str, str, bool]]:
        """Source (empty for an anonymous volume), path and whether it is read-only."""
        for volume in self.services[service].get("volumes") or ():
            if isinstance(volume, str):
                source, colon, rest = volume.partition(":")
                target, _, mode = rest.partition(":")
                read_only = "ro" in mode.split(",")
                yield source if colon else "", (target or source).rstrip("/"), read_only
            else:
                read_only = volume.get("read_only") == "true"
                yield volume.get("source", ""), volume["target"].rstrip("/"), read_only

    def expected_grants(self, service: str) -> Iterator[tuple[str, bytes]]:
        """Path and content of the configs and secrets of a service that come from a file."""
        for kind, folder in GRANTS.items():
            for grant in self.services[service].get(kind) or ():
                source = grant if isinstance(grant, str) else grant["source"]
                target = source if isinstance(grant, str) else grant.get("target", source)
                given = self.file[kind][source]
                if "file" in given:
                    yield str(PurePosixPath(folder, target)), self.files[_bundled(given)]

    def names(self, service: str) -> set[str]:
        """Every name Compose gives a service."""
        keys = self.services[service]
        found = {service, keys.get("container_name"), keys.get("hostname")}
        networks = keys.get("networks")
        for network in networks.values() if isinstance(networks, Mapping) else ():
            found |= set((network or {}).get("aliases") or ())
        for other in self.services.values():
            for link in other.get("links") or ():
                target, _, alias = link.partition(":")
                found |= {alias} if target == service and alias else set()
        return {name for name in found if name}

    def networks(self, service: str) -> set[str]:
        return set(self.services[service].get("networks") or ["default"])

    def dependencies(self, service: str) -> dict[str, str]:
        """Service → condition."""
        wanted = self.services[service].get("depends_on") or {}
        if isinstance(wanted, list):
            return dict.fromkeys(wanted, "service_started")
        return {n: (o or {}).get("condition", "service_started") for n, o in wanted.items()}


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)


def started(pod: Manifest) -> datetime:
    """When the container of a pod began to run."""
    (status,) = pod["status"]["containerStatuses"]
    state = status["state"].get("running") or status["state"]["terminated"]
    return when(state["startedAt"])


def ready(pod: Manifest) -> datetime:
    (condition,) = (c for c in pod["status"]["conditions"] if c["type"] == "Ready")
    return when(condition["lastTransitionTime"])


def gave_up(pod: Manifest) -> bool:
    """Whether a pod waited the half minute that `service_started` is waited for (docs/compose.md)."""
    for status in pod["status"].get("initContainerStatuses", ()):
        ended = status["state"].get("terminated")
        if ended and when(ended["finishedAt"]) - when(ended["startedAt"]) >= STARTED_AT_MOST:
            return True
    return False


def _bundled(given: Mapping[str, str]) -> str:
    """Where the bundle has the file of a config or secret."""
    return given["file"].removeprefix("./")
