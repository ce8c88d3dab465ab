"""Looks at the cluster and says how an add-on stands there. Called by `reconciler` each round; only reads.

Everything is asked afresh: a handful of reads a round costs little, and what is true now is then
never mixed with what was true at the last event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from agent.bootstrap import helm, readiness
from agent.bootstrap.addon import (
    ADD_ON_LABEL,
    SPEC_HASH_ANNOTATION,
    AddOn,
    HelmSource,
    ManifestSource,
    Sign,
)
from agent.bootstrap.machine import Observation, Phase, Record
from agent.kube import KubeClient, Manifest, ObjectRef
from agent.kube.errors import InvalidError, NotFoundError, NotServedError

TAIL_LINES = 20
TAIL_BYTES = 4096
# What the kubelet answers in place of a log whose file is gone, as if it were one.
_NOT_A_LOG = ("failed to try resolving symlinks", "unable to retrieve container logs")
_NO_CONTROLLER = (
    "this cluster serves no HelmChart (helm.cattle.io/v1), so charts cannot be installed; "
    "use K3s with its helm-controller on, or install k3s-io/helm-controller"
)


class Observer:
    """`helm_namespace` is where our HelmCharts live. Raises KubeError from `observe`."""

    def __init__(
        self, kube: KubeClient, helm_namespace: str, clock: Callable[[], datetime]
    ) -> None:
        self._kube = kube
        self._helm_namespace = helm_namespace
        self._clock = clock

    async def observe(self, add_on: AddOn, record: Record) -> Observation:
        """One look. The record's log tail fills in for a failed pod that is already gone."""
        if isinstance(add_on.source, HelmSource):
            seen = await self._observe_chart(add_on, add_on.source, record)
        else:
            seen = await self._observe_manifests(add_on, add_on.source)
        if seen.phase is Phase.ABSENT:
            return replace(seen, foreign=seen.foreign or await self._foreign(add_on))
        if seen.phase is Phase.SUCCEEDED:
            return await self._with_readiness(add_on, seen)
        return seen

    async def _observe_chart(
        self, add_on: AddOn, source: HelmSource, record: Record
    ) -> Observation:
        kube, namespace = self._kube, self._helm_namespace
        try:
            chart = await kube.get(helm.API_VERSION, helm.KIND, source.release, namespace)
        except NotServedError:
            return Observation(Phase.ABSENT, blocked=_NO_CONTROLLER)
        if chart is None:
            return Observation(Phase.ABSENT)
        if not _ours(chart, add_on):
            return Observation(Phase.ABSENT, foreign=f"HelmChart {namespace}/{source.release}")
        job = await kube.get("batch/v1", "Job", helm.job_name(source), namespace)
        releases = await kube.list(
            "v1",
            "Secret",
            source.target_namespace,
            label_selector=f"owner=helm,name={source.release}",
            field_selector=f"type={helm.RELEASE_TYPE}",
        )
        run = helm.progress(chart, job, releases, add_on.spec_hash, self._clock())
        seen = Observation(run.phase, run.run, message=run.message)
        if run.phase in (Phase.RUNNING, Phase.FAILED):
            return await self._with_job_pods(source, seen, record)
        return seen

    async def _with_job_pods(
        self, source: HelmSource, seen: Observation, record: Record
    ) -> Observation:
        """Add why helm fails. The pod goes when its Job fails for good: read its log while it is there."""
        pods = await self._kube.list(
            "v1", "Pod", self._helm_namespace, label_selector=f"{helm.CHART_LABEL}={source.release}"
        )
        pods = [pod for pod in pods if _owner(pod) == seen.run]
        problem, tail = await self._pods_trouble(pods)
        if not tail and seen.run == record.run:
            tail = record.log_tail
        reason = helm.reason_of(tail)
        if seen.phase is Phase.FAILED or not problem:
            return replace(seen, message=reason or seen.message, log_tail=tail)
        return replace(seen, message=f"{seen.message}; {reason or problem}", log_tail=tail)

    async def _observe_manifests(self, add_on: AddOn, source: ManifestSource) -> Observation:
        wanted = [*add_on.namespaces, *source.manifests]
        found: list[Manifest] = []
        for manifest in wanted:
            ref = ObjectRef.of(manifest)
            try:
                live = await self._kube.get(ref.api_version, ref.kind, ref.name, ref.namespace)
            except NotServedError:
                live = None
            if live is not None and _ours(live, add_on):
                found.append(live)
        if not found:
            return Observation(Phase.ABSENT)
        leaving = [obj for obj in found if obj["metadata"].get("deletionTimestamp")]
        if leaving:
            return Observation(
                Phase.REMOVING, message=f"{ObjectRef.of(leaving[0])} is being deleted"
            )
        secrets = [
            await self._kube.get("v1", "Secret", secret.name, secret.namespace)
            for secret in add_on.secrets
        ]
        current = all(_hash(obj) == add_on.spec_hash for obj in found)
        if len(found) < len(wanted) or None in secrets or not current:
            return Observation(Phase.OUTDATED)
        return Observation(Phase.SUCCEEDED)

    async def _with_readiness(self, add_on: AddOn, seen: Observation) -> Observation:
        for ref in add_on.ready:
            try:
                found = await self._kube.get(ref.api_version, ref.kind, ref.name, ref.namespace)
            except NotServedError:
                found = None
            problem = readiness.trouble(ref, found)
            if not problem:
                continue
            tail = ""
            if found is not None and ref.kind in readiness.WORKLOADS:
                pods = await self._kube.list(
                    "v1", "Pod", ref.namespace, label_selector=_selector(found)
                )
                why, tail = await self._pods_trouble(pods)
                problem = f"{problem}; {why}" if why else problem
            return replace(seen, ready=False, message=problem, log_tail=tail)
        return replace(seen, ready=True)

    async def _foreign(self, add_on: AddOn) -> str:
        for sign in add_on.signs:
            for found in await self._matching(sign):
                if not _ours(found, add_on):
                    return str(ObjectRef.of(found))
        return ""

    async def _matching(self, sign: Sign) -> Sequence[Manifest]:
        try:
            if sign.name:
                found = await self._kube.get(
                    sign.api_version, sign.kind, sign.name, sign.namespace or None
                )
                return [] if found is None else [found]
            selector = ",".join(f"{key}={value}" for key, value in sign.labels.items())
            return await self._kube.list(
                sign.api_version, sign.kind, sign.namespace or None, label_selector=selector
            )
        except NotServedError:
            return []

    async def _pods_trouble(self, pods: Sequence[Manifest]) -> tuple[str, str]:
        """Why the pods do not run, and the end of the log that tells it."""
        problem = ""
        for pod in pods:
            problem = problem or readiness.pod_trouble(pod)
            failed = readiness.failed_container(pod)
            if failed is not None:
                tail = await self._tail(pod, *failed)
                if tail:
                    return problem or readiness.pod_trouble(pod), tail
        return problem, ""

    async def _tail(self, pod: Manifest, container: str, previous: bool) -> str:
        metadata = pod["metadata"]
        content = b""
        try:
            async for chunk in self._kube.logs(
                metadata["namespace"],
                metadata["name"],
                container,
                tail_lines=TAIL_LINES,
                previous=previous,
                timestamps=False,
            ):
                content = (content + chunk)[-TAIL_BYTES:]
        except (NotFoundError, InvalidError):
            return ""  # gone, or rotated away, since we looked
        text = content.decode("utf-8", "replace").strip()
        return "" if text.startswith(_NOT_A_LOG) else text


def _ours(obj: Manifest, add_on: AddOn) -> bool:
    labels = obj["metadata"].get("labels") or {}
    return bool(labels.get(ADD_ON_LABEL) == add_on.name)


def _hash(obj: Manifest) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(SPEC_HASH_ANNOTATION, ""))


def _owner(obj: Manifest) -> str:
    for owner in obj["metadata"].get("ownerReferences") or ():
        return str(owner["uid"])
    return ""


def _selector(workload: Manifest) -> str:
    labels = (workload["spec"].get("selector") or {}).get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in labels.items())
