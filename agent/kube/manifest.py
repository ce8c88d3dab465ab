"""Names for Kubernetes objects as plain data, shared by everything that speaks to the API server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

Manifest: TypeAlias = dict[str, Any]
"""One Kubernetes object as JSON data. Never changed in place by this package."""


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """Which object: enough to get, delete or name it. `namespace` is empty for cluster objects."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""

    @classmethod
    def of(cls, manifest: Manifest, namespace: str = "") -> ObjectRef:
        """The reference of a manifest; `namespace` is used when the manifest names none."""
        metadata = manifest.get("metadata") or {}
        return cls(
            api_version=str(manifest.get("apiVersion", "")),
            kind=str(manifest.get("kind", "")),
            name=str(metadata.get("name", "")),
            namespace=str(metadata.get("namespace") or namespace),
        )

    @property
    def group(self) -> str:
        """`apps` of `apps/v1`; empty for the core group."""
        return self.api_version.rpartition("/")[0]

    def __str__(self) -> str:
        place = f" in {self.namespace}" if self.namespace else ""
        return f"{self.kind} {self.name}{place}"
