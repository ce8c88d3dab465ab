"""From (apiVersion, kind) to a path on the API server, by asking the API server.

Answers are remembered in memory; a kind that is not found is asked for again each time, because
CRDs appear while the agent runs. Used by `KubeClient` alone.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from kubernetes.aio.dynamic.exceptions import ResourceNotFoundError, ResourceNotUniqueError

from agent.kube.connection import Connection, translated
from agent.kube.errors import InvalidError, NotFoundError, NotServedError


@dataclass(frozen=True, slots=True)
class Resource:
    """Where objects of a kind live."""

    handle: Any
    """The dynamic client's own description."""
    namespaced: bool

    def path(self, name: str = "", namespace: str = "") -> str:
        """`/apis/apps/v1/namespaces/shop/deployments/web`; without a name the collection."""
        path: str = self.handle.path(name=name or None, namespace=namespace or None)
        return path


class Discovery:
    """Safe to be used by many tasks at once."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[str, str], Resource] = {}
        self._lock = asyncio.Lock()  # the library's discoverer is not made for concurrent use

    async def find(self, api_version: str, kind: str) -> Resource:
        """Raises NotServedError when the server does not know the kind (yet)."""
        if not api_version or not kind:
            raise InvalidError("a manifest needs apiVersion and kind")
        known = self._known.get((api_version, kind))
        if known is not None:
            return known
        async with self._lock:
            known = self._known.get((api_version, kind))
            if known is None:
                known = await self._ask(api_version, kind)
                self._known[api_version, kind] = known
        return known

    def forget(self, api_version: str, kind: str) -> None:
        """After a 404 on the collection: the CRD may be gone, or be made anew in another scope."""
        self._known.pop((api_version, kind), None)

    async def _ask(self, api_version: str, kind: str) -> Resource:
        dynamic = await self._connection.dynamic()
        group, _, version = api_version.rpartition("/")
        try:
            with translated(f"look up {kind} ({api_version})"):
                # The prefix keeps a core kind from being searched in every group.
                handle = await dynamic.resources.get(
                    prefix="apis" if group else "api",
                    group=group or None,
                    api_version=version,
                    kind=kind,
                )
        except (ResourceNotFoundError, ResourceNotUniqueError, NotFoundError, KeyError) as error:
            raise NotServedError(api_version, kind) from error
        return Resource(handle=handle, namespaced=bool(handle.namespaced))
