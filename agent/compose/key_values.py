"""Values the compose specification names for a key, for editors to offer and to check.

Read by `schema` only: what the converter makes of a value is decided where it is converted.
Source: compose-spec 05-services.md, 06-networks.md, deploy.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Values:
    """What a key may be. With neither `pattern` nor `more`, nothing but the words and variables."""

    words: tuple[str, ...]
    pattern: str = ""
    """A regular expression (ECMA 262) for what else is fine."""
    more: bool = False
    """Anything else is fine too: the words are suggestions."""


VALUES: Mapping[str, Values] = {
    "services.*.restart": Values(
        ("no", "always", "on-failure", "unless-stopped"), r"^(none|on-failure:\d+)$"
    ),
    "services.*.pull_policy": Values(
        ("always", "never", "missing", "if_not_present", "build", "refresh", "daily", "weekly"),
        r"^every_([0-9]+[wdhms])+$",
    ),
    "services.*.network_mode": Values(("bridge", "none", "host"), more=True),
    "services.*.pid": Values(("private", "host"), more=True),
    "services.*.ipc": Values(("private", "shareable", "none", "host"), more=True),
    "services.*.uts": Values(("host",), more=True),
    "services.*.userns_mode": Values(("host",), more=True),
    "services.*.cgroup": Values(("private", "host")),
    "services.*.isolation": Values(("default", "process", "hyperv"), more=True),
    "services.*.platform": Values(("linux/amd64", "linux/arm64"), more=True),
    "services.*.env_file.[].format": Values(("raw",), more=True),
    "services.*.depends_on.*.condition": Values(
        ("service_started", "service_healthy", "service_completed_successfully")
    ),
    "services.*.ports.[].protocol": Values(("tcp", "udp"), more=True),
    "services.*.ports.[].mode": Values(("ingress", "host"), more=True),
    "services.*.volumes.[].type": Values(("volume", "bind", "tmpfs", "image", "cluster", "npipe")),
    "services.*.volumes.[].consistency": Values(("consistent", "cached", "delegated"), more=True),
    "services.*.volumes.[].bind.propagation": Values(
        ("private", "rprivate", "shared", "rshared", "slave", "rslave"), more=True
    ),
    "services.*.volumes.[].bind.recursive": Values(("enabled", "disabled", "writable", "readonly")),
    "services.*.volumes.[].bind.selinux": Values(("z", "Z")),
    "services.*.deploy.mode": Values(("replicated", "global", "replicated-job", "global-job")),
    "services.*.deploy.endpoint_mode": Values(("vip", "dnsrr")),
    "services.*.deploy.update_config.order": Values(("start-first", "stop-first")),
    "services.*.deploy.update_config.failure_action": Values(
        ("continue", "pause", "rollback"), more=True
    ),
    "services.*.deploy.restart_policy.condition": Values(
        ("none", "on-failure", "any"), "^(no|always|unless-stopped)$"
    ),
    "networks.*.driver": Values(("bridge", "overlay", "host", "macvlan", "ipvlan"), more=True),
    "volumes.*.driver": Values(("local",), more=True),
}
