"""The compose application as typed values: what the loader's tree means, before Kubernetes.

Made by `reader`, read by the planner's modules. Times are nanoseconds, sizes bytes, CPUs
millicores.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from agent.compose.fields import Fields
from agent.compose.nodes import ScalarNode
from agent.compose.origin import Origin
from agent.compose.result import DataService


class Condition(StrEnum):
    """What a service waits for."""

    STARTED = "service_started"
    HEALTHY = "service_healthy"
    COMPLETED = "service_completed_successfully"


class RestartPolicy(StrEnum):
    ALWAYS = "always"
    UNLESS_STOPPED = "unless-stopped"
    ON_FAILURE = "on-failure"
    NO = "no"
    UNSET = ""


@dataclass(slots=True)
class Port:
    target: int
    protocol: str
    origin: Origin
    published: str = ""
    host_ip: str = ""
    app_protocol: str = ""
    name: str = ""


@dataclass(slots=True)
class Mount:
    kind: str
    """volume, bind, tmpfs or image; others are refused."""
    source: str
    target: str
    origin: Origin
    path: str
    read_only: bool = False
    subpath: str = ""
    no_copy: bool = False
    """An empty volume does not get the image's files."""
    size: int | None = None
    owner: str = ""
    """Compose name of the service it comes from by volumes_from; empty for an own mount."""


@dataclass(slots=True)
class Healthcheck:
    command: tuple[str, ...]
    """What to run; empty when only timings are given."""
    origin: Origin
    path: str
    disabled: bool
    interval: int
    timeout: int
    retries: int
    start_period: int
    start_interval: int | None


@dataclass(slots=True)
class Dependency:
    service: str
    condition: Condition
    required: bool
    origin: Origin
    path: str
    key: str = "depends_on"
    """What says so: depends_on, links, volumes_from, network_mode, pid or ipc."""
    restart: bool = False
    """The service is to be started anew when what it waits for changes."""


@dataclass(slots=True)
class Grant:
    """A config or secret as a file of a service."""

    source: str
    target: str
    mode: int | None
    origin: Origin
    path: str


@dataclass(slots=True)
class EnvFile:
    name: str
    required: bool
    raw: bool
    origin: Origin
    path: str


@dataclass(slots=True)
class EnvironmentValue:
    """A variable of a service; None means: take it from the project, or leave it unset."""

    value: str | None
    origin: Origin
    path: str


@dataclass(slots=True)
class Resources:
    cpu_limit: int | None = None
    memory_limit: int | None = None
    cpu_request: int | None = None
    memory_request: int | None = None
    storage_limit: int | None = None


@dataclass(slots=True)
class Restart:
    policy: RestartPolicy = RestartPolicy.UNSET
    attempts: int | None = None
    origin: Origin | None = None
    path: str = ""


@dataclass(slots=True)
class Attachment:
    """A service's membership of a network."""

    network: str
    aliases: list[ScalarNode]
    origin: Origin
    path: str


@dataclass(slots=True)
class Extension:
    """`x-skerry` of a service."""

    public: bool | None = None
    public_port: int | None = None
    public_host: str = ""
    cron: str = ""
    liveness: bool = False
    ports: list[Port] = field(default_factory=list)
    uses: DataService | None = None
    """A shared service of the platform is used instead of running this one."""
    sleep: int | None = None
    """Seconds without use before it may sleep; 0 for never, None for the app's policy."""


@dataclass(slots=True)
class Hints:
    """What the labels for other tools ask for."""

    ports: list[int] = field(default_factory=list)
    public: bool | None = None
    host: str = ""
    schedule: str = ""
    headless: bool = False
    name: ScalarNode | None = None
    """One more name for the service."""
    concurrency: str = ""
    attempts: int | None = None
    pull_policy: str = ""
    group: int | None = None
    """The group that owns the volumes."""
    volume_size: str = ""
    storage_class: str = ""
    volume_subpath: str = ""
    init: list[Hook] = field(default_factory=list)


@dataclass(slots=True)
class Hook:
    """A command at one moment of a container's life."""

    command: tuple[str, ...]
    origin: Origin
    path: str
    fields: Fields
    environment: dict[str, str]
    working_dir: str = ""
    image: str = ""
    """Of a container of its own (pre_start); empty for the service's."""
    user: str = ""


@dataclass(slots=True)
class Service:
    name: str
    fields: Fields
    """The canonical mapping, for keys that are converted one to one and for places."""
    image: str
    command: tuple[str, ...] | None
    entrypoint: tuple[str, ...] | None
    environment: dict[str, EnvironmentValue]
    env_files: list[EnvFile]
    ports: list[Port]
    exposed: list[Port]
    mounts: list[Mount]
    healthcheck: Healthcheck | None
    depends_on: list[Dependency]
    restart: Restart
    replicas: int
    job_mode: bool
    """deploy.mode is replicated-job or global-job."""
    resources: Resources
    networks: list[Attachment]
    aliases: list[ScalarNode]
    """Other host names: container_name, hostname, links and network aliases of others."""
    configs: list[Grant]
    secrets: list[Grant]
    joins: dict[str, str]
    """The key (network_mode, pid, ipc) → the service whose namespace it shares."""
    pre_start: list[Hook]
    post_start: list[Hook]
    pre_stop: list[Hook]
    extension: Extension
    labels: dict[str, str]
    hints: Hints

    @property
    def origin(self) -> Origin:
        return self.fields.node.origin

    @property
    def path(self) -> str:
        return self.fields.path


@dataclass(slots=True)
class Volume:
    name: str
    claim: str
    """The name in `name:`, else the key."""
    fields: Fields
    external: bool
    size: str
    storage_class: str | None


@dataclass(slots=True)
class Network:
    name: str
    fields: Fields
    external: bool
    internal: bool


@dataclass(slots=True)
class ConfigFile:
    """A top-level config or secret."""

    name: str
    fields: Fields
    external: str
    """Name of the existing object, empty if the content is known."""
    content: bytes | None


@dataclass(slots=True)
class Project:
    name: str
    services: dict[str, Service]
    volumes: dict[str, Volume]
    networks: dict[str, Network]
    configs: dict[str, ConfigFile]
    secrets: dict[str, ConfigFile]
