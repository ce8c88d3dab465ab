"""Rows of the table of keys for a service: its container's rights, resources and scheduling."""

from __future__ import annotations

from agent.compose.key import Key, Shape, as_parent, changed, converted, ignored, refused

_S = Shape
_REMOVE = "Remove the line."
_COOLIFY = "this is a key of the Coolify dialect, not of compose"

CONTAINER: tuple[Key, ...] = (
    converted("cap_add", _S.TEXTS, "added capabilities; outside Pod Security baseline refused"),
    converted("cap_drop", _S.TEXTS, "dropped capabilities"),
    refused(
        "privileged",
        _S.FLAG,
        "CMP311",
        "privileged containers are not allowed for tenants",
        "Remove the line; if the app needs one capability, ask the operator.",
        ("false",),
    ),
    converted("security_opt", _S.TEXTS, "no-new-privileges; weaker confinement is refused"),
    refused("devices", _S.DEVICES, "CMP312", "devices of the node are not available", _REMOVE),
    as_parent("devices.[]", _S.ANY),
    refused(
        "device_cgroup_rules", _S.TEXTS, "CMP312", "devices of the node are not available", _REMOVE
    ),
    refused("gpus", _S.ANY, "CMP315", "there is no GPU entitlement", "Ask the operator for one."),
    converted(
        "pid", _S.TEXT, "service: one pod, with shareProcessNamespace; host and others are refused"
    ),
    converted(
        "ipc",
        _S.TEXT,
        "private, shareable, none: nothing; service: one pod; host and others are refused",
    ),
    converted("uts", _S.TEXT, "host is refused"),
    converted("userns_mode", _S.TEXT, "host is refused"),
    converted("cgroup", _S.TEXT, "private: nothing; host is refused"),
    refused("cgroup_parent", _S.TEXT, "CMP316", "cgroups of the node are not available", _REMOVE),
    refused(
        "runtime",
        _S.TEXT,
        "CMP317",
        "the container runtime is the operator's choice",
        _REMOVE,
        ("runc",),
    ),
    ignored("isolation", _S.TEXT, "CMP420", "it is for Windows"),
    refused("credential_spec", _S.MAPPING, "CMP317", "credential specs are for Windows", _REMOVE),
    as_parent("credential_spec.config", _S.TEXT),
    as_parent("credential_spec.file", _S.TEXT),
    as_parent("credential_spec.registry", _S.TEXT),
    converted("sysctls", _S.PAIRS, "safe ones are set; others are refused"),
    changed("ulimits", _S.LIMITS, "CMP401", "ulimits are set by the node and are not applied"),
    as_parent("ulimits.*", _S.MAPPING),
    as_parent("ulimits.*.soft", _S.TEXT),
    as_parent("ulimits.*.hard", _S.TEXT),
    refused(
        "use_api_socket",
        _S.FLAG,
        "CMP330",
        "the Docker API is not available here",
        _REMOVE,
        ("false",),
    ),
    converted("cpus", _S.NUMBER, "CPU limit"),
    converted("mem_limit", _S.SIZE, "memory limit"),
    converted("mem_reservation", _S.SIZE, "memory request"),
    converted("storage_opt", _S.PAIRS, "size: limit of ephemeral storage; others are reported"),
    converted("cpu_quota", _S.WHOLE, "CPU limit, as a part of cpu_period"),
    converted("cpu_period", _S.WHOLE, "see cpu_quota"),
    converted("cpu_shares", _S.WHOLE, "CPU request: 1024 are one CPU"),
    changed("blkio_config", _S.ANY, "CMP402", "block I/O limits are not applied"),
    *(
        changed(name, _S.TEXT, "CMP402", f"{name} is not applied", "Use cpus.")
        for name in (
            "cpu_count",
            "cpu_percent",
            "cpu_rt_period",
            "cpu_rt_runtime",
            "cpuset",
        )
    ),
    *(
        changed(name, _S.TEXT, "CMP402", f"{name} is not applied", "Use mem_limit.")
        for name in ("mem_swappiness", "memswap_limit", "oom_kill_disable", "oom_score_adj")
    ),
    changed("pids_limit", _S.TEXT, "CMP402", "the limit of processes is the node's"),
    changed("mac_address", _S.TEXT, "CMP406", "addresses are the cluster's"),
    converted("platform", _S.TEXT, "a node selector for the architecture"),
    converted("pull_policy", _S.TEXT, "imagePullPolicy; never is refused"),
    ignored("pull_refresh_after", _S.TEXT, "CMP420", "images are pulled when a pod starts"),
    converted("profiles", _S.TEXTS, "the service is left out unless one of them is active"),
    converted("extends", _S.EXTENDS, "the other service's keys, below this one's"),
    converted("extends.service", _S.TEXT, "service to extend"),
    converted("extends.file", _S.TEXT, "file of the bundle"),
    converted("provider", _S.MAPPING, "a shared service of the platform; see its keys"),
    converted("provider.type", _S.TEXT, "skerry-postgres or skerry-s3; others are refused"),
    converted("provider.options", _S.PAIRS, "reported: they have no effect"),
    refused("models", _S.ANY, "CMP160", "models need a model runner this platform lacks"),
    ignored("develop", _S.ANY, "CMP408", "it is for development on one machine"),
    ignored("attach", _S.FLAG, "CMP408", "it is for the terminal of docker compose"),
    ignored("logging", _S.MAPPING, "CMP408", "the platform collects the logs"),
    as_parent("logging.driver", _S.TEXT),
    as_parent("logging.options", _S.ANY),
    converted("deploy", _S.MAPPING, "see its keys"),
    converted("x-skerry", _S.MAPPING, "settings of this platform for the service"),
    refused(
        "exclude_from_hc",
        _S.ANY,
        "CMP163",
        _COOLIFY,
        _REMOVE,
    ),
)
