"""Why a pod is not ready, in plain words.

Pure: from the JSON of pods, events and workloads to a `Trouble`. Each reason has one entry here:
what gives it away, what to tell, and whether waiting helps. Used by rollouts and by status.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from agent.kube import Manifest

WAIT_CONTAINER = "skerry-wait"
_MESSAGE_LIMIT = 1_500


class Reason(StrEnum):
    """CamelCase for programs; also the `reason` of a failed deploy."""

    IMAGE_NOT_FOUND = "ImageNotFound"
    CRASH_LOOP = "CrashLoop"
    OOM_KILLED = "OOMKilled"
    UNSCHEDULABLE = "Unschedulable"
    VOLUME_PENDING = "VolumePending"
    PROBE_FAILING = "ProbeFailing"
    QUOTA_EXCEEDED = "QuotaExceeded"
    POD_SECURITY = "PodSecurity"
    CONFIG_ERROR = "ConfigError"
    INIT_FAILING = "InitFailing"
    EVICTED = "Evicted"
    JOB_FAILED = "JobFailed"
    CREATE_FAILED = "CreateFailed"
    STARTING = "Starting"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing in the way. `restarts` counts for reasons that are about crashing."""

    reason: Reason
    message: str
    pod: str = ""
    container: str = ""
    restarts: int = 0
    crashed: bool = False
    """Whether the container has ended, so that its last log lines say more."""


_IMAGE_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "ImageInspectError",
    }
)
_CONFIG_REASONS = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError"}
)
_WRAPPINGS = tuple(
    re.compile(pattern)
    for pattern in (
        r"^rpc error: code = \w+ desc = ",
        r'^Failed to pull image "[^"]*": ',
        r"^rpc error: code = \w+ desc = ",
        r'^failed to pull and unpack image "[^"]*": ',
        r'^failed to resolve reference "[^"]*": ',
        r"^failed to resolve image: ",
        r"failed to create containerd task: failed to create shim task: ",
        r"OCI runtime create failed: runc create failed: ",
    )
)
_MOUNT_EVENTS = frozenset({"FailedMount", "FailedAttachVolume", "ProvisioningFailed"})


def pod_trouble(pod: Manifest, events: Sequence[Manifest] = ()) -> Trouble | None:
    """What keeps a pod from being ready, None for a pod that is ready or has done its work.

    `events` are the pod's own, in any order; without them probe and mount failures stay general.
    """
    name = pod["metadata"]["name"]
    status = pod.get("status", {})
    if status.get("phase") == "Succeeded" or "deletionTimestamp" in pod["metadata"]:
        return None
    if status.get("reason") == "Evicted":
        return Trouble(Reason.EVICTED, f"evicted from its node: {status.get('message', '')}", name)
    if "containerStatuses" not in status and "initContainerStatuses" not in status:
        return _unplaced(pod, status, events)
    for container in status.get("initContainerStatuses") or ():
        trouble = _init_trouble(pod, container, events)
        if trouble is not None:
            return trouble
    for container in status.get("containerStatuses") or ():
        trouble = _container_trouble(pod, container, events)
        if trouble is not None:
            return trouble
    return None


def workload_trouble(workload: Manifest) -> Trouble | None:
    """What keeps a Deployment or a Job from making its pods at all."""
    for condition in workload.get("status", {}).get("conditions") or ():
        if condition.get("status") != "True":
            continue
        if condition.get("type") == "ReplicaFailure":
            return _create_failure(str(condition.get("message", "")))
        if condition.get("type") == "Failed" and workload["kind"] == "Job":
            detail = condition.get("message") or condition.get("reason") or ""
            return Trouble(Reason.JOB_FAILED, f"the job failed: {_clip(str(detail))}")
    return None


def creation_trouble(events: Iterable[Manifest]) -> Trouble | None:
    """The same from the events of a Job or ReplicaSet: Jobs have no condition for it."""
    failed = [event for event in events if event.get("reason") == "FailedCreate"]
    if not failed:
        return None
    return _create_failure(str(max(failed, key=event_time).get("message", "")))


def events_of(obj: Manifest, events: Iterable[Manifest]) -> list[Manifest]:
    """The events about one object."""
    uid = obj["metadata"]["uid"]
    return [event for event in events if event.get("involvedObject", {}).get("uid") == uid]


def event_time(event: Manifest) -> str:
    """When it last happened, as text that sorts."""
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp", "")
    )


