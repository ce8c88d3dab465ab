"""Services → Deployments, Jobs and CronJobs."""

from __future__ import annotations

import json
from typing import Any

from agent.compose.assembly import Assembly
from agent.compose.durations import ceil_seconds
from agent.compose.jobs import job_policy
from agent.compose.labels import label_annotations
from agent.compose.metadata import ORIGINAL_NAME, Metadata
from agent.compose.names import checksum, dns_label, object_name
from agent.compose.pods import Pods
from agent.compose.probes import progress_deadline
from agent.compose.result import Manifest, WorkloadKind

_LONGEST_DELAY = 86_400


def workload(assembly: Assembly, pods: Pods, metadata: Metadata) -> Manifest:
    """The object that runs a service."""
    if assembly.kind is WorkloadKind.JOB:
        return _job(assembly, pods, metadata)
    if assembly.kind is WorkloadKind.CRON_JOB:
        return _cron_job(assembly, pods, metadata)
    return _deployment(assembly, pods, metadata)


def _deployment(assembly: Assembly, pods: Pods, metadata: Metadata) -> Manifest:
    service = assembly.service
    delay = _delay(assembly)
    spec: dict[str, Any] = {
        "replicas": service.replicas,
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": max(progress_deadline(m.service) for m in assembly.pod) + delay,
        "selector": {"matchLabels": metadata.selector(assembly.name)},
        "strategy": _strategy(assembly),
        "template": pods.template(assembly, "Always"),
    }
    if delay:
        spec["minReadySeconds"] = delay
    return metadata.manifest(
        "apps/v1",
        "Deployment",
        assembly.name,
        assembly.name,
        _annotations(assembly),
        {"spec": spec},
    )


def _job(assembly: Assembly, pods: Pods, metadata: Metadata) -> Manifest:
    """A Job whose name has a hash of what it runs: Jobs cannot be changed, a new one is made."""
    policy = job_policy(assembly.service)
    template = pods.template(assembly, policy.restart_policy)
    digest = checksum(json.dumps(template, sort_keys=True).encode(), 10)
    spec = {
        "backoffLimit": policy.backoff_limit,
        "template": template,
    }
    return metadata.manifest(
        "batch/v1",
        "Job",
        object_name(assembly.name[:40].rstrip("-"), digest),
        assembly.name,
        _annotations(assembly),
        {"spec": spec},
    )


def _cron_job(assembly: Assembly, pods: Pods, metadata: Metadata) -> Manifest:
    """One run at a time; a run that was missed for an hour is left out."""
    policy = job_policy(assembly.service)
    spec = {
        "schedule": assembly.service.extension.cron,
        "timeZone": "Etc/UTC",
        "concurrencyPolicy": assembly.service.hints.concurrency or "Forbid",
        "startingDeadlineSeconds": 3_600,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 3,
        "jobTemplate": {
            "metadata": {"labels": metadata.labels(assembly.name)},
            "spec": {
                "backoffLimit": policy.backoff_limit,
                "template": pods.template(assembly, policy.restart_policy),
            },
        },
    }
    return metadata.manifest(
        "batch/v1",
        "CronJob",
        dns_label(assembly.name)[:52].rstrip("-"),
        assembly.name,
        _annotations(assembly),
        {"spec": spec},
    )


def _annotations(assembly: Assembly) -> dict[str, str]:
    found: dict[str, str] = {}
    for member in assembly.pod:
        found |= label_annotations(member.service.labels, member.service.fields)
    if assembly.name != assembly.service.name:
        found[ORIGINAL_NAME] = assembly.service.name
    return found


def _delay(assembly: Assembly) -> int:
    deploy = assembly.service.fields.child("deploy")
    update = deploy.child("update_config") if deploy else None
    delay = update.duration("delay") if update else None
    return min(ceil_seconds(delay), _LONGEST_DELAY) if delay else 0


def _strategy(assembly: Assembly) -> dict[str, Any]:
    """Recreate where a volume is mounted: two pods must not write to it at once."""
    deploy = assembly.service.fields.child("deploy")
    update = deploy.child("update_config") if deploy else None
    if any(member.volumes.claims for member in assembly.pod):
        if update is not None:
            update.warning(
                "CMP417",
                "order" if update.has("order") else "parallelism",
                "the old pod stops before the new one starts, because a volume is mounted",
            )
        return {"type": "Recreate"}
    if update is None:
        return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    order = update.choice("order", ("start-first", "stop-first"), "stop-first")
    count = update.whole("parallelism")
    parallelism = 1 if count is None else max(count, 0) or max(assembly.service.replicas, 1)
    surge = order == "start-first"
    return {
        "type": "RollingUpdate",
        "rollingUpdate": {
            "maxSurge": parallelism if surge else 0,
            "maxUnavailable": 0 if surge else parallelism,
        },
    }
