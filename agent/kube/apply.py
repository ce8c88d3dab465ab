"""ApplyManifest: make any manifest so, by server-side apply through the dynamic client.

Used for everything the agent puts into a cluster: environments, apps and add-ons. Each concern has
a field manager of its own, so that the API server itself knows who wants which field; a field that
somebody else holds is an error that names them, not a silent fight. Unknown fields are refused.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from agent.kube.backoff import Backoff, retry_transient
from agent.kube.connection import CONNECT_TIMEOUT, REQUEST_TIMEOUT, Connection, translated
from agent.kube.discovery import Discovery, Resource
from agent.kube.errors import InvalidError, NotFoundError, NotServedError
from agent.kube.manifest import Manifest, ObjectRef

SECRET_KINDS = frozenset({"Secret"})
_SERVER_FIELDS = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation")
_CONTENTION_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Applied:
    """What an apply led to."""

    obj: Manifest
    """The object as the API server now has it (or, in a dry run, would have it)."""
    changed: bool
    """False when the object was already so."""
    previous: Manifest | None = None
    """The object as it was before; None when it was made."""

    @property
    def created(self) -> bool:
        return self.previous is None


@dataclass(frozen=True, slots=True)
class Live:
    """What the caller has just read of an object (None: it is not there), to save asking again."""

    obj: Manifest | None


class Applier:
    """Applies manifests over one connection."""

    def __init__(self, connection: Connection, discovery: Discovery) -> None:
        self._connection = connection
        self._discovery = discovery

    async def apply(
        self,
        manifest: Manifest,
        *,
        field_manager: str,
        namespace: str | None = None,
        force: bool = False,
        dry_run: bool = False,
        strict: bool = True,
        served_within: float = 0.0,
        live: Live | None = None,
    ) -> Applied:
        """Apply one manifest; doing it twice is doing it once.

        `namespace` is used when the manifest names none. `live` is what the object is compared
        with to tell whether it changed; without it, it is read first. `served_within` waits that many seconds
        for the kind to be served, asking anew each time, for a CRD that was applied just before.
        A status in the manifest is left out: it belongs to the controller.

        Raises ConflictError (another manager holds a field), InvalidError (schema, unknown field,
        immutable field), NotServedError, QuotaExceededError, PodSecurityError, NotFoundError (no
        such namespace) and the other KubeErrors.
        """
        ref = ObjectRef.of(manifest, namespace or "")
        body = _wanted(manifest)
        if served_within > 0:
            await self.wait_served(ref.api_version, ref.kind, within=served_within)
        resource = await self._discovery.find(ref.api_version, ref.kind)
        _check(ref, resource, manifest, namespace)

        async def attempt() -> Applied:
            previous = live.obj if live else await self._get(ref, resource)
            obj = await self._patch(ref, resource, body, field_manager, force, dry_run, strict)
            changed = previous is None or _content(previous) != _content(obj)
            return Applied(obj=obj, changed=changed, previous=previous)

        # Writers that meet at one object (a quota being counted, a controller) are told to repeat.
        return await retry_transient(attempt, within=_CONTENTION_SECONDS)

    async def apply_all(
        self,
        manifests: Sequence[Manifest],
        *,
        field_manager: str,
        namespace: str | None = None,
        force: bool = False,
        served_within: float = 60.0,
    ) -> list[Applied]:
        """Apply in order; a kind whose CRD came earlier in the list is waited for.

        Stops at the first error, which names the object; what was applied before stays, so the
        call can be repeated.
        """
        return [
            await self.apply(
                manifest,
                field_manager=field_manager,
                namespace=namespace,
                force=force,
                served_within=served_within,
            )
            for manifest in manifests
        ]

    async def wait_served(self, api_version: str, kind: str, *, within: float) -> None:
        """Return when the kind is served. Raises NotServedError after `within` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        backoff = Backoff(first=0.2, longest=3.0)
        while True:
            try:
                await self._discovery.find(api_version, kind)
            except NotServedError:
                delay = backoff.next()
                if loop.time() + delay > deadline:
                    raise
                await asyncio.sleep(delay)
            else:
                return

    async def _get(self, ref: ObjectRef, resource: Resource) -> Manifest | None:
        try:
            content = await self._connection.request(
                "GET", resource.path(ref.name, ref.namespace), about=f"read {ref}"
            )
        except NotFoundError:
            return None
        found: Manifest = json.loads(content)
        return found

    async def _patch(
        self,
        ref: ObjectRef,
        resource: Resource,
        body: Manifest,
        field_manager: str,
        force: bool,
        dry_run: bool,
        strict: bool,
    ) -> Manifest:
        dynamic = await self._connection.dynamic()
        try:
            with translated(f"apply {ref}", hide_values=ref.kind in SECRET_KINDS):
                response = await dynamic.server_side_apply(
                    resource.handle,
                    body=body,
                    namespace=ref.namespace or None,
                    field_manager=field_manager,
                    force_conflicts=force,
                    dry_run="All" if dry_run else None,
                    query_params=[("fieldValidation", "Strict" if strict else "Warn")],
                    serialize=False,
                    _request_timeout=aiohttp.ClientTimeout(
                        total=REQUEST_TIMEOUT, sock_connect=CONNECT_TIMEOUT
                    ),
                )
                obj: Manifest = json.loads(await response.read())
        except NotFoundError as error:
            if error.reason != "NotFound":  # "404 page not found": the kind itself is not there
                self._discovery.forget(ref.api_version, ref.kind)
                raise NotServedError(ref.api_version, ref.kind) from error
            raise
        return obj


def _wanted(manifest: Manifest) -> Manifest:
    """The manifest without what only the server writes."""
    metadata = {k: v for k, v in manifest.get("metadata", {}).items() if k not in _SERVER_FIELDS}
    rest = {key: value for key, value in manifest.items() if key not in ("status", "metadata")}
    return {**rest, "metadata": metadata}


def _check(ref: ObjectRef, resource: Resource, manifest: Manifest, namespace: str | None) -> None:
    if not ref.name:
        raise InvalidError(f"{ref.kind}: metadata.name is missing")
    if not resource.namespaced:
        return
    if not ref.namespace:
        raise InvalidError(
            f"{ref}: metadata.namespace is missing; name it or say which one to apply to"
        )
    if namespace and ref.namespace != namespace:
        own = manifest["metadata"]["namespace"]
        raise InvalidError(f"{ref}: it belongs into {own}, not into {namespace}")


def _content(obj: Manifest) -> dict[str, Any]:
    """What counts as a difference: not the bookkeeping, not what controllers report."""
    metadata = {k: v for k, v in obj.get("metadata", {}).items() if k not in _SERVER_FIELDS}
    rest = {key: value for key, value in obj.items() if key not in ("status", "metadata")}
    return {**rest, "metadata": metadata}