def _unplaced(pod: Manifest, status: Manifest, events: Sequence[Manifest]) -> Trouble:
    name = pod["metadata"]["name"]
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            message = str(condition.get("message", ""))
            if "PersistentVolumeClaim" in message or "persistentvolumeclaim" in message:
                return Trouble(Reason.VOLUME_PENDING, _volume_message(message), name)
            return Trouble(Reason.UNSCHEDULABLE, _unschedulable_message(message), name)
    return _mount_trouble(name, events) or Trouble(Reason.STARTING, "waiting for a node", name)


def _init_trouble(pod: Manifest, status: Manifest, events: Sequence[Manifest]) -> Trouble | None:
    """An init container that has not done its work yet."""
    name = pod["metadata"]["name"]
    state = status.get("state") or {}
    if (state.get("terminated") or {}).get("exitCode") == 0:
        return None
    trouble = _waiting_trouble(pod, status, events) or _crash(pod, status)
    container = str(status.get("name", ""))
    if trouble is not None:
        return replace(trouble, message=f"{container}, which runs before it, {trouble.message}")
    if "running" in state:
        what = _waited_for(pod, container)
        return Trouble(Reason.INIT_FAILING, what, name, container, _restarts(status))
    return Trouble(Reason.STARTING, "waiting to start", name, container)


def _container_trouble(
    pod: Manifest, status: Manifest, events: Sequence[Manifest]
) -> Trouble | None:
    name = pod["metadata"]["name"]
    container = str(status.get("name", ""))
    if status.get("ready"):
        return None
    trouble = _waiting_trouble(pod, status, events) or _crash(pod, status)
    if trouble is not None:
        return trouble
    if "running" in (status.get("state") or {}):
        probe = _probe_message(container, events)
        if probe:
            return Trouble(Reason.PROBE_FAILING, probe, name, container, _restarts(status))
        return Trouble(Reason.STARTING, "running, not ready yet", name, container)
    return _mount_trouble(name, events) or Trouble(
        Reason.STARTING, "the container is being created", name, container
    )


def _waiting_trouble(pod: Manifest, status: Manifest, events: Sequence[Manifest]) -> Trouble | None:
    waiting = (status.get("state") or {}).get("waiting") or {}
    reason = str(waiting.get("reason", ""))
    name = pod["metadata"]["name"]
    container = str(status.get("name", ""))
    if reason in _IMAGE_REASONS:
        text = _image_message(str(status.get("image", "")), str(waiting.get("message", "")), events)
        return Trouble(Reason.IMAGE_NOT_FOUND, text, name, container)
    if reason in _CONFIG_REASONS:
        detail = _clip(_plain(str(waiting.get("message", ""))))
        return Trouble(
            Reason.CONFIG_ERROR, f"the container cannot be started: {detail}", name, container
        )
    return None


def _crash(pod: Manifest, status: Manifest) -> Trouble | None:
    """A container that ended and is (to be) started again."""
    state = status.get("state") or {}
    waiting = (state.get("waiting") or {}).get("reason")
    ended = state.get("terminated")
    if ended is None and waiting == "CrashLoopBackOff":
        ended = (status.get("lastState") or {}).get("terminated") or {}
    if ended is None:
        return None
    restarts = _restarts(status)
    times = f" ({restarts} {'restart' if restarts == 1 else 'restarts'})" if restarts else ""
    container = str(status.get("name", ""))
    name = pod["metadata"]["name"]
    if ended.get("reason") == "OOMKilled":
        limit = _memory_limit(pod, container)
        of = f" of {limit}" if limit else ""
        return Trouble(
            Reason.OOM_KILLED,
            f"used more memory than its limit{of} and was killed{times}; "
            "raise deploy.resources.limits.memory",
            *(name, container, restarts, True),
        )
    code = ended.get("exitCode")
    if code == 0 and pod.get("spec", {}).get("restartPolicy", "Always") != "Always":
        return None  # a job that has done its work
    if ended.get("reason") in _CONFIG_REASONS or code is None:
        detail = _clip(_plain(str(ended.get("message", ""))))
        return Trouble(
            Reason.CONFIG_ERROR,
            f"the container cannot be started: {detail}{times}",
            *(name, container, restarts),
        )
    hint = "; a service's command must keep running" if code == 0 else ""
    return Trouble(
        Reason.CRASH_LOOP, f"exits with code {code}{times}{hint}", name, container, restarts, True
    )


