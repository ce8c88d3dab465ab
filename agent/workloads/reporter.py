"""Keeps the control plane's picture of every app current, deploy or no deploy.

One set of watches over all namespaces. Whatever changes marks its app; marked apps are judged and
published together, at most once a second each. Events are not watched (a cluster makes thousands):
they are asked for when a pod hangs without saying why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from agent.kube import KubeClient, Manifest
from agent.kube.backoff import Backoff
from agent.kube.errors import KubeError
from agent.workloads.inventory import Inventory, Stage, from_manifest
from agent.workloads.labels import APP, INVENTORY, MANAGED_SELECTOR, label, service_name
from agent.workloads.model import AppStatus, ServiceStatus, State
from agent.workloads.observe import Observation, Watched, observe
from agent.workloads.rollout import CrashLogs
from agent.workloads.status import Objects, app_state, assess
from agent.workloads.troubles import Reason, pod_trouble

log = structlog.get_logger(__name__)

_SETTLE = 0.1
_EVENTS_OF_PODS = 5
_WATCHED = (
    Watched("v1", "ConfigMap", f"{MANAGED_SELECTOR},{INVENTORY}=true"),
    Watched("apps/v1", "Deployment", MANAGED_SELECTOR),
    Watched("apps/v1", "ReplicaSet", MANAGED_SELECTOR),
    Watched("v1", "Pod", MANAGED_SELECTOR),
    Watched("batch/v1", "Job", MANAGED_SELECTOR),
    Watched("batch/v1", "CronJob", MANAGED_SELECTOR),
)


@dataclass(frozen=True, slots=True)
class ReporterSettings:
    interval: float = 1.0
    """Seconds between two reports of one app."""
    look_again: float = 10.0
    """Seconds after which an app that is not well is looked at again without a change: a failing
    probe changes no object."""


class StatusReporter:
    """`publish` is told the status of an app, `retract` the uid of one that is gone."""

    def __init__(
        self,
        kube: KubeClient,
        publish: Callable[[AppStatus], None],
        retract: Callable[[str], None],
        settings: ReporterSettings | None = None,
    ) -> None:
        self._kube = kube
        self._publish = publish
        self._retract = retract
        self._settings = settings or ReporterSettings()
        self._told: dict[tuple[str, str], AppStatus] = {}
        self._logs: dict[tuple[str, str], CrashLogs] = {}

    async def run(self) -> None:
        """Runs until cancelled. A watch that is refused is tried again, and logged each time."""
        backoff = Backoff(first=1.0, longest=60.0)
        while True:
            try:
                async with observe(self._kube, _WATCHED) as picture:
                    backoff.reset()
                    await self._report(picture)
            except KubeError as error:
                delay = backoff.next()
                log.warning("status_watch_failed", error=error.message, retry_in=delay)
                await asyncio.sleep(delay)

    async def _report(self, picture: Observation) -> None:
        marked = set(_inventories(picture)) | set(self._told)
        while True:
            records = _inventories(picture)
            for app in sorted(marked):
                await self._tell(app, records.get(app), picture)
            await asyncio.sleep(self._settings.interval)
            touched = await picture.changed(within=self._settings.look_again)
            await asyncio.sleep(_SETTLE)
            touched += await picture.changed(within=0)
            marked = {_app_of(obj) for obj in touched}
            if not touched:
                marked = {app for app, status in self._told.items() if _needs_another_look(status)}

    async def _tell(
        self, app: tuple[str, str], record: Inventory | None, picture: Observation
    ) -> None:
        former = self._told.get(app)
        if record is None:
            if former is not None:
                del self._told[app]
                self._logs.pop(app, None)
                self._retract(former.app_uid)
            return
        objects = await self._with_events(_objects_of(picture, app), app[0])
        logs = self._logs.setdefault(app, CrashLogs(self._kube, app[0]))
        tails = await logs.of(objects)
        services = [
            assess(workload, objects, tails).status
            for workload in newest_of_each_service(
                [*objects.deployments, *objects.jobs, *objects.cron_jobs]
            )
        ]
        status = app_status(record, app[0], services)
        if status != former:
            self._told[app] = status
            self._publish(status)

    async def _with_events(self, objects: Objects, namespace: str) -> Objects:
        hanging = [
            pod
            for pod in objects.pods
            if (trouble := pod_trouble(pod)) is not None and trouble.reason is Reason.STARTING
        ]
        events: list[Manifest] = []
        for pod in hanging[:_EVENTS_OF_PODS]:
            events += await self._kube.list(
                "v1",
                "Event",
                namespace,
                field_selector=f"involvedObject.uid={pod['metadata']['uid']}",
            )
        return replace(objects, events=events)


def app_status(record: Inventory, namespace: str, services: Sequence[ServiceStatus]) -> AppStatus:
    """What is so, in the light of how the last deploy ended. Pure."""
    state, reason, message = app_state(services)
    if record.stage is Stage.FAILED and record.failed is not None:
        if not record.revision:
            state, reason, message = State.FAILED, record.failed.reason, record.failed.message
        elif state in (State.READY, State.STOPPED):
            state, reason, message = State.DEGRADED, record.failed.reason, record.failed.message
    elif record.stage is Stage.APPLYING and not services:
        state, reason, message = State.PROGRESSING, "Applying", "the first deploy is under way"
    return AppStatus(
        namespace=namespace,
        app=record.app,
        app_uid=record.app_uid,
        revision=record.revision,
        state=state,
        reason=reason,
        message=message,
        services=tuple(sorted(services, key=lambda s: (s.service, s.kind))),
    )


def newest_of_each_service(workloads: Sequence[Manifest]) -> list[Manifest]:
    """Jobs of former revisions are no news."""
    by_age = sorted(workloads, key=lambda w: w["metadata"].get("creationTimestamp", ""))
    newest = {(w["kind"], service_name(w)): w for w in by_age}
    return list(newest.values())


def _inventories(picture: Observation) -> dict[tuple[str, str], Inventory]:
    found = {}
    for config_map in picture.of("ConfigMap"):
        record = from_manifest(config_map)
        if record is not None:
            found[config_map["metadata"]["namespace"], record.app] = record
    return found


def _objects_of(picture: Observation, app: tuple[str, str]) -> Objects:
    def mine(kind: str) -> list[Manifest]:
        return [obj for obj in picture.of(kind) if _app_of(obj) == app]

    return Objects(
        deployments=mine("Deployment"),
        replica_sets=mine("ReplicaSet"),
        pods=mine("Pod"),
        jobs=mine("Job"),
        cron_jobs=mine("CronJob"),
    )


def _app_of(obj: Manifest) -> tuple[str, str]:
    return str(obj["metadata"].get("namespace", "")), label(obj, APP)


def _needs_another_look(status: AppStatus) -> bool:
    return status.state in (State.PROGRESSING, State.DEGRADED, State.FAILED, State.PENDING)
