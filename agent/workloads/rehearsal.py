"""A deploy's objects, tried by server-side dry run: what the API server would say, before anything
is applied.

The deploy refuses to begin when anything is refused here; the preview shows it object by object.
Pods are tried too: a Deployment that breaks the namespace's security level or limits is taken by
the API server, and only its pods would be refused, later.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from agent.kube import Applied, KubeClient, Live, Manifest, ObjectRef
from agent.kube.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    KubeError,
    PodSecurityError,
    QuotaExceededError,
)
from agent.workloads.concurrent import run_all
from agent.workloads.errors import FAILED_PRECONDITION, RESOURCE_EXHAUSTED, RefusedError
from agent.workloads.inventory import FIELD_MANAGER
from agent.workloads.objects import Objects
from agent.workloads.quantity import parse_quantity
from agent.workloads.troubles import quota_message

_REFUSALS = (ConflictError, InvalidError, ForbiddenError)


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What would happen to one object: `applied`, or the reason why not."""

    manifest: Manifest
    applied: Applied | None
    refusal: KubeError | None = None

    @property
    def ref(self) -> ObjectRef:
        return ObjectRef.of(self.manifest)


async def rehearse(
    kube: KubeClient,
    objects: Objects,
    manifests: Sequence[Manifest],
    live: Mapping[ObjectRef, Manifest],
) -> list[Rehearsed]:
    """Try all against what is there now. Raises KubeError for what is no refusal (API server
    away)."""
    return await run_all(
        [
            partial(_try, kube, objects, manifest, Live(live.get(ObjectRef.of(manifest))))
            for manifest in manifests
        ]
    )


def check(rehearsed: Sequence[Rehearsed]) -> None:
    """Raises RefusedError that names each object refused and why."""
    refused = [one for one in rehearsed if one.refusal is not None]
    if not refused:
        return
    kinds = [one.refusal for one in refused]
    code, reason = FAILED_PRECONDITION, "CLUSTER_API_ERROR"
    if any(isinstance(error, ConflictError) for error in kinds):
        reason = "OBJECT_OWNED_ELSEWHERE"
    elif any(isinstance(error, QuotaExceededError) for error in kinds):
        code, reason = RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED"
    elif any(isinstance(error, PodSecurityError) for error in kinds):
        reason = "PodSecurity"
    lines = "; ".join(refusal_text(error) for error in kinds if error is not None)
    raise RefusedError(code, reason, f"the cluster refuses it, nothing was applied: {lines}")


def refusal_text(error: KubeError) -> str:
    """The reason for people."""
    if isinstance(error, QuotaExceededError):
        about, _, detail = error.message.partition(": ")
        return f"{about.removeprefix('apply ')}: {quota_message(detail)}"
    return error.message.removeprefix("apply ")


async def _try(kube: KubeClient, objects: Objects, manifest: Manifest, live: Live) -> Rehearsed:
    try:
        applied = await objects.apply(manifest, live, dry_run=True)
        pod = pod_of(manifest)
        if pod is not None:
            await _try_pod(kube, pod)
    except _REFUSALS as error:
        if error.retryable:
            raise
        return Rehearsed(manifest, None, error)
    return Rehearsed(manifest, applied)


async def _try_pod(kube: KubeClient, pod: Manifest) -> None:
    try:
        await kube.apply(
            pod, field_manager=FIELD_MANAGER, dry_run=True, strict=False, live=Live(None)
        )
    except QuotaExceededError as error:
        # Room is made while old pods go: only what alone exceeds the limit can never fit.
        if exceeds_alone(error.message):
            raise


def pod_of(manifest: Manifest) -> Manifest | None:
    """A pod as the workload's controller would make it; None for other kinds."""
    spec = manifest.get("spec") or {}
    if manifest["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    elif manifest["kind"] not in ("Deployment", "Job"):
        return None
    template = spec["template"]
    metadata = manifest["metadata"]
    pod_spec = dict(template["spec"])
    if manifest["kind"] == "Deployment":
        pod_spec.setdefault("restartPolicy", "Always")
    labels = (template.get("metadata") or {}).get("labels") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": dict(labels),
        },
        "spec": pod_spec,
    }


def exceeds_alone(message: str) -> bool:
    """Whether a quota refusal asks for more than the whole limit of something."""
    found = re.search(r"requested: (.*), used: .*, limited: (.*?)\.?$", message)
    if not found:
        return True
    requested, limited = (_amounts(part) for part in found.groups())
    return any(amount > limited[name] for name, amount in requested.items() if name in limited)


def _amounts(text: str) -> dict[str, float]:
    pairs = (part.partition("=") for part in text.split(","))
    return {name.strip(): parse_quantity(value) for name, _, value in pairs}
