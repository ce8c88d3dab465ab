"""Take an app away: everything in its inventory and everything that carries its labels.

Volumes stay unless they are asked for; a later deploy of the same app finds and uses them again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from agent.kube import KubeClient, ObjectRef
from agent.kube.backoff import retry_transient
from agent.kube.errors import KubeError, NotServedError
from agent.workloads.environments import Environments
from agent.workloads.errors import DEADLINE_EXCEEDED, WorkloadError, outcome_of
from agent.workloads.inventory import Inventories, inventory_name, manifests_name, union
from agent.workloads.labels import app_selector
from agent.workloads.model import Outcome, RemoveRequest
from agent.workloads.objects import VOLUME, Objects
from agent.workloads.observe import Watched, observe

# In the order of deletion: what restarts pods first, what pods need last.
_KINDS = (
    ("batch/v1", "CronJob"),
    ("apps/v1", "Deployment"),
    ("batch/v1", "Job"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "Secret"),
    ("v1", VOLUME),
)


class Remover:
    def __init__(
        self,
        kube: KubeClient,
        environments: Environments,
        *,
        pods_gone_within: float = 120.0,
        api_timeout: float = 60.0,
    ) -> None:
        self._kube = kube
        self._environments = environments
        self._pods_gone_within = pods_gone_within
        self._api_timeout = api_timeout
        self._inventories = Inventories(kube)

    async def remove(self, request: RemoveRequest, tell: Callable[[str], None]) -> Outcome:
        """Delete and return when the pods are gone; doing it again finds nothing to do."""
        try:
            return await self._remove(request, tell)
        except (WorkloadError, KubeError) as error:
            return outcome_of(error)

    async def _remove(self, request: RemoveRequest, tell: Callable[[str], None]) -> Outcome:
        namespace = request.environment.namespace
        if not await self._environments.exists(request.environment):
            return Outcome(0, "", f"namespace {namespace} is not there: nothing to delete")
        found = await self._find(namespace, request.app)
        volumes = [ref for ref in found if ref.kind == VOLUME]
        records = {inventory_name(request.app), manifests_name(request.app)}
        doomed = [ref for ref in found if ref.kind != VOLUME and ref.name not in records]
        objects = Objects(self._kube, request.environment, request.app)
        tell(f"deleting {len(doomed)} objects")
        deleted = await objects.delete(doomed)
        await self._pods_gone(namespace, request.app, tell)
        if request.delete_volumes:
            # Only now: a volume in use is held back until its last pod is gone.
            deleted += await objects.delete(volumes)
        await self._inventories.forget(namespace, request.app)
        names = ", ".join(ref.name for ref in volumes)
        kept = ""
        if names and not request.delete_volumes:
            kept = f"; volumes kept: {names} (a deploy of the same app uses them again)"
        elif names:
            kept = f"; volumes deleted: {names}"
        return Outcome(0, "", f"{request.app} is deleted, {len(deleted)} objects{kept}")

    async def _find(self, namespace: str, app: str) -> list[ObjectRef]:
        record = await self._inventories.load(namespace, app)
        listed: list[ObjectRef] = []
        for api_version, kind in _KINDS:
            with suppress(NotServedError):
                items = await retry_transient(
                    partial(self._kube.list, api_version, kind, namespace, app_selector(app)),
                    within=self._api_timeout,
                )
                listed += [ObjectRef.of(item) for item in items]
        return list(union(listed, record.objects[::-1] if record else ()))

    async def _pods_gone(self, namespace: str, app: str, tell: Callable[[str], None]) -> None:
        watched = [Watched("v1", "Pod", app_selector(app))]
        names = ""
        try:
            async with (
                asyncio.timeout(self._pods_gone_within),
                observe(self._kube, watched, namespace) as picture,
            ):
                while picture.of("Pod"):
                    names = ", ".join(pod["metadata"]["name"] for pod in picture.of("Pod"))
                    tell(f"waiting for pods to end: {names}")
                    await picture.changed()
        except TimeoutError as error:
            raise WorkloadError(
                DEADLINE_EXCEEDED,
                "DEADLINE_EXCEEDED",
                f"pods still end after {self._pods_gone_within:.0f} s: {names}. Delete the app "
                "again when their nodes are back",
            ) from error