def _mount_trouble(pod: str, events: Sequence[Manifest]) -> Trouble | None:
    failed = [event for event in events if event.get("reason") in _MOUNT_EVENTS]
    if not failed:
        return None
    message = _clip(str(max(failed, key=event_time).get("message", "")))
    if re.search(r"(secret|configmap) \"?[^ ]+\"? not found|object .* not registered", message):
        return Trouble(Reason.CONFIG_ERROR, message, pod)
    return Trouble(Reason.VOLUME_PENDING, f"a volume cannot be mounted: {message}", pod)


def _create_failure(message: str) -> Trouble:
    if "exceeded quota" in message:
        return Trouble(Reason.QUOTA_EXCEEDED, quota_message(message))
    if "violates PodSecurity" in message:
        detail = message.partition("violates PodSecurity ")[2]
        return Trouble(
            Reason.POD_SECURITY, f"the environment's security level forbids it: {_clip(detail)}"
        )
    return Trouble(Reason.CREATE_FAILED, f"pods cannot be created: {_clip(message)}")


def quota_message(message: str) -> str:
    """`exceeded quota: skerry, requested: pods=1, used: pods=10, limited: pods=10` for people."""
    found = re.search(
        r"exceeded quota: [^,]+, requested: (.*), used: (.*), limited: (.*?)\.?$", message
    )
    if not found:
        return f"the environment's quota does not allow it: {_clip(message)}"
    requested, used, limited = found.groups()
    return (
        f"the environment's quota does not allow it: requested {requested}, "
        f"used {used}, limit {limited}; ask for less, or have the quota raised"
    )


def _unschedulable_message(message: str) -> str:
    """`0/3 nodes are available: 1 Insufficient memory, 2 node(s) had untolerated taint …`."""
    text = re.sub(r"\s*(?:preemption|no new claims)\b.*$", "", message).rstrip(". ")
    missing = sorted(set(re.findall(r"Insufficient ([\w./-]+)", text)))
    hints = []
    if missing:
        hints.append(f"not enough {' and '.join(missing)} is free on any node")
    if "node affinity" in text or "node selector" in text:
        hints.append("no node has the labels that are asked for")
    if "taint" in text:
        hints.append("nodes are kept for others (taints)")
    plain = "; ".join(hints)
    return f"{plain} ({_clip(text)})" if plain else f"no node takes it: {_clip(text)}"


def _volume_message(message: str) -> str:
    missing = re.search(r'persistentvolumeclaim "([^"]+)" not found', message)
    if missing:
        return f"the volume {missing.group(1)} does not exist"
    return f"a volume is not there yet: {_clip(message)}"


def _image_message(image: str, detail: str, events: Sequence[Manifest]) -> str:
    """The registry's answer is in the first failure; later ones only say that it waits."""
    if not detail or detail.startswith("Back-off"):
        failures = [
            str(event.get("message", ""))
            for event in events
            if event.get("reason") == "Failed" and "pull image" in str(event.get("message", ""))
        ]
        answered = re.search(r"ErrImagePull: (.*)", detail)
        detail = failures[-1] if failures else answered.group(1) if answered else detail
    answer = _clip(_plain(detail), 600)
    return f"image {image} cannot be pulled: {answer or 'the registry gave no reason'}"


def _probe_message(container: str, events: Sequence[Manifest]) -> str:
    failed = [
        event
        for event in events
        if event.get("reason") == "Unhealthy"
        and f"{{{container}}}" in str(event.get("involvedObject", {}).get("fieldPath", ""))
    ]
    if not failed:
        return ""
    return _clip(str(max(failed, key=event_time).get("message", "")).strip())


def _waited_for(pod: Manifest, container: str) -> str:
    """The converter's waiting container names what it waits for: `healthy db 5432`."""
    if container == WAIT_CONTAINER:
        for one in pod.get("spec", {}).get("initContainers") or ():
            if one.get("name") == container:
                wants = [str(word).split() for word in (one.get("command") or ())[4:]]
                names = ", ".join(f"{want[1]} ({want[0]})" for want in wants if len(want) > 1)
                return f"waits for {names or 'its dependencies'}"
    return f"{container} runs before the service starts"


def _memory_limit(pod: Manifest, container: str) -> str:
    spec = pod.get("spec", {})
    for one in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        if one.get("name") == container:
            return str((one.get("resources", {}).get("limits") or {}).get("memory", ""))
    return ""


def _restarts(status: dict[str, Any]) -> int:
    return int(status.get("restartCount") or 0)


def _plain(text: str) -> str:
    """Without the wrapping that each layer of the runtime adds around the cause."""
    for wrapping in _WRAPPINGS:
        text = wrapping.sub("", text)
    return text


def _clip(text: str, limit: int = _MESSAGE_LIMIT) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
