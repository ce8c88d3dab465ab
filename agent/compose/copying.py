"""Copy-up: an empty volume gets what the image has at its place, as Docker does before a start.

Kubernetes mounts the empty volume, which hides the image's files. An init container of the same
image copies them. The image may have no shell, so a container of the wait image lays its busybox,
with the loader and libraries it needs, into a folder of the pod, and that one runs. `volumes` asks
whether a mount is filled, `pods` for the containers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agent.compose.images import repository
from agent.compose.model import Mount, Service
from agent.compose.names import object_name
from agent.compose.pod_volumes import Copy

TOOLS_VOLUME = "skerry-tools"
_TOOLS = f"/{TOOLS_VOLUME}"
_FOLDER = "/skerry-copy"
# Started as `env busybox APPLET`. For a static busybox `env` is busybox too, whose applet of that name
# runs the rest; for a dynamic one it is the loader of its library, which does the same. So the copy
# has one command for both, in an image of which nothing is known.
_LAY_OUT = f"""\
cd {_TOOLS}
cp "/proc/$$/exe" busybox
mkdir -p lib
rm -f env
for loader in /lib64/ld-linux*.so.* /lib/ld-linux*.so.* /lib/ld-musl-*.so.*; do
  [ -e "$loader" ] && "$loader" ./busybox true 2>/dev/null || continue
  "$loader" --list ./busybox | sed -n 's/.*=> \\(\\/[^ ]*\\).*/\\1/p' | while read -r library; do
    cp "$library" lib/
  done
  cp "$loader" env
  break
done
[ -e env ] || cp busybox env
"""
_BEATS = 30
# Arguments: the group that owns the volumes or "", the beats after which a lock is stale, then for
# each volume: the folder in the image, where the volume is mounted, the folder in the volume. A
# folder with anything in it is the service's, unless a copy was cut off, which leaves its marker and
# is done again. The lock keeps replicas and other services from copying at once (not every busybox
# has flock). In it lies a file named after its owner, touched every second. One that is not belongs
# to a container that is gone: whoever gives it his own name has the lock, and only one of all that
# try can. An owner that was only slow neither makes its file anew nor removes another's.
_COPY = f"""\
run() {{ {_TOOLS}/env {_TOOLS}/busybox "$@"; }}
filled() {{
  [ ! -e "$lock" ] && [ ! -e "$unfinished" ] && [ -n "$(run ls -A "$to" 2>/dev/null | run grep -vx lost+found)" ]
}}
acquire() {{
  if run mkdir "$lock" 2>/dev/null; then
    run touch "$lock/$me" || return 1
  else
    now=$(run stat -c '%n %Y' "$lock"/* 2>/dev/null | run head -n 1)
    if [ "$now" != "$seen" ]; then seen=$now same=0; fi
    same=$((same + 1))
    [ "$same" -gt "$beats" ] || return 1
    same=0
    if [ -z "$now" ]; then run rmdir "$lock" 2>/dev/null; return 1; fi
    run mv "${{now% *}}" "$lock/$me" 2>/dev/null || return 1
  fi
  [ "$(run ls "$lock")" != "$me" ] || return 0
  run rm -f "$lock/$me"
  return 1
}}
release() {{
  [ -n "$beating" ] || return 0
  kill "$beating" 2>/dev/null || true
  wait "$beating" 2>/dev/null || true
  beating=
  if run rm "$lock/$me" 2>/dev/null; then run rmdir "$lock" 2>/dev/null || true; fi
}}
read -r me </proc/sys/kernel/random/uuid
beating=
trap release EXIT
group=$1 beats=$2
shift 2
while [ "$#" -gt 0 ]; do
  from=$1 to=$2/$3 lock=$2/.skerry-copying unfinished=$2/.skerry-unfinished
  shift 3
  [ -d "$from" ] && ! filled || continue
  seen= same=0
  until acquire; do run sleep 1; done
  while [ -e "$lock/$me" ]; do run touch -c "$lock/$me"; run sleep 1; done &
  beating=$!
  run mkdir -p "$to"
  if [ -e "$unfinished" ] || [ -z "$(run ls -A "$to" | run grep -vx -e lost+found -e .skerry-copying)" ]; then
    : >"$unfinished"
    run cp -a "$from/." "$to/"
    if [ -n "$group" ]; then
      run chgrp -R "$group" "$to"
      run chmod -R g+rwX "$to"
    fi
    run rm -f "$unfinished"
  fi
  release
done
"""
_EMPTY: dict[str, tuple[str, ...]] = {
    "postgres": ("/var/lib/postgresql", "/var/lib/postgresql/data"),
    "mysql": ("/var/lib/mysql",),
    "mariadb": ("/var/lib/mysql",),
    "mongo": ("/data/db", "/data/configdb"),
    "redis": ("/data",),
    "valkey/valkey": ("/data",),
}
"""Official images → folders that are empty in them, and whose owner the entrypoint sets by itself.
Databases are most of all volumes, and start a second sooner without a look."""


def is_filled(mount: Mount, service: Service) -> bool:
    """Whether an empty volume mounted so gets the image's files in Docker, and may have some."""
    if mount.no_copy or mount.subpath or mount.owner or mount.target == "/":
        return False
    if service.hints.volume_subpath:
        return False
    name = repository(service.image).removeprefix("library/")
    plain = not service.fields.has("user") and not service.entrypoint
    return not (plain and mount.target in _EMPTY.get(name, ()))


def layout_container(image: str) -> dict[str, Any]:
    """The container of the wait image that lays out busybox for the copies."""
    return {
        "name": "skerry-tools",
        "image": image,
        "command": ["sh", "-ec", _escape(_LAY_OUT)],
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"cpu": "200m", "memory": "64Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "runAsGroup": 65534,
        },
        "volumeMounts": [{"name": TOOLS_VOLUME, "mountPath": _TOOLS}],
    }


def copy_container(
    name: str, copies: Sequence[Copy], main: dict[str, Any], group: int | None
) -> dict[str, Any]:
    """The init container that fills the volumes of the service `name`.

    It runs as root to keep the owners of the files, with the rights for that alone. `main` is the
    service's own container; `group` owns the pod's volumes.
    """
    words = ["" if group is None else str(group), str(_BEATS)]
    mounts: list[dict[str, Any]] = [{"name": TOOLS_VOLUME, "mountPath": _TOOLS, "readOnly": True}]
    for index, copy in enumerate(copies):
        place = f"{_FOLDER}/{index}"
        words += [copy.target, place, copy.folder]
        mounts.append({"name": copy.claim_volume, "mountPath": place})
    start = [f"{_TOOLS}/env", f"{_TOOLS}/busybox", "sh", "-ec"]
    return {
        "name": object_name("skerry-copy", name),
        "image": main["image"],
        "command": [*start, *map(_escape, (_COPY, "skerry-copy", *words))],
        # A library that the image wants in every process is not made for this one.
        "env": [
            {"name": "LD_LIBRARY_PATH", "value": f"{_TOOLS}/lib"},
            {"name": "LD_PRELOAD", "value": ""},
        ],
        **{key: main[key] for key in ("imagePullPolicy", "resources") if key in main},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {
                "drop": ["ALL"],
                "add": ["CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID"],
            },
            "readOnlyRootFilesystem": True,
            "runAsUser": 0,
            "runAsGroup": 0,
        },
        "volumeMounts": mounts,
    }


def _escape(word: str) -> str:
    """Kubernetes reads `$(X)` and `$$` in commands."""
    return word.replace("$", "$$")
