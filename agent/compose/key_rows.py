"""The rows of the table of keys: every key of the compose specification and what becomes of it.

What depends on a key's value is decided by the module that converts it; a row says what a person
should know. Specification: compose-spec schema as of 2026-07 (compose-go e70e961c).
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.compose.key import Key, Shape, Treatment


def rows() -> Iterator[Key]:
    """All rows, in the order the documentation lists them."""
    yield from _TOP
    for prefix, section in _SECTIONS:
        for row in section:
            path = f"{prefix}.{row.path}"
            yield Key(path, row.treatment, row.shape, row.code, row.text, row.hint, row.harmless)


def _to(path: str, shape: Shape, text: str) -> Key:
    return Key(path, Treatment.CONVERTED, shape, text=text)


def _changed(
    path: str, shape: Shape, code: str, text: str, hint: str = "", harmless: tuple[str, ...] = ()
) -> Key:
    return Key(path, Treatment.CHANGED, shape, code, text, hint, harmless)


def _ignored(path: str, shape: Shape, code: str, text: str) -> Key:
    return Key(path, Treatment.IGNORED, shape, code, text)


def _refused(
    path: str, shape: Shape, code: str, text: str, hint: str = "", harmless: tuple[str, ...] = ()
) -> Key:
    return Key(path, Treatment.REFUSED, shape, code, text, hint, harmless)


def _below(path: str, shape: Shape) -> Key:
    return Key(path, Treatment.AS_PARENT, shape)


_REMOVE = "Remove the line."
_COOLIFY = "this is a key of the Coolify dialect, not of compose"
_S = Shape

_TOP: tuple[Key, ...] = (
    _ignored("version", _S.TEXT, "CMP001", "version is obsolete"),
    _to("name", _S.TEXT, "COMPOSE_PROJECT_NAME for interpolation"),
    _to("services", _S.NAMED, "one workload and one Service each"),
    _to("include", _S.INCLUDES, "the included files are merged in; they must be in the bundle"),
    _to("networks", _S.NAMED, "see networks"),
    _to("volumes", _S.NAMED, "one PersistentVolumeClaim each, if a service mounts it"),
    _to("configs", _S.NAMED, "one ConfigMap each"),
    _to("secrets", _S.NAMED, "one Secret each"),
    _refused(
        "models", _S.NAMED, "CMP160", "models need a model runner this platform lacks", _REMOVE
    ),
    _below("models.*", _S.ANY),
    _to("x-skerry", _S.MAPPING, "settings of this platform for the whole app"),
)

_SERVICE: tuple[Key, ...] = (
    _to("image", _S.TEXT, "container image"),
    _refused(
        "build",
        _S.BUILD,
        "CMP202",
        "images are not built here",
        "Build and push the image, then name it with image:.",
    ),
    *(
        _below(f"build.{name}", _S.ANY)
        for name in (
            *("context", "dockerfile", "dockerfile_inline", "entitlements", "args", "ssh"),
            *("labels", "cache_from", "cache_to", "no_cache", "no_cache_filter"),
            *("additional_contexts", "network", "provenance", "sbom", "pull", "target"),
            *("shm_size", "extra_hosts", "isolation", "privileged", "secrets", "tags"),
            *("ulimits", "platforms"),
        )
    ),
    _to("command", _S.COMMAND, "container args; every $ is doubled where Kubernetes expands it"),
    _to("entrypoint", _S.COMMAND, "container command; without command the image's CMD is dropped"),
    _to("environment", _S.PAIRS, "one Secret a service, read with envFrom"),
    _to("env_file", _S.ENV_FILES, "merged into the same Secret; environment wins"),
    _to("env_file.[].path", _S.TEXT, "file of the bundle"),
    _to("env_file.[].required", _S.FLAG, "false: the file may be absent"),
    _to("env_file.[].format", _S.TEXT, "raw: no quotes and no interpolation"),
    _ignored("label_file", _S.TEXTS, "CMP407", "labels are for the Docker host's tools"),
    _to("ports", _S.PORTS, "ports of the container and the Service; published ports stay inside"),
    _to("ports.[].target", _S.TEXT, "container and Service port"),
    _to("ports.[].published", _S.TEXT, "a wish for exposure; no port is opened on a node"),
    _to("ports.[].protocol", _S.TEXT, "tcp or udp"),
    _to("ports.[].host_ip", _S.TEXT, "a loopback address: not public"),
    _to("ports.[].app_protocol", _S.TEXT, "the Service port's appProtocol"),
    _to("ports.[].name", _S.TEXT, "a hint whether the port is HTTP"),
    _changed("ports.[].mode", _S.TEXT, "CMP232", "no port is opened on a node", "", ("ingress",)),
    _to("expose", _S.TEXTS, "container and Service ports"),
    _to("volumes", _S.MOUNTS, "volume mounts"),
    _to("volumes.[].type", _S.TEXT, "volume, bind (relative) and tmpfs; others are refused"),
    _to(
        "volumes.[].source", _S.TEXT, "the volume, or a path of the bundle; host paths are refused"
    ),
    _to("volumes.[].target", _S.TEXT, "mount path"),
    _to("volumes.[].read_only", _S.FLAG, "read-only mount"),
    _ignored("volumes.[].consistency", _S.TEXT, "CMP420", "it has no effect on Linux"),
    _to("volumes.[].bind", _S.MAPPING, "see its keys"),
    _refused(
        "volumes.[].bind.propagation",
        _S.TEXT,
        "CMP332",
        "mount propagation reaches the node",
        _REMOVE,
        ("private", "rprivate"),
    ),
    _ignored("volumes.[].bind.create_host_path", _S.FLAG, "CMP420", "there is no host path"),
    _ignored("volumes.[].bind.recursive", _S.TEXT, "CMP420", "there are no nested mounts"),
    _ignored("volumes.[].bind.selinux", _S.TEXT, "CMP420", "the cluster labels volumes itself"),
    _to("volumes.[].volume", _S.MAPPING, "see its keys"),
    _ignored("volumes.[].volume.labels", _S.PAIRS, "CMP407", "labels are not carried over"),
    _to("volumes.[].volume.nocopy", _S.FLAG, "image content is never copied into a volume"),
    _to("volumes.[].volume.subpath", _S.TEXT, "folder within the volume"),
    _to("volumes.[].tmpfs", _S.MAPPING, "see its keys"),
    _to("volumes.[].tmpfs.size", _S.SIZE, "size limit of the memory volume"),
    _changed("volumes.[].tmpfs.mode", _S.TEXT, "CMP415", "the mode of a memory volume is 0777"),
    _to("volumes.[].image", _S.MAPPING, "image volumes are refused with the type"),
    _below("volumes.[].image.subpath", _S.TEXT),
    *(
        _refused(f"volumes.[].{name}", _S.ANY, "CMP163", _COOLIFY, hint)
        for name, hint in (
            ("content", "Write the text with configs: and content:."),
            ("is_directory", _REMOVE),
            ("isDirectory", _REMOVE),
            ("mode", "Write a file with configs:, which has a mode."),
        )
    ),
    _to("volumes_from", _S.TEXTS, "the other service's mounts; container: is refused"),
    _to("healthcheck", _S.MAPPING, "startup and readiness probes; never a restart"),
    _to("healthcheck.test", _S.COMMAND, "the probes' command"),
    _to("healthcheck.disable", _S.FLAG, "true: no probes"),
    _to("healthcheck.interval", _S.DURATION, "period of the readiness probe, at least 10s"),
    _to("healthcheck.timeout", _S.DURATION, "timeout of the probes"),
    _to("healthcheck.retries", _S.WHOLE, "failures until not ready"),
    _to("healthcheck.start_period", _S.DURATION, "part of the startup probe's patience"),
    _to("healthcheck.start_interval", _S.DURATION, "period of the startup probe"),
    _to("depends_on", _S.DEPENDENCIES, "waiting init container, or an earlier wave for a Job"),
    _to("depends_on.*", _S.MAPPING, "the service to wait for"),
    _to("depends_on.*.condition", _S.TEXT, "started, healthy or completed successfully"),
    _to("depends_on.*.required", _S.FLAG, "false: an absent service is not waited for"),
    _changed(
        "depends_on.*.restart",
        _S.FLAG,
        "CMP252",
        "a restart of the dependency does not restart this service",
        harmless=("false",),
    ),
    _to("restart", _S.TEXT, "Deployment, or Job for no and on-failure"),
    _to("scale", _S.WHOLE, "replicas"),
    _to("container_name", _S.TEXT, "one more DNS name for the service"),
    _to("hostname", _S.TEXT, "host name of the pod and one more DNS name"),
    _changed("domainname", _S.TEXT, "CMP405", "the cluster decides the domain", _REMOVE),
    _to("networks", _S.ATTACHMENTS, "membership; see networks"),
    _to("networks.*", _S.MAPPING, "the network"),
    _to("networks.*.aliases", _S.TEXTS, "more DNS names for the service"),
    _changed("networks.*.ipv4_address", _S.TEXT, "CMP406", "addresses are the cluster's"),
    _changed("networks.*.ipv6_address", _S.TEXT, "CMP406", "addresses are the cluster's"),
    _changed("networks.*.link_local_ips", _S.TEXTS, "CMP406", "addresses are the cluster's"),
    _changed("networks.*.mac_address", _S.TEXT, "CMP406", "addresses are the cluster's"),
    _ignored("networks.*.interface_name", _S.TEXT, "CMP420", "a pod has one interface, eth0"),
    _ignored(
        "networks.*.driver_opts", _S.NAMED, "CMP420", "the cluster's network has no such options"
    ),
    _below("networks.*.driver_opts.*", _S.ANY),
    _ignored("networks.*.priority", _S.TEXT, "CMP420", "a pod has one interface"),
    _ignored("networks.*.gw_priority", _S.TEXT, "CMP420", "a pod has one interface"),
    _to(
        "network_mode", _S.TEXT, "bridge: nothing; none: no peers, no internet; others are refused"
    ),
    _to("links", _S.TEXTS, "depends_on, and the alias as one more DNS name"),
    _refused(
        "external_links",
        _S.TEXTS,
        "CMP302",
        "containers of other projects are not reachable",
        "Deploy both in one app, or publish the other one.",
    ),
    _to("extra_hosts", _S.HOSTS, "hostAliases; addresses of nodes and the cluster are refused"),
    _to("dns", _S.TEXTS, "more name servers behind the cluster's own"),
    _to("dns_search", _S.TEXTS, "more search domains"),
    _to("dns_opt", _S.TEXTS, "resolver options"),
    _ignored(
        "labels",
        _S.PAIRS,
        "CMP407",
        "traefik's port and enable are taken as hints, other labels are for the Docker host's tools",
    ),
    _ignored("annotations", _S.PAIRS, "CMP407", "annotations are for the container runtime"),
    _to("user", _S.TEXT, "runAsUser and runAsGroup; a name must be a known one"),
    _to("group_add", _S.TEXTS, "supplementalGroups; numbers only"),
    _to("working_dir", _S.TEXT, "workingDir"),
    _to("read_only", _S.FLAG, "readOnlyRootFilesystem"),
    _to("tmpfs", _S.TEXTS, "memory volumes"),
    _to("shm_size", _S.SIZE, "memory volume at /dev/shm"),
    _to("tty", _S.FLAG, "tty"),
    _to("stdin_open", _S.FLAG, "stdin"),
    _ignored("init", _S.FLAG, "CMP413", "no init process is added"),
    _to("stop_grace_period", _S.DURATION, "terminationGracePeriodSeconds, at most 300"),
    _changed(
        "stop_signal",
        _S.TEXT,
        "CMP403",
        "containers are stopped with the image's stop signal",
        "Set STOPSIGNAL in the image.",
        ("SIGTERM", "TERM", "15"),
    ),
    _refused("post_start", _S.LIST, "CMP161", "lifecycle hooks are not supported", "Use command."),
    _below("post_start.[]", _S.ANY),
    _refused("pre_stop", _S.LIST, "CMP161", "lifecycle hooks are not supported", "Use command."),
    _below("pre_stop.[]", _S.ANY),
    _refused("pre_start", _S.LIST, "CMP161", "lifecycle hooks are not supported", "Use command."),
    _below("pre_start.[]", _S.ANY),
    _to("configs", _S.GRANTS, "one file mount each"),
    _to("secrets", _S.GRANTS, "one file mount each, below /run/secrets"),
    *(
        row
        for group in ("configs", "secrets")
        for row in (
            _to(f"{group}.[].source", _S.TEXT, f"name below top-level {group}"),
            _to(f"{group}.[].target", _S.TEXT, "path of the file"),
            _changed(f"{group}.[].uid", _S.TEXT, "CMP412", "the file belongs to root", "", ("0",)),
            _changed(f"{group}.[].gid", _S.TEXT, "CMP412", "the file belongs to root", "", ("0",)),
            _to(f"{group}.[].mode", _S.TEXT, "mode of the file; write bits have no effect"),
        )
    ),
    _to("cap_add", _S.TEXTS, "added capabilities; outside Pod Security baseline refused"),
    _to("cap_drop", _S.TEXTS, "dropped capabilities"),
    _refused(
        "privileged",
        _S.FLAG,
        "CMP311",
        "privileged containers are not allowed for tenants",
        "Remove the line; if the app needs one capability, ask the operator.",
        ("false",),
    ),
    _to("security_opt", _S.TEXTS, "no-new-privileges; weaker confinement is refused"),
    _refused("devices", _S.DEVICES, "CMP312", "devices of the node are not available", _REMOVE),
    _below("devices.[]", _S.ANY),
    _refused(
        "device_cgroup_rules", _S.TEXTS, "CMP312", "devices of the node are not available", _REMOVE
    ),
    _refused("gpus", _S.ANY, "CMP315", "there is no GPU entitlement", "Ask the operator for one."),
    _to("pid", _S.TEXT, "private: nothing; host and others are refused"),
    _to("ipc", _S.TEXT, "private, shareable, none: nothing; host and others are refused"),
    _to("uts", _S.TEXT, "host is refused"),
    _to("userns_mode", _S.TEXT, "host is refused"),
    _to("cgroup", _S.TEXT, "private: nothing; host is refused"),
    _refused("cgroup_parent", _S.TEXT, "CMP316", "cgroups of the node are not available", _REMOVE),
    _refused(
        "runtime",
        _S.TEXT,
        "CMP317",
        "the container runtime is the operator's choice",
        _REMOVE,
        ("runc",),
    ),
    _ignored("isolation", _S.TEXT, "CMP420", "it is for Windows"),
    _refused("credential_spec", _S.MAPPING, "CMP317", "credential specs are for Windows", _REMOVE),
    _below("credential_spec.config", _S.TEXT),
    _below("credential_spec.file", _S.TEXT),
    _below("credential_spec.registry", _S.TEXT),
    _to("sysctls", _S.PAIRS, "safe ones are set; others are refused"),
    _changed("ulimits", _S.LIMITS, "CMP401", "ulimits are set by the node and are not applied"),
    _below("ulimits.*", _S.MAPPING),
    _below("ulimits.*.soft", _S.TEXT),
    _below("ulimits.*.hard", _S.TEXT),
    _refused(
        "use_api_socket",
        _S.FLAG,
        "CMP330",
        "the Docker API is not available here",
        _REMOVE,
        ("false",),
    ),
    _to("cpus", _S.NUMBER, "CPU limit"),
    _to("mem_limit", _S.SIZE, "memory limit"),
    _to("mem_reservation", _S.SIZE, "memory request"),
    _changed("storage_opt", _S.ANY, "CMP402", "storage options are not applied"),
    _changed("blkio_config", _S.ANY, "CMP402", "block I/O limits are not applied"),
    *(
        _changed(name, _S.TEXT, "CMP402", f"{name} is not applied", "Use cpus.")
        for name in (
            "cpu_count",
            "cpu_percent",
            "cpu_shares",
            "cpu_quota",
            "cpu_period",
            "cpu_rt_period",
            "cpu_rt_runtime",
            "cpuset",
        )
    ),
    *(
        _changed(name, _S.TEXT, "CMP402", f"{name} is not applied", "Use mem_limit.")
        for name in ("mem_swappiness", "memswap_limit", "oom_kill_disable", "oom_score_adj")
    ),
    _changed("pids_limit", _S.TEXT, "CMP402", "the limit of processes is the node's"),
    _changed("mac_address", _S.TEXT, "CMP406", "addresses are the cluster's"),
    _to("platform", _S.TEXT, "a node selector for the architecture"),
    _to("pull_policy", _S.TEXT, "imagePullPolicy; never is refused"),
    _ignored("pull_refresh_after", _S.TEXT, "CMP420", "images are pulled when a pod starts"),
    _to("profiles", _S.TEXTS, "the service is left out unless one of them is active"),
    _to("extends", _S.EXTENDS, "the other service's keys, below this one's"),
    _to("extends.service", _S.TEXT, "service to extend"),
    _to("extends.file", _S.TEXT, "file of the bundle"),
    _refused(
        "provider",
        _S.MAPPING,
        "CMP162",
        "no provider is known here",
        "Use a database of the platform.",
    ),
    _below("provider.type", _S.TEXT),
    _below("provider.options", _S.ANY),
    _refused("models", _S.ANY, "CMP160", "models need a model runner this platform lacks"),
    _ignored("develop", _S.ANY, "CMP408", "it is for development on one machine"),
    _ignored("attach", _S.FLAG, "CMP408", "it is for the terminal of docker compose"),
    _ignored("logging", _S.MAPPING, "CMP408", "the platform collects the logs"),
    _below("logging.driver", _S.TEXT),
    _below("logging.options", _S.ANY),
    _to("deploy", _S.MAPPING, "see its keys"),
    _to("x-skerry", _S.MAPPING, "settings of this platform for the service"),
    _refused(
        "exclude_from_hc",
        _S.ANY,
        "CMP163",
        _COOLIFY,
        _REMOVE,
    ),
)

_DEPLOY: tuple[Key, ...] = (
    _to("mode", _S.TEXT, "replicated; replicated-job is a Job; global is one replica"),
    _to("replicas", _S.WHOLE, "replicas"),
    _to("endpoint_mode", _S.TEXT, "vip: ClusterIP; dnsrr: headless"),
    _ignored("labels", _S.PAIRS, "CMP407", "labels are for the Docker host's tools"),
    _to("update_config", _S.MAPPING, "rolling update; Recreate where a volume is mounted"),
    _to("update_config.parallelism", _S.WHOLE, "maxSurge or maxUnavailable"),
    _to("update_config.order", _S.TEXT, "start-first: surge; stop-first: unavailable"),
    _to("update_config.delay", _S.DURATION, "minReadySeconds"),
    _ignored(
        "update_config.failure_action", _S.TEXT, "CMP410", "a failed rollout keeps the old pods"
    ),
    _ignored("update_config.monitor", _S.DURATION, "CMP410", "readiness decides"),
    _ignored("update_config.max_failure_ratio", _S.NUMBER, "CMP410", "readiness decides"),
    _ignored("rollback_config", _S.ANY, "CMP410", "a rollback is a deploy of an old revision"),
    _to("resources", _S.MAPPING, "see its keys"),
    _to("resources.limits", _S.MAPPING, "limits"),
    _to("resources.limits.cpus", _S.NUMBER, "CPU limit"),
    _to("resources.limits.memory", _S.SIZE, "memory limit"),
    _changed("resources.limits.pids", _S.TEXT, "CMP402", "the limit of processes is the node's"),
    _to("resources.reservations", _S.MAPPING, "requests"),
    _to("resources.reservations.cpus", _S.NUMBER, "CPU request"),
    _to("resources.reservations.memory", _S.SIZE, "memory request"),
    _refused(
        "resources.reservations.devices",
        _S.ANY,
        "CMP315",
        "there is no GPU entitlement",
        "Ask the operator for one.",
    ),
    _refused(
        "resources.reservations.generic_resources",
        _S.ANY,
        "CMP315",
        "generic resources are not available",
        _REMOVE,
    ),
    _to("restart_policy", _S.MAPPING, "overrides restart"),
    _to("restart_policy.condition", _S.TEXT, "any: Deployment; none and on-failure: Job"),
    _to("restart_policy.max_attempts", _S.WHOLE, "backoffLimit of a Job"),
    _ignored("restart_policy.delay", _S.DURATION, "CMP411", "Kubernetes backs off by itself"),
    _ignored("restart_policy.window", _S.DURATION, "CMP411", "Kubernetes backs off by itself"),
    _changed("placement", _S.ANY, "CMP409", "placement on nodes is the platform's"),
)

_SERVICE_EXTENSION: tuple[Key, ...] = (
    _to("public", _S.EXTERNAL, "whether the world may reach it"),
    _to("public.port", _S.WHOLE, "the port the world reaches"),
    _to("public.host", _S.TEXT, "the host name the world uses"),
    _to("cron", _S.TEXT, "a schedule as 0 3 * * *: the service becomes a CronJob, in UTC"),
    _to("liveness", _S.FLAG, "true: the health check also restarts the container"),
    _to("ports", _S.TEXTS, "ports the service listens on, where the file does not say"),
)

_NETWORK: tuple[Key, ...] = (
    _ignored("name", _S.TEXT, "CMP420", "networks exist within the app only"),
    _to("driver", _S.TEXT, "bridge and overlay: nothing; host, macvlan, ipvlan are refused"),
    _changed("driver_opts", _S.ANY, "CMP406", "the cluster's network has no such options"),
    _changed("ipam", _S.ANY, "CMP406", "addresses are the cluster's"),
    _to("external", _S.EXTERNAL, "reported: the platform's ingress reaches the service anyway"),
    _below("external.name", _S.TEXT),
    _to("internal", _S.FLAG, "no internet for services only on such networks"),
    _ignored("enable_ipv4", _S.FLAG, "CMP420", "addresses are the cluster's"),
    _ignored("enable_ipv6", _S.FLAG, "CMP420", "addresses are the cluster's"),
    _ignored("attachable", _S.FLAG, "CMP420", "networks exist within the app only"),
    _ignored("labels", _S.PAIRS, "CMP407", "labels are for the Docker host's tools"),
)

_VOLUME: tuple[Key, ...] = (
    _to("name", _S.TEXT, "the claim is named after the app and it, or is it if external"),
    _to("driver", _S.TEXT, "local: the platform's storage; others are refused"),
    _to("driver_opts", _S.ANY, "a bind of a host path and network file systems are refused"),
    _to("external", _S.EXTERNAL, "an existing claim of that name"),
    _below("external.name", _S.TEXT),
    _to("labels", _S.PAIRS, "kompose.volume.size: size of the claim; the rest is ignored"),
    _to("x-skerry", _S.MAPPING, "settings of this platform for the volume"),
    _to("x-skerry.size", _S.SIZE, "size of the claim"),
    _to("x-skerry.storage_class", _S.TEXT, "storage class of the claim"),
)

_CONFIG: tuple[Key, ...] = (
    _to("name", _S.TEXT, "name of the object if external"),
    _to("file", _S.TEXT, "file of the bundle"),
    _to("content", _S.TEXT, "the content itself"),
    _to("environment", _S.TEXT, "the value of a variable"),
    _to("external", _S.EXTERNAL, "an existing object of that name"),
    _below("external.name", _S.TEXT),
    _ignored("labels", _S.PAIRS, "CMP407", "labels are for the Docker host's tools"),
    _changed("template_driver", _S.TEXT, "CMP414", "the content is not a template here"),
)

_SECRET: tuple[Key, ...] = (
    *_CONFIG,
    _refused("driver", _S.TEXT, "CMP333", "secret drivers are not available", _REMOVE),
    _refused("driver_opts", _S.ANY, "CMP333", "secret drivers are not available", _REMOVE),
)

_INCLUDE: tuple[Key, ...] = (
    _to("path", _S.TEXTS, "files of the bundle"),
    _to("env_file", _S.TEXTS, "variables for the included files"),
    _to("project_directory", _S.TEXT, "base of relative paths"),
)

_SECTIONS: tuple[tuple[str, tuple[Key, ...]], ...] = (
    ("include.[]", _INCLUDE),
    ("services.*", _SERVICE),
    ("services.*.deploy", _DEPLOY),
    ("services.*.x-skerry", _SERVICE_EXTENSION),
    ("networks.*", _NETWORK),
    ("volumes.*", _VOLUME),
    ("configs.*", _CONFIG),
    ("secrets.*", _SECRET),
)
