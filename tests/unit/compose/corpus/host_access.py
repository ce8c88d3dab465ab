"""What of a compose file reaches for the host, judged from its text by other means than the converter.

Each code is what the converter must say; the rules are Pod Security `baseline` and "a path outside
the project is the host's".
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any

from tests.unit.compose.oracle import pairs

BASELINE = {
    *("AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD"),
    *("NET_BIND_SERVICE", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"),
}
CLOCK = ("/etc/localtime", "/etc/timezone")
CODES = {
    *("CMP301", "CMP302", "CMP303", "CMP310", "CMP311", "CMP312", "CMP313", "CMP314", "CMP315"),
    *("CMP316", "CMP317", "CMP318", "CMP324", "CMP330", "CMP331", "CMP332", "CMP333"),
}


def wanted(tree: Mapping[str, Any]) -> set[str]:
    """The codes of `CODES` that a file deserves."""
    found = {code for service in tree["services"].values() for code in _service(service or {})}
    for volume in (tree.get("volumes") or {}).values():
        found |= set(_volume(volume or {}))
    for network in (tree.get("networks") or {}).values():
        if (network or {}).get("driver") in ("host", "macvlan", "ipvlan"):
            found.add("CMP301")
    return found


def _service(service: Mapping[str, Any]) -> Iterator[str]:
    if str(service.get("privileged")).lower() == "true":
        yield "CMP311"
    if str(service.get("network_mode")).startswith(("host", "container:")):
        yield "CMP301"
    if any(service.get(key) == "host" for key in ("pid", "ipc", "uts", "userns_mode", "cgroup")):
        yield "CMP313"
    if service.get("devices") or service.get("device_cgroup_rules"):
        yield "CMP312"
    if any(
        cap.upper().removeprefix("CAP_") not in BASELINE for cap in service.get("cap_add") or ()
    ):
        yield "CMP310"
    if any(not o.startswith("no-new-privileges") for o in service.get("security_opt") or ()):
        yield "CMP318"
    if any(not name.startswith("net.ipv4.ip_unpriv") for name in pairs(service.get("sysctls"))):
        yield "CMP314"
    if service.get("external_links"):
        yield "CMP302"
    if service.get("cgroup_parent"):
        yield "CMP316"
    if service.get("runtime", "runc") != "runc":
        yield "CMP317"
    if "host-gateway" in str(service.get("extra_hosts")):
        yield "CMP303"
    if "devices" in str((service.get("deploy") or {}).get("resources", {})) or service.get("gpus"):
        yield "CMP315"
    labels = pairs(service.get("labels"))
    if "nodeport" in str(labels.get("kompose.service.type")).lower():
        yield "CMP324"
    for volume in service.get("volumes") or ():
        yield from _mount(volume)


def _mount(volume: str | Mapping[str, Any]) -> Iterator[str]:
    if isinstance(volume, str):
        source, _, rest = volume.partition(":")
        read_only = "ro" in rest.split(":")[1:]
        if not rest:
            return
    else:
        source, read_only = volume.get("source") or "", volume.get("read_only") == "true"
    if source in CLOCK and read_only:
        return
    outside = posixpath.normpath(source).startswith("..") if source.startswith(".") else False
    if source.startswith(("/", "~")) or outside or (len(source) == 1 and source.isupper()):
        yield "CMP330"


def _volume(volume: Mapping[str, Any]) -> Iterator[str]:
    options = volume.get("driver_opts") or {}
    if volume.get("driver", "local") != "local" or options.get("type") in ("nfs", "cifs", "tmpfs"):
        yield "CMP331"
    if str(options.get("device")).startswith("/"):
        yield "CMP330"
