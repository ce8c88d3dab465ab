"""One service on its way to manifests: everything decided about it, gathered for the builders."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agent.compose.model import Service
from agent.compose.pod_volumes import PodVolumes
from agent.compose.result import HostAlias, Manifest, PortFact, WorkloadKind
from agent.compose.waiting import Wait


@dataclass(slots=True)
class Assembly:
    service: Service
    name: str
    """The Service's name, which is the DNS name."""
    kind: WorkloadKind
    level: int
    ports: tuple[PortFact, ...]
    environment: dict[str, str]
    volumes: PodVolumes
    waits: list[Wait]
    headless: bool
    """The name resolves to the pods themselves: no port is certain, or the file wants it."""
    aliases: tuple[str, ...] = ()
    """More DNS names, each a Service of its own."""
    hosts: tuple[HostAlias, ...] = ()
    """Names for the container's hosts file."""
    network_labels: dict[str, str] = field(default_factory=dict)
    """Labels that network policies select pods by."""
    volume_group: str = ""
    """Services that share a volume are in one group and run on one node."""
    env_secret: str = ""
    leader: str = ""
    """Compose name of the service whose pod it runs in: its own, unless it joins another's."""
    pod_name: str = ""
    """The DNS name of that service."""
    members: list[Assembly] = field(default_factory=list)
    """Services that run in the pod of this one."""
    restarts_with: str = ""
    """Checksum of the dependencies it is to be started anew with."""
    workload: Manifest | None = None

    @property
    def has_service(self) -> bool:
        """A Job gets a Service only where the file says that it listens."""
        return self.kind is WorkloadKind.DEPLOYMENT or bool(self.service.ports)

    @property
    def is_member(self) -> bool:
        """Whether it runs in another service's pod."""
        return self.leader not in ("", self.service.name)

    @property
    def pod(self) -> tuple[Assembly, ...]:
        """The services whose containers are in the pod, this one first."""
        return (self, *self.members)

    @property
    def pod_template(self) -> dict[str, Any]:
        """The pod template of the finished workload."""
        if self.workload is None:
            return {}
        spec: dict[str, Any] = self.workload["spec"]
        if self.workload["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        template: dict[str, Any] = spec["template"]
        return template
