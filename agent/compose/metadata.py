"""Labels and names shared by all objects of an app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agent.compose.context import Context
from agent.compose.names import dns_label, is_label_value, object_name
from agent.compose.result import Manifest

PREFIX = "skerry.dev"
CHECKSUM = f"{PREFIX}/config-checksum"
ORIGINAL_NAME = f"{PREFIX}/compose-name"


class Metadata:
    """Makes `metadata` for the objects of one app."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.app = context.app
        self.namespace = context.namespace

    def labels(self, service: str = "") -> dict[str, str]:
        """Labels of every object; `service` is the service's DNS name."""
        context = self._context
        found = {"app.kubernetes.io/managed-by": "skerry"}
        if service:
            found["app.kubernetes.io/name"] = service
        found |= {
            f"{PREFIX}/project": context.project,
            f"{PREFIX}/environment": context.environment,
            f"{PREFIX}/app": context.app,
            f"{PREFIX}/service": service,
        }
        return {key: value for key, value in found.items() if value}

    def selector(self, service: str) -> dict[str, str]:
        """Labels that pick exactly the pods of a service."""
        return {f"{PREFIX}/app": self.app, f"{PREFIX}/service": service}

    def name(self, *parts: str) -> str:
        """Name of an object of the app: the app's id, then the parts."""
        return object_name(self.app, *parts)

    def manifest(
        self,
        api_version: str,
        kind: str,
        name: str,
        service: str = "",
        annotations: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Manifest:
        """An object with all labels; `body` are its other top-level fields."""
        labels = self.labels(service)
        if self._context.revision and is_label_value(self._context.revision):
            labels[f"{PREFIX}/revision"] = self._context.revision
        metadata: dict[str, Any] = {"name": name, "namespace": self.namespace, "labels": labels}
        if annotations:
            metadata["annotations"] = dict(annotations)
        return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **(body or {})}


def volume_name(*parts: str) -> str:
    """Name of a volume inside a pod."""
    return object_name(*(dns_label(part) for part in parts))
