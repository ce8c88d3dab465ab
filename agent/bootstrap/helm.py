"""HelmChart objects: what we apply, and what the controller's answer means. Pure.

The controller gives a HelmChart no Ready condition and no observed generation: success is the
completed Job of the *present* configuration plus a deployed release. Which Job that is, we write down
ourselves, atomically with the change: an annotation holds the uid of the Job from before it.
Source: k3s-io/helm-controller v0.17.9, pkg/controllers/chart/chart.go. See docs/decisions/071.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from agent.bootstrap.addon import SPEC_HASH_ANNOTATION, AddOn, HelmSource
from agent.bootstrap.machine import Phase
from agent.kube import Manifest

API_VERSION = "helm.cattle.io/v1"
KIND = "HelmChart"
CHART_LABEL = "helmcharts.helm.cattle.io/chart"
PREVIOUS_JOB_ANNOTATION = "skerry.dev/previous-job"
APPLIED_AT_ANNOTATION = "skerry.dev/applied-at"
RELEASE_TYPE = "helm.sh/release.v1"
UNFINISHED = frozenset({"failed", "pending-install", "pending-upgrade", "pending-rollback"})

REPLACE_WITHIN = timedelta(seconds=60)
"""An unchanged Job this long after a change means that the change asks for no new run."""
ANSWER_WITHIN = timedelta(seconds=120)
"""No Job at all this long after a change means that no controller is at work."""


@dataclass(frozen=True, slots=True)
class Run:
    """How far helm is. `run` is the uid of the Job that `phase` speaks of."""

    phase: Phase
    run: str = ""
    message: str = ""


def chart_manifest(
    add_on: AddOn, source: HelmSource, namespace: str, *, previous_job: str, applied_at: datetime
) -> Manifest:
    """The HelmChart of an add-on."""
    spec: dict[str, Any] = {
        "chart": source.chart,
        "version": source.version,
        "targetNamespace": source.target_namespace,
        "createNamespace": True,
        "failurePolicy": source.failure_policy,
        "backOffLimit": source.backoff_limit,
        "timeout": go_duration(source.timeout_seconds),
    }
    optional = {
        "repo": source.repository,
        "valuesContent": source.values,
        "jobImage": source.job_image,
    }
    spec.update({key: value for key, value in optional.items() if value})
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": source.release,
            "namespace": namespace,
            "labels": add_on.labels,
            "annotations": {
                SPEC_HASH_ANNOTATION: add_on.spec_hash,
                PREVIOUS_JOB_ANNOTATION: previous_job,
                APPLIED_AT_ANNOTATION: applied_at.isoformat(timespec="seconds"),
            },
        },
        "spec": spec,
    }


def go_duration(seconds: int) -> str:
    """Seconds as Go prints a duration (`10m0s`). The controller writes the whole object back once, with
    every duration in that form: any other would from then on be a value that it holds against ours."""
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"


def job_name(source: HelmSource) -> str:
    return f"helm-install-{source.release}"


def progress(
    chart: Manifest,
    job: Manifest | None,
    releases: Sequence[Manifest],
    spec_hash: str,
    now: datetime,
) -> Run:
    """What a HelmChart of ours, its install Job and its release Secrets say together."""
    if chart["metadata"].get("deletionTimestamp"):
        return Run(
            Phase.REMOVING,
            message="its HelmChart is being deleted; waiting for helm to uninstall it",
        )
    annotations = chart["metadata"].get("annotations") or {}
    if annotations.get(SPEC_HASH_ANNOTATION) != spec_hash:
        return Run(Phase.OUTDATED)
    since = now - _applied_at(annotations, now)
    if job is None:
        return _without_job(chart, since)
    run = str(job["metadata"]["uid"])
    if run == annotations.get(PREVIOUS_JOB_ANNOTATION) and since < REPLACE_WITHIN:
        return Run(Phase.RUNNING, run, "waiting for helm-controller to take the change up")
    if job["metadata"].get("deletionTimestamp"):
        return Run(Phase.RUNNING, run, "waiting for the last run of helm to be cleared away")
    if _condition(job, "Complete"):
        return _completed(run, releases)
    if _condition(job, "Failed"):
        return Run(Phase.FAILED, run, "helm failed in every try of its job")
    refused = _refused(chart)
    if refused:
        return Run(Phase.FAILED, run, refused)
    return Run(Phase.RUNNING, run, "helm is at work")


def newest_release(releases: Sequence[Manifest]) -> Manifest | None:
    """The release Secret of the highest revision."""
    return max(releases, key=_revision, default=None)


def release_status(release: Manifest | None) -> str:
    """`deployed`, `failed`, `pending-install`, …; empty when there is no release."""
    return (
        "" if release is None else str((release["metadata"].get("labels") or {}).get("status", ""))
    )


def reason_of(log_tail: str) -> str:
    """The line of helm's log that says why: its last `Error: …`, else its last line."""
    lines = [line.strip() for line in log_tail.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error:")]
    return (errors or lines or [""])[-1]


def _without_job(chart: Manifest, since: timedelta) -> Run:
    refused = _refused(chart)
    if refused:
        return Run(Phase.FAILED, message=refused)
    if since > ANSWER_WITHIN:
        return Run(
            Phase.FAILED,
            message=f"helm-controller made no job within {ANSWER_WITHIN.seconds} s; is it running?",
        )
    return Run(Phase.RUNNING, message="waiting for helm-controller to start its job")


def _completed(run: str, releases: Sequence[Manifest]) -> Run:
    status = release_status(newest_release(releases))
    if status == "deployed":
        return Run(Phase.SUCCEEDED, run)
    if status in UNFINISHED:
        return Run(Phase.FAILED, run, f"helm's job is done, but its release is {status}")
    return Run(Phase.RUNNING, run, "helm's job is done; waiting for its release")


def _refused(chart: Manifest) -> str:
    """What the controller itself objects to. `Job failed` is not that: it may speak of an older Job."""
    for condition in (chart.get("status") or {}).get("conditions") or ():
        if (
            condition.get("type") == "Failed"
            and condition.get("status") == "True"
            and condition.get("reason") != "Job failed"
        ):
            return f"helm-controller: {condition.get('reason', '')}: {condition.get('message', '')}"
    return ""


def _applied_at(annotations: dict[str, str], now: datetime) -> datetime:
    try:
        return datetime.fromisoformat(annotations[APPLIED_AT_ANNOTATION])
    except (KeyError, ValueError):
        return now


def _condition(job: Manifest, kind: str) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(c.get("type") == kind and c.get("status") == "True" for c in conditions)


def _revision(release: Manifest) -> int:
    text = (release["metadata"].get("labels") or {}).get("version", "0")
    return int(text) if text.isdigit() else 0
