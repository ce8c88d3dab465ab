"""Volumes of type image → image volumes of the pod: an image's files, read-only, as in Docker.

Called by `volumes`. Kubernetes has them on from 1.35; the nodes' container runtime must know them too,
which the converter cannot see, so it says what is needed.
"""

from __future__ import annotations

import posixpath
from typing import Any

from agent.compose.diagnostics import Report
from agent.compose.images import is_image_name
from agent.compose.model import Mount, Service
from agent.compose.names import checksum
from agent.compose.pod_volumes import PodVolumes
from agent.compose.pulling import pull_policy
from agent.compose.yaml_nodes import shorten


def add_image_volume(pod: PodVolumes, mount: Mount, service: Service, report: Report) -> None:
    """Mount an image's files, or its folder `subpath`. Images that are no name are errors."""
    if not is_image_name(mount.source):
        report.error(
            "CMP204",
            mount.origin,
            mount.path,
            f'"{shorten(mount.source)}" is not the name of an image',
        )
        return
    inner = posixpath.normpath(mount.subpath) if mount.subpath else ""
    if inner.startswith(("/", "..")):
        report.error("CMP340", mount.origin, mount.path, "the subpath leaves the image")
        return
    report.warning(
        "CMP346",
        mount.origin,
        mount.path,
        "an image as a volume needs Kubernetes 1.35 and nodes with containerd 2.1 or CRI-O 1.33",
        "On older nodes the pod does not start: copy the files in pre_start instead.",
    )
    policy = pull_policy(service)
    name = f"image-{checksum(f'{mount.source} {policy}'.encode(), 8)}"
    if all(volume["name"] != name for volume in pod.volumes):
        source = {"reference": mount.source, **({"pullPolicy": policy} if policy else {})}
        pod.volumes.append({"name": name, "image": source})
    entry: dict[str, Any] = {"name": name, "mountPath": mount.target, "readOnly": True}
    if inner not in ("", "."):
        entry["subPath"] = inner
    pod.mounts.append(entry)
