"""Files of the bundle → ConfigMaps and Secrets, mounted as pod volumes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from agent.compose.config import config_data, encode
from agent.compose.context import Context
from agent.compose.diagnostics import Report
from agent.compose.metadata import Metadata, volume_name
from agent.compose.model import Mount
from agent.compose.names import checksum, unique_label
from agent.compose.pod_volumes import PodVolumes
from agent.compose.result import Manifest

_SECRET_NAME = re.compile(r"\.(env|key|pem|p12|pfx|jks)$|password|secret|credential|(^|/)\.env")
_SHEBANG = b"#!"


class BundleFiles:
    """Collects the objects; services that mount the same path share one."""

    def __init__(self, context: Context, metadata: Metadata, report: Report) -> None:
        self._context = context
        self._metadata = metadata
        self._report = report
        self._objects: dict[str, Manifest] = {}

    def objects(self) -> list[Manifest]:
        return list(self._objects.values())

    def volume(self, pod: PodVolumes, mount: Mount, key: str, files: Mapping[str, bytes]) -> str:
        """A ConfigMap or Secret with the files, as a volume of the pod; empty when too large."""
        size = sum(len(content) for content in files.values())
        if size > self._context.limits.config_bytes:
            self._report.error(
                "CMP214",
                mount.origin,
                mount.path,
                f"the files have {size} bytes, Kubernetes takes "
                f"{self._context.limits.config_bytes} in one object",
                "Put large files into the image, or mount a smaller folder.",
            )
            return ""
        object_name = self._metadata.name(unique_label(key))
        secret = any(_SECRET_NAME.search(f"{key}/{name}".lower()) for name in files)
        data: dict[str, dict[str, str]] = {}
        items: list[dict[str, Any]] = []
        for name, content in files.items():
            entry = f"f-{checksum(name.encode(), 10)}"
            mode = 0o755 if content.startswith(_SHEBANG) else 0o644
            items.append({"key": entry, "path": name, "mode": mode})
            parts = {"data": {entry: encode(content)}} if secret else config_data(content, entry)
            for part, values in parts.items():
                data.setdefault(part, {}).update(values)
            pod.contents.append(content)
        kind = "Secret" if secret else "ConfigMap"
        self._objects[object_name] = self._metadata.manifest(
            "v1", kind, object_name, body=dict(data)
        )
        volume = volume_name(unique_label(key))
        if not any(known["name"] == volume for known in pod.volumes):
            source = (
                {"secret": {"secretName": object_name, "items": items}}
                if secret
                else {"configMap": {"name": object_name, "items": items}}
            )
            pod.volumes.append({"name": volume, **source})
        return volume
