"""What a conversion gives back: ordered manifests in waves, diagnostics, and facts about the app.

Read by the workloads (to apply and to report), by `skerry-agent convert` and by the plan preview.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from agent.compose.diagnostics import Diagnostic, Severity

Manifest: TypeAlias = dict[str, Any]
"""One Kubernetes object as plain data, ready for JSON, YAML or server-side apply. Not to be
changed in place."""


class WaitFor(StrEnum):
    """What must hold before the next wave may be applied."""

    NONE = "none"
    JOBS_COMPLETE = "jobs-complete"
    """Every Job of the wave has condition Complete; a failed Job fails the deploy."""


@dataclass(frozen=True, slots=True)
class Wave:
    """Manifests that can be applied together. Names: config, volumes, network, workloads-1,
    workloads-2, …"""

    name: str
    manifests: tuple[Manifest, ...]
    wait: WaitFor = WaitFor.NONE


class PortSource(StrEnum):
    """How a port was found."""

    PORTS = "ports"
    EXPOSE = "expose"
    EXTENSION = "x-skerry"
    LABEL = "label"
    PEER = "peer"
    HEALTHCHECK = "healthcheck"
    IMAGE = "image"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True)
class PortFact:
    """A port a service listens on."""

    port: int
    protocol: str
    """tcp or udp."""
    source: PortSource
    published: str = ""
    """The host port or range the file asks for; never opened on a node, it says the author wants
    it reachable."""
    host_ip: str = ""
    http: bool = False
    """Whether it looks like HTTP (application protocol, name or a customary port)."""


class WorkloadKind(StrEnum):
    DEPLOYMENT = "Deployment"
    JOB = "Job"
    CRON_JOB = "CronJob"


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What became of one compose service."""

    name: str
    """The Service object's name and DNS name."""
    original_name: str
    """The name in the compose file."""
    workload: WorkloadKind
    workload_name: str
    image: str
    replicas: int
    ports: tuple[PortFact, ...]
    volumes: tuple[str, ...]
    """Names of the PersistentVolumeClaims it mounts."""
    depends_on: tuple[str, ...]
    """Names (as `name`) of the services it waits for."""
    headless: bool
    """No port is known: the name resolves to the pods themselves."""
    pod_of: str = ""
    """The service (as `name`) whose pod and workload it shares; empty if they are its own."""
    sleep_after: int | None = None
    """Seconds without use before it may sleep; 0 for never, None where the file says nothing."""


@dataclass(frozen=True, slots=True)
class VolumeFacts:
    """A PersistentVolumeClaim of the plan, or one that must exist already."""

    claim: str
    original_name: str
    size: str
    services: tuple[str, ...]
    external: bool = False


@dataclass(frozen=True, slots=True)
class PublicGuess:
    """The service the world most likely wants to reach, and why it was picked."""

    service: str
    port: int | None
    reason: str
    host: str = ""
    """The host name the file asks for, if any."""


class DataService(StrEnum):
    """Services the platform can share among apps."""

    POSTGRES = "postgres"
    S3 = "s3"


@dataclass(frozen=True, slots=True)
class BindingFact:
    """A compose service that a shared service of the platform replaces, or could replace."""

    service: str
    """The name peers use, which must lead to the shared one when it is replaced."""
    original_name: str
    kind: DataService
    wanted: bool
    """The file asks for it (x-skerry.use, provider), so the service is not run; else it is an
    offer."""
    reason: str
    port: int
    available: bool = False
    """Whether the cluster has the shared one (`Context.data_services`); a wanted one that it has not
    rejects the plan."""
    user: str = ""
    """The user the file sets up; its password stays in the file."""
    database: str = ""
    """The database (or bucket) the file sets up."""


@dataclass(frozen=True, slots=True)
class HostAlias:
    """A host name of the compose file that cannot be a Kubernetes Service name (as `my_db`).

    The pods of the app have it in their hosts file.
    """

    hostname: str
    service: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The whole outcome. A rejected plan has no waves; its facts are what could be read."""

    waves: tuple[Wave, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    services: tuple[ServiceFacts, ...] = ()
    volumes: tuple[VolumeFacts, ...] = ()
    public: PublicGuess | None = None
    host_aliases: tuple[HostAlias, ...] = ()
    bindings: tuple[BindingFact, ...] = ()

    @property
    def rejected(self) -> bool:
        """Whether any diagnostic is an error; nothing of a rejected plan may be applied."""
        return any(d.severity is Severity.ERROR for d in self.diagnostics)

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """All manifests in the order they are to be applied."""
        return tuple(manifest for wave in self.waves for manifest in wave.manifests)
