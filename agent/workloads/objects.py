"""Putting one app's objects into the cluster and taking them out again, one at a time.

Deploy, preview and removal share what is special here: whose an object is, what cannot be changed
and must be made anew, and never touching what is somebody else's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import structlog

from agent.kube import Applied, KubeClient, Live, Manifest, ObjectRef
from agent.kube.backoff import Backoff, retry_transient
from agent.kube.errors import InvalidError, ModifiedError, NotServedError, UnreachableError
from agent.workloads.concurrent import run_all
from agent.workloads.errors import OwnedElsewhereError
from agent.workloads.gate import admit
from agent.workloads.inventory import FIELD_MANAGER
from agent.workloads.labels import (
    APP,
    ENVIRONMENT,
    MANAGED_BY,
    MANAGER,
    PROJECT,
    belongs_to,
    is_ours,
    label,
)
from agent.workloads.model import EnvironmentSpec

log = structlog.get_logger(__name__)

REPLACEABLE = frozenset({"Service", "Deployment", "Job", "CronJob"})
"""Kinds that hold no data, so that deleting and making them anew loses nothing but a moment."""
VOLUME = "PersistentVolumeClaim"
_GONE_TIMEOUT = 90.0


def owned(manifest: Manifest, app: str, environment: EnvironmentSpec) -> Manifest:
    """The manifest with the labels and the namespace that make it this app's."""
    metadata = manifest["metadata"]
    namespace = metadata.get("namespace", environment.namespace)
    if namespace != environment.namespace:
        raise OwnedElsewhereError(
            f"{ObjectRef.of(manifest)} lies outside the environment's namespace "
            f"{environment.namespace}"
        )
    labels = {
        **(metadata.get("labels") or {}),
        MANAGED_BY: MANAGER,
        APP: app,
        PROJECT: environment.project,
        ENVIRONMENT: environment.environment,
    }
    return {**manifest, "metadata": {**metadata, "namespace": namespace, "labels": labels}}


def foreign_owner(live: Manifest, app: str) -> str | None:
    """Who has an object that an app wants, None when it is free to have it."""
    if belongs_to(live, app):
        return None
    if is_ours(live):
        other = label(live, APP)
        return f"app {other}" if other else "the environment itself"
    managers = {
        str(entry.get("manager", "")) for entry in live["metadata"].get("managedFields") or ()
    }
    return f"somebody else ({', '.join(sorted(managers - {''})) or 'unknown'})"


def must_be_replaced(manifest: Manifest, live: Manifest) -> bool:
    """Changes that the API server takes without making them so: a Service that had no address of
    its own keeps having none."""
    if manifest["kind"] != "Service":
        return False
    wanted = (manifest.get("spec") or {}).get("clusterIP") == "None"
    has = (live.get("spec") or {}).get("clusterIP") == "None"
    return wanted != has


