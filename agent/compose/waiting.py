"""Init containers of the platform: wait for dependencies, name hosts, seed volumes.

They run the wait image (see `Context.wait_image`). A ClusterIP refuses connections until a pod
behind it is ready, and a headless name does not resolve until then, so no API access is needed.
Names that neither a Service nor `hostAliases` may have (as `my_db`) get into the container's hosts
file: a copy of the pod's own with one line more for each, since ClusterIPs do not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.compose.pod_volumes import DATA_FOLDER, Seed
from agent.compose.result import HostAlias

HOSTS_VOLUME = "skerry-hosts"
_STARTED_SECONDS = 30

# Arguments: "healthy HOST [PORT,PORT]", "started HOST [PORT,PORT]" and "name SERVICE HOSTNAME". One
# of the ports has to answer; without any the name has to resolve. A dependency that only has to
# be started is waited for a bounded
# time, as compose promises no more. nslookup's exit code also counts search domains that fail, so
# its output is read instead.
_PREPARE = f"""\
address() {{
  nslookup "$1" 2>/dev/null |
    sed -n '/^Name:/,$s/^Address[^:]*:[[:space:]]*\\([^[:space:]]*\\).*/\\1/p' | head -n 1
}}
answers() {{
  if [ -z "$2" ]; then [ -n "$(address "$1")" ]; return; fi
  for port in $(echo "$2" | tr , ' '); do
    nc -w 2 "$1" "$port" -e true >/dev/null 2>&1 && return 0
  done
  return 1
}}
if [ -d /hosts ]; then cat /etc/hosts >/hosts/hosts; fi
for want in "$@"; do
  set -- $want
  tried=0
  if [ "$1" = name ]; then
    until found=$(address "$2") && [ -n "$found" ]; do sleep 1; done
    echo "$found $3" >>/hosts/hosts
    continue
  fi
  until answers "$2" "$3"; do
    if [ "$1" = started ] && [ "$tried" -ge {_STARTED_SECONDS} ]; then
      echo "$2 does not answer yet, going on"
      break
    fi
    [ "$tried" -gt 0 ] || echo "waiting for $2 ${{3:-}}"
    tried=$((tried + 1))
    sleep 1
  done
done
"""
# The marker stands beside the data, where the service does not see it.
_SEED = f"""\
mkdir -p /claim/{DATA_FOLDER}
if [ ! -e "/claim/.seeded-$1" ]; then
  cp -RL /files/. /claim/{DATA_FOLDER}/
  chmod -R a+rwX /claim/{DATA_FOLDER}
  rm -f /claim/.seeded-*
  touch "/claim/.seeded-$1"
fi
"""


@dataclass(frozen=True, slots=True)
class Wait:
    """One dependency: `healthy` is waited for without end, `started` for half a minute."""

    host: str
    ports: tuple[int, ...]
    """Ports of which one has to answer; without any the name has to resolve."""
    healthy: bool


def prepare_container(
    waits: Sequence[Wait], names: Sequence[HostAlias], image: str
) -> list[dict[str, Any]]:
    """The container that waits for dependencies and writes the hosts file; none if not needed."""
    if not waits and not names:
        return []
    arguments = [f"name {alias.service} {alias.hostname}" for alias in names]
    for wait in waits:
        words = ["healthy" if wait.healthy else "started", wait.host]
        if wait.ports:
            words.append(",".join(map(str, wait.ports)))
        arguments.append(" ".join(words))
    container: dict[str, Any] = {
        "name": "skerry-wait",
        "image": image,
        "command": ["sh", "-c", _escape(_PREPARE), "skerry-wait", *arguments],
        "resources": _resources(),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "runAsGroup": 65534,
        },
    }
    if names:
        container["volumeMounts"] = [{"name": HOSTS_VOLUME, "mountPath": "/hosts"}]
    return [container]


def seed_containers(seeds: Sequence[Seed], image: str) -> list[dict[str, Any]]:
    """Containers that copy the bundle's files into claims, once for each content."""
    return [
        {
            "name": f"skerry-seed-{index}",
            "image": image,
            "command": ["sh", "-c", _escape(_SEED), "seed", seed.checksum],
            "resources": _resources(),
            "securityContext": {"allowPrivilegeEscalation": False, "runAsUser": 0},
            "volumeMounts": [
                {"name": seed.claim_volume, "mountPath": "/claim"},
                {"name": seed.files_volume, "mountPath": "/files", "readOnly": True},
            ],
        }
        for index, seed in enumerate(seeds)
    ]


def _escape(script: str) -> str:
    """Kubernetes reads `$(X)` and `$$` in commands."""
    return script.replace("$", "$$")


def _resources() -> dict[str, Any]:
    return {
        "requests": {"cpu": "10m", "memory": "16Mi"},
        "limits": {"cpu": "200m", "memory": "64Mi"},
    }
