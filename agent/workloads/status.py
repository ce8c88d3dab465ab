"""How services and apps stand, from the objects of one namespace.

Pure. Rollouts ask whether a workload has arrived (`Assessment.done`), status reports ask for the
state; both see the same words. Terms: desired = pods wanted, ready = pods that serve; the current
pods are those of a Deployment's newest ReplicaSet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from agent.kube import Manifest
from agent.workloads.labels import service_name
from agent.workloads.model import PodStatus, ServiceStatus, State
from agent.workloads.observe import Observation
from agent.workloads.troubles import (
    Reason,
    Trouble,
    creation_trouble,
    events_of,
    pod_trouble,
    workload_trouble,
)

CRASHES_UNTIL_FAILED = 3
_REVISION = "deployment.kubernetes.io/revision"
_LASTING = frozenset(
    {
        Reason.IMAGE_NOT_FOUND,
        Reason.CONFIG_ERROR,
        Reason.QUOTA_EXCEEDED,
        Reason.POD_SECURITY,
        Reason.CREATE_FAILED,
        Reason.JOB_FAILED,
    }
)

LogTails = Mapping[tuple[str, str, int], str]
"""Last log lines by (pod, container, restarts)."""


@dataclass(frozen=True, slots=True)
class Objects:
    """What there is of one app, or of one namespace."""

    deployments: Sequence[Manifest] = ()
    replica_sets: Sequence[Manifest] = ()
    pods: Sequence[Manifest] = ()
    jobs: Sequence[Manifest] = ()
    cron_jobs: Sequence[Manifest] = ()
    events: Sequence[Manifest] = ()

    @classmethod
    def seen(cls, picture: Observation) -> Objects:
        """Everything of a live picture that watches these kinds."""
        return cls(
            deployments=picture.of("Deployment"),
            replica_sets=picture.of("ReplicaSet"),
            pods=picture.of("Pod"),
            jobs=picture.of("Job"),
            cron_jobs=picture.of("CronJob"),
            events=picture.of("Event"),
        )


@dataclass(frozen=True, slots=True)
class Assessment:
    """One workload, judged."""

    status: ServiceStatus
    done: bool
    """A Deployment serves with all its pods as last specified; a Job has completed."""
    trouble: Trouble | None
    """The worst thing in the way, of the current pods only."""
    started: bool = False
    """A pod of it runs, or has run to its end."""
    probed: bool = True
    """Whether being ready means more than that the process has started."""


def assess(workload: Manifest, objects: Objects, tails: LogTails | None = None) -> Assessment:
    """Judge a Deployment, Job or CronJob against the pods it owns."""
    if workload["kind"] == "Deployment":
        return _deployment(workload, objects, tails or {})
    if workload["kind"] == "Job":
        return _job(workload, objects, tails or {})
    status = ServiceStatus(
        service=service_name(workload),
        kind=workload["kind"],
        state=State.READY,
        reason="Scheduled",
        message=f"runs at {workload['spec'].get('schedule', '')}",
        image=_image(workload["spec"]["jobTemplate"]["spec"]),
    )
    return Assessment(status, done=True, trouble=None, started=True)


def app_state(services: Sequence[ServiceStatus]) -> tuple[State, str, str]:
    """State, reason and message of an app from those of its services: the worst one speaks."""
    if not services:
        return State.STOPPED, "Empty", "the app has no workloads"
    states = {service.state for service in services}
    order = (State.FAILED, State.DEGRADED, State.PROGRESSING, State.PENDING)
    worst = next((state for state in order if state in states), None)
    if worst is None:
        stopped = states == {State.STOPPED}
        return (State.STOPPED if stopped else State.READY), "", ""
    speaker = next(service for service in services if service.state is worst)
    serving = any(service.ready for service in services if service.kind == "Deployment")
    state = State.DEGRADED if worst is State.FAILED and serving else worst
    return state, speaker.reason, f"{speaker.service}: {speaker.message}"


def crashed(objects: Objects) -> list[Trouble]:
    """Containers that have ended badly: those whose last log lines are worth reading."""
    found = []
    for pod in objects.pods:
        trouble = pod_trouble(pod, events_of(pod, objects.events))
        if trouble is not None and trouble.crashed:
            found.append(trouble)
    return found


def _deployment(workload: Manifest, objects: Objects, tails: LogTails) -> Assessment:
    status = workload.get("status", {})
    desired = int(workload["spec"].get("replicas", 1))
    ready = int(status.get("readyReplicas", 0))
    sets = [rs for rs in objects.replica_sets if _owned_by(rs, workload)]
    current = [rs for rs in sets if _rollout_number(rs) == _rollout_number(workload)]
    pods = [pod for pod in objects.pods if any(_owned_by(pod, rs) for rs in sets)]
    newest = [pod for pod in pods if any(_owned_by(pod, rs) for rs in current)]
    troubles = [_of_pod(pod, objects, tails) for pod in newest]
    trouble = workload_trouble(workload) or _worst([one for one in troubles if one])
    done = _arrived(workload, desired)
    if done:
        trouble = None
    elif trouble is None and pods and not newest:
        # A volume is held by one pod at a time: the old one goes first.
        trouble = Trouble(Reason.STARTING, "waits for the pods of the former revision to end")
    state = _deployment_state(workload, desired, ready, done, trouble)
    reason, message = _words(state, trouble, ready, desired)
    return Assessment(
        ServiceStatus(
            service=service_name(workload),
            kind="Deployment",
            state=state,
            reason=reason,
            message=message,
            desired=desired,
            ready=ready,
            pods=tuple(_pod_status(pod, objects, tails) for pod in _by_age(pods)),
            image=_image(workload["spec"]),
        ),
        done=done,
        trouble=trouble,
        started=ready > 0,
        probed=desired == 0 or _is_probed(workload),
    )


def _arrived(workload: Manifest, desired: int) -> bool:
    """As `kubectl rollout status` judges it."""
    status = workload.get("status", {})
    updated = int(status.get("updatedReplicas", 0))
    return (
        int(status.get("observedGeneration", 0)) >= int(workload["metadata"].get("generation", 0))
        and updated >= desired
        and int(status.get("replicas", 0)) <= updated
        and int(status.get("availableReplicas", 0)) >= desired
    )


def _deployment_state(
    workload: Manifest, desired: int, ready: int, done: bool, trouble: Trouble | None
) -> State:
    if done:
        return State.STOPPED if desired == 0 else State.READY
    conditions = {c.get("type"): c for c in workload.get("status", {}).get("conditions") or ()}
    progressing = conditions.get("Progressing", {})
    given_up = progressing.get("status") == "False"
    rolled_out = progressing.get("reason") == "NewReplicaSetAvailable"
    if given_up or (trouble is not None and is_lasting(trouble)):
        return State.DEGRADED if ready else State.FAILED
    if rolled_out and ready and trouble is not None:
        return State.DEGRADED
    return State.PROGRESSING


def is_lasting(trouble: Trouble) -> bool:
    """Whether it does not pass by itself."""
    if trouble.reason in (Reason.CRASH_LOOP, Reason.OOM_KILLED):
        return trouble.restarts >= CRASHES_UNTIL_FAILED
    return trouble.reason in _LASTING


def _job(workload: Manifest, objects: Objects, tails: LogTails) -> Assessment:
    status = workload.get("status", {})
    finished = {c.get("type") for c in status.get("conditions") or () if c.get("status") == "True"}
    pods = [pod for pod in objects.pods if _owned_by(pod, workload)]
    done = "Complete" in finished
    trouble = None if done else _job_trouble(workload, pods, objects, tails)
    running = any(pod.get("status", {}).get("phase") == "Running" for pod in pods)
    if done:
        state, reason, message = State.READY, "Completed", "ran to its end"
    elif trouble is not None and (is_lasting(trouble) or "Failed" in finished):
        state, reason, message = State.FAILED, trouble.reason.value, trouble.message
    elif running:
        state, reason, message = State.PROGRESSING, "Running", "runs"
    else:
        state = State.PROGRESSING
        reason, message = _words(state, trouble, 0, 1)
    return Assessment(
        ServiceStatus(
            service=service_name(workload),
            kind="Job",
            state=state,
            reason=reason,
            message=message,
            desired=int(workload["spec"].get("completions", 1)),
            ready=int(status.get("succeeded", 0)),
            pods=tuple(_pod_status(pod, objects, tails) for pod in _by_age(pods)),
            image=_image(workload["spec"]),
        ),
        done=done,
        trouble=trouble,
        started=done or running,
    )


def _job_trouble(
    workload: Manifest, pods: Sequence[Manifest], objects: Objects, tails: LogTails
) -> Trouble | None:
    failed = workload_trouble(workload)
    of_pods = _worst([one for pod in pods if (one := _of_pod(pod, objects, tails))])
    if failed is not None:
        # What the last pod said explains more than "has reached the backoff limit".
        if of_pods is None:
            return failed
        return replace(of_pods, reason=Reason.JOB_FAILED, message=f"failed: {of_pods.message}")
    if of_pods is None and not pods:
        return creation_trouble(events_of(workload, objects.events))
    return of_pods


def _of_pod(pod: Manifest, objects: Objects, tails: LogTails) -> Trouble | None:
    trouble = pod_trouble(pod, events_of(pod, objects.events))
    if trouble is None or not trouble.crashed:
        return trouble
    tail = tails.get((trouble.pod, trouble.container, trouble.restarts), "")
    if not tail:
        return trouble
    return replace(trouble, message=f"{trouble.message}; its last lines:\n{tail}")


def _worst(troubles: Sequence[Trouble]) -> Trouble | None:
    """The one to tell: what lasts before what passes, more restarts before fewer."""
    if not troubles:
        return None
    return max(
        troubles,
        key=lambda one: (is_lasting(one), one.reason is not Reason.STARTING, one.restarts),
    )


def _words(state: State, trouble: Trouble | None, ready: int, desired: int) -> tuple[str, str]:
    if trouble is not None:
        return trouble.reason.value, trouble.message
    if state is State.READY:
        return "", f"{ready} of {desired} pods ready"
    if state is State.STOPPED:
        return "Stopped", "scaled to zero"
    return "Progressing", f"{ready} of {desired} pods ready"


def _pod_status(pod: Manifest, objects: Objects, tails: LogTails) -> PodStatus:
    status = pod.get("status", {})
    trouble = _of_pod(pod, objects, tails)
    containers = status.get("containerStatuses") or ()
    deleting = "deletionTimestamp" in pod["metadata"]
    return PodStatus(
        pod=pod["metadata"]["name"],
        phase="Terminating" if deleting else str(status.get("phase", "Pending")),
        ready=bool(containers) and all(c.get("ready") for c in containers) and not deleting,
        restarts=sum(int(c.get("restartCount", 0)) for c in containers),
        reason=trouble.reason.value if trouble else "",
        message=trouble.message if trouble else "",
        node=str(pod.get("spec", {}).get("nodeName", "")),
        created=_time(pod["metadata"].get("creationTimestamp", "")),
    )


def _by_age(pods: Sequence[Manifest]) -> list[Manifest]:
    return sorted(
        pods, key=lambda p: (p["metadata"].get("creationTimestamp", ""), p["metadata"]["name"])
    )


def _owned_by(obj: Manifest, owner: Manifest) -> bool:
    uid = owner["metadata"]["uid"]
    return any(ref.get("uid") == uid for ref in obj["metadata"].get("ownerReferences") or ())


def _rollout_number(obj: Manifest) -> str:
    return str((obj["metadata"].get("annotations") or {}).get(_REVISION, ""))


def _image(spec: Manifest) -> str:
    containers = spec.get("template", {}).get("spec", {}).get("containers") or ()
    return str(containers[0].get("image", "")) if containers else ""


def _is_probed(workload: Manifest) -> bool:
    containers = workload["spec"].get("template", {}).get("spec", {}).get("containers") or ()
    return all("readinessProbe" in container for container in containers)


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