class Objects:
    """One app's objects in one namespace."""

    def __init__(
        self,
        kube: KubeClient,
        environment: EnvironmentSpec,
        app: str,
        *,
        api_timeout: float = 60.0,
    ) -> None:
        self._kube = kube
        self._environment = environment
        self._namespace = environment.namespace
        self._app = app
        self._api_timeout = api_timeout

    async def live(self, refs: Sequence[ObjectRef]) -> dict[ObjectRef, Manifest]:
        """Those of the objects that exist."""
        found = await run_all([partial(self._get, ref) for ref in refs])
        return {ref: obj for ref, obj in zip(refs, found, strict=True) if obj is not None}

    def check_owner(self, live: Mapping[ObjectRef, Manifest]) -> None:
        """Raises OwnedElsewhereError naming everything that belongs to somebody else."""
        taken = [
            f"{ref.kind} {ref.name} belongs to {owner}"
            for ref, obj in live.items()
            if (owner := foreign_owner(obj, self._app)) is not None
        ]
        if taken:
            raise OwnedElsewhereError(
                f"in namespace {self._namespace}: {'; '.join(taken)}. Nothing was changed; rename "
                "the service, or use another environment"
            )

    async def apply(
        self, manifest: Manifest, live: Live | None = None, *, dry_run: bool = False
    ) -> Applied:
        """Apply one, making it anew where it cannot be changed. `live` as in `KubeClient.apply`.

        Raises RefusedError when an app may not have it, and KubeError.
        """
        ref = ObjectRef.of(manifest)
        try:
            applied = await self._apply(manifest, live, dry_run=dry_run)
        except InvalidError as error:
            if ref.kind not in REPLACEABLE or not error.immutable:
                raise
            found = await self._get(ref)
            if found is None:
                raise
            return await self._replace(ref, manifest, found, dry_run=dry_run)
        if applied.previous is not None and must_be_replaced(manifest, applied.previous):
            return await self._replace(ref, manifest, applied.previous, dry_run=dry_run)
        return applied

    async def make_room(self, live: Manifest) -> bool:
        """A Job that failed stays failed however often it is applied: delete it for a new run.

        False for everything else.
        """
        conditions = live.get("status", {}).get("conditions") or ()
        failed = any(c.get("type") == "Failed" and c.get("status") == "True" for c in conditions)
        if live["kind"] != "Job" or not failed:
            return False
        await self._delete_and_wait(ObjectRef.of(live), live)
        return True

    async def delete(self, refs: Iterable[ObjectRef]) -> list[ObjectRef]:
        """Delete those that exist and are this app's, one after the other; which ones they were."""
        deleted = []
        for ref in refs:
            live = await self._get(ref)
            if live is None or not belongs_to(live, self._app):
                continue
            if await self._delete(ref, live):
                deleted.append(ref)
        return deleted

    async def _apply(self, manifest: Manifest, live: Live | None, *, dry_run: bool) -> Applied:
        admit([manifest], self._app, self._environment)
        return await retry_transient(
            partial(
                self._kube.apply,
                manifest,
                field_manager=FIELD_MANAGER,
                namespace=self._namespace,
                dry_run=dry_run,
                live=live,
            ),
            within=self._api_timeout,
        )

    async def _replace(
        self, ref: ObjectRef, manifest: Manifest, live: Manifest, *, dry_run: bool
    ) -> Applied:
        if dry_run:
            return Applied(obj=manifest, changed=True, previous=live)
        log.info("object_replaced", kind=ref.kind, name=ref.name, namespace=ref.namespace)
        await self._delete_and_wait(ref, live)
        applied = await self._apply(manifest, Live(None), dry_run=False)
        return Applied(obj=applied.obj, changed=True, previous=live)

    async def _delete_and_wait(self, ref: ObjectRef, live: Manifest) -> None:
        # Foreground: its pods go first, so that old and new never run side by side.
        await self._delete(ref, live, propagation="Foreground")
        backoff = Backoff(first=0.05, longest=1.0)
        uid = live["metadata"]["uid"]
        try:
            async with asyncio.timeout(_GONE_TIMEOUT):
                while True:
                    found = await self._get(ref)
                    if found is None or found["metadata"]["uid"] != uid:
                        return
                    await asyncio.sleep(backoff.next())
        except TimeoutError as error:
            raise UnreachableError(
                f"{ref} is still being deleted after {_GONE_TIMEOUT:.0f} s"
            ) from error

    async def _delete(
        self, ref: ObjectRef, live: Manifest, propagation: str = "Background"
    ) -> bool:
        try:
            return await retry_transient(
                partial(
                    self._kube.delete,
                    *(ref.api_version, ref.kind, ref.name, self._namespace),
                    propagation=propagation,
                    uid=live["metadata"]["uid"],
                ),
                within=self._api_timeout,
            )
        except ModifiedError:  # another object has the name by now; it is not the one to delete
            return False

    async def _get(self, ref: ObjectRef) -> Manifest | None:
        try:
            return await retry_transient(
                partial(self._kube.get, ref.api_version, ref.kind, ref.name, self._namespace),
                within=self._api_timeout,
            )
        except NotServedError:  # its CRD is gone, and with it the object
            return None
