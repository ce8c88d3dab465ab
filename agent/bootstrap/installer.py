"""Does what `machine` decided: applies an add-on, or clears a failed try away and runs it again.

Every step is a server-side apply or a delete of one very object, so being killed anywhere and
repeated leads to the same end. Called by `reconciler`.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime

import structlog

from agent.bootstrap import helm
from agent.bootstrap.addon import (
    SPEC_HASH_ANNOTATION,
    AddOn,
    GeneratedSecret,
    HelmSource,
    ManifestSource,
)
from agent.bootstrap.namespace import FIELD_MANAGER, OwnNamespace
from agent.kube import KubeClient, Manifest

log = structlog.get_logger(__name__)


class Installer:
    """Raises KubeError from both calls; what was applied before the error stays, and is ours."""

    def __init__(
        self,
        kube: KubeClient,
        namespace: OwnNamespace,
        clock: Callable[[], datetime],
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._kube = kube
        self._namespace = namespace
        self._clock = clock
        self._random_bytes = random_bytes

    async def apply(self, add_on: AddOn) -> None:
        """Make the add-on's objects so."""
        await self._ensure_namespaces(add_on)
        for secret in add_on.secrets:
            await self._ensure_secret(add_on, secret)
        if isinstance(add_on.source, HelmSource):
            await self._apply_chart(add_on, add_on.source, again=False)
        else:
            await self._apply_manifests(add_on, add_on.source)

    async def retry(self, add_on: AddOn) -> None:
        """Run a failed installation again."""
        if isinstance(add_on.source, ManifestSource):
            await self.apply(add_on)
            return
        await self._ensure_namespaces(add_on)
        await self._retry_chart(add_on, add_on.source)

    async def _ensure_namespaces(self, add_on: AddOn) -> None:
        await self._namespace.ensure()
        for namespace in add_on.namespaces:
            await self._apply(_marked(namespace, add_on))

    async def _apply_manifests(self, add_on: AddOn, source: ManifestSource) -> None:
        for manifest in source.manifests:
            await self._apply(_marked(manifest, add_on), served_within=30.0)

    async def _apply_chart(self, add_on: AddOn, source: HelmSource, *, again: bool) -> None:
        """Apply the HelmChart. A change (or another try) makes the present Job the previous one."""
        kube, namespace = self._kube, self._namespace.name
        live = await kube.get(helm.API_VERSION, helm.KIND, source.release, namespace)
        annotations = ((live or {}).get("metadata") or {}).get("annotations") or {}
        if annotations.get(SPEC_HASH_ANNOTATION) == add_on.spec_hash and not again:
            return
        job = await kube.get("batch/v1", "Job", helm.job_name(source), namespace)
        manifest = helm.chart_manifest(
            add_on,
            source,
            namespace,
            previous_job=str(job["metadata"]["uid"]) if job else "",
            applied_at=self._clock(),
        )
        await self._apply(manifest)

    async def _retry_chart(self, add_on: AddOn, source: HelmSource) -> None:
        """helm-controller never repeats a failed Job; when the Job is gone it makes a new one.

        A release that helm left unfinished would make every later try refuse to start, and with the
        failure policy `abort` nobody else clears it away: its newest revision is forgotten (what it
        created stays, and is adopted by the next try).
        """
        kube, namespace = self._kube, self._namespace.name
        job = await kube.get("batch/v1", "Job", helm.job_name(source), namespace)
        if job is None or not (job.get("status") or {}).get("active"):
            await self._forget_unfinished(source)
        await self._apply_chart(add_on, source, again=True)
        if job is not None:
            await kube.delete(
                "batch/v1", "Job", helm.job_name(source), namespace, uid=job["metadata"]["uid"]
            )

    async def _forget_unfinished(self, source: HelmSource) -> None:
        releases = await self._kube.list(
            "v1",
            "Secret",
            source.target_namespace,
            label_selector=f"owner=helm,name={source.release}",
            field_selector=f"type={helm.RELEASE_TYPE}",
        )
        newest = helm.newest_release(releases)
        if newest is None or helm.release_status(newest) not in helm.UNFINISHED:
            return
        metadata = newest["metadata"]
        log.info("unfinished_release_forgotten", release=metadata["name"])
        await self._kube.delete(
            "v1", "Secret", metadata["name"], metadata["namespace"], uid=metadata["uid"]
        )

    async def _ensure_secret(self, add_on: AddOn, wanted: GeneratedSecret) -> None:
        """Make the Secret, or add what it lacks; a value that is there is never replaced."""
        live = await self._kube.get("v1", "Secret", wanted.name, wanted.namespace)
        data: dict[str, str] = dict((live or {}).get("data") or {})
        missing = {key: size for key, size in wanted.keys.items() if key not in data}
        if live is not None and not missing:
            return
        data.update({key: self._random_hex(size) for key, size in missing.items()})
        await self._apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": wanted.name,
                    "namespace": wanted.namespace,
                    "labels": add_on.labels,
                },
                "type": "Opaque",
                "data": data,
            }
        )

    def _random_hex(self, size: int) -> str:
        return base64.b64encode(self._random_bytes(size).hex().encode()).decode()

    async def _apply(self, manifest: Manifest, served_within: float = 0.0) -> None:
        await self._kube.apply(manifest, field_manager=FIELD_MANAGER, served_within=served_within)


def _marked(manifest: Mapping[str, object], add_on: AddOn) -> Manifest:
    """With our labels, and the hash of the configuration it belongs to."""
    marked: Manifest = dict(manifest)
    metadata = dict(marked["metadata"])
    metadata["labels"] = {**(metadata.get("labels") or {}), **add_on.labels}
    metadata["annotations"] = {
        **(metadata.get("annotations") or {}),
        SPEC_HASH_ANNOTATION: add_on.spec_hash,
    }
    marked["metadata"] = metadata
    return marked
