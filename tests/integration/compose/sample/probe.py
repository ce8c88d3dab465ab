"""Turns the containers of a plan into probes that tell what they were given.

The image becomes the dev cluster's busybox and the command a small script; everything else (names,
environment, arguments, mounts, waiting, waves) stays as it was converted. Health checks are replaced
by ones that busybox can run: the port answers, six seconds after the start at the earliest.
"""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agent.compose import Context, Manifest, Plan, ServiceFacts, SourceFile, plan

IMAGE = "docker.io/library/busybox:1.36"
ROUND = "probe.test/round"

# Arguments: stay or end, the TCP ports to answer on, then what the file wants to run.
_SCRIPT = """\
stay=$1; ports=$2; shift 2
echo "environ $(base64 -w 0 </proc/$$/environ)"
echo "argv $(for word in "$@"; do printf '%s\\0' "$word"; done | base64 -w 0)"
echo "mounts $(cut -d ' ' -f 2 /proc/mounts | base64 -w 0)"
echo end
[ "$stay" = stay ] || exit 0
trap 'exit 0' TERM
for port in $ports; do nc -ll -p "$port" -e true & done
while :; do sleep 3600 & wait $!; done
"""
_TINY = {
    "requests": {"cpu": "1m", "memory": "4Mi"},
    "limits": {"cpu": "500m", "memory": "64Mi"},
}


@dataclass(frozen=True)
class Told:
    """What a probe said."""

    environment: dict[str, str]
    argv: list[str]
    mounts: list[str]

    @classmethod
    def read(cls, log: str) -> Told:
        lines = dict(line.split(" ", 1) for line in log.splitlines() if " " in line)
        text = {key: base64.b64decode(value).decode() for key, value in lines.items()}
        pairs = (pair.partition("=") for pair in text["environ"].split("\0") if pair)
        return cls(
            {key: value for key, _, value in pairs},
            text["argv"].split("\0")[:-1],
            text["mounts"].split(),
        )


def probing(round_: int) -> Callable[[Sequence[SourceFile], Context], Plan]:
    """`agent.compose.plan` with probes; another round makes other pods of the same app."""

    def probed(sources: Sequence[SourceFile], context: Context) -> Plan:
        found = plan(sources, context)
        facts = {f.workload_name: f for f in found.services}
        waves = tuple(
            replace(wave, manifests=tuple(_probe(m, facts, round_) for m in wave.manifests))
            for wave in found.waves
        )
        return replace(found, waves=waves)

    return probed


def _probe(manifest: Manifest, facts: dict[str, ServiceFacts], round_: int) -> Manifest:
    if manifest["kind"] not in ("Deployment", "Job"):
        return manifest
    changed = copy.deepcopy(manifest)
    template = changed["spec"]["template"]
    pod: dict[str, Any] = template["spec"]
    pod["terminationGracePeriodSeconds"] = 1
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        container["resources"] = _TINY
        if container["name"].startswith("skerry-copy"):
            container["image"] = IMAGE
    service = facts[manifest["metadata"]["name"]]
    ports = [str(p.port) for p in service.ports if p.protocol == "tcp"]
    stays = manifest["kind"] == "Deployment"
    if stays:
        template["metadata"].setdefault("annotations", {})[ROUND] = str(round_)
    (container,) = pod["containers"]
    container["image"] = IMAGE
    container["command"] = [
        *("sh", "-c", _SCRIPT.replace("$", "$$"), "probe", "stay" if stays else "end"),
        *(" ".join(ports), *container.get("command", ())),
    ]
    check = f"nc -w 1 127.0.0.1 {ports[0]} -e true" if ports else "true"
    for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
        if kind in container:
            container[kind] = {
                "exec": {"command": ["sh", "-c", check]},
                "periodSeconds": 1 if kind == "startupProbe" else 10,
                "failureThreshold": 60,
                "timeoutSeconds": 10,
                "initialDelaySeconds": 6 if kind == "startupProbe" else 0,
            }
    return changed
